/* A Modbus server with libmodbus: "rtu PORT" (unit 64, 9600 8N1) or "tcp PORT" on 127.0.0.1. The map that client.rs expects:
 * 200 of each kind; holding registers 1000 + address, input registers 2000 + address, every third coil on, every second input on. */
#include <errno.h>
#include <modbus/modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT 200

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: libmodbus_server rtu|tcp PORT\n");
        return 2;
    }
    int rtu = strcmp(argv[1], "rtu") == 0;
    modbus_t *ctx = rtu ? modbus_new_rtu(argv[2], 9600, 'N', 8, 1) : modbus_new_tcp("127.0.0.1", atoi(argv[2]));
    modbus_mapping_t *map = modbus_mapping_new(COUNT, COUNT, COUNT, COUNT);
    if (ctx == NULL || map == NULL) {
        return 1;
    }
    for (int k = 0; k < COUNT; k++) {
        map->tab_bits[k] = k % 3 == 0;
        map->tab_input_bits[k] = k % 2 == 1;
        map->tab_registers[k] = 1000 + k;
        map->tab_input_registers[k] = 2000 + k;
    }
    modbus_set_slave(ctx, 64);
    int listener = rtu ? -1 : modbus_tcp_listen(ctx, 1);
    if (rtu ? modbus_connect(ctx) < 0 : listener < 0) {
        fprintf(stderr, "%s: %s\n", argv[2], modbus_strerror(errno));
        return 1;
    }
    printf("ready\n");
    fflush(stdout);
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    for (;;) {
        if (!rtu && modbus_tcp_accept(ctx, &listener) < 0) {
            return 1;
        }
        for (;;) {
            int length = modbus_receive(ctx, query);
            if (length < 0 && !rtu) {
                break; /* The client has closed. */
            }
            if (length > 0) {
                modbus_reply(ctx, query, length, map);
            }
        }
        modbus_close(ctx);
    }
}
