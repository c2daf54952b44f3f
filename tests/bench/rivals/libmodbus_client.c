/* Polls a server with libmodbus. Arguments and output as ours.rs. */
#include <modbus/modbus.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int64_t ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        return 2;
    }
    int count = atoi(argv[2]), polls = atoi(argv[3]);
    modbus_t *ctx = modbus_new_tcp("127.0.0.1", atoi(argv[1]));
    uint16_t words[MODBUS_MAX_READ_REGISTERS];
    if (ctx == NULL || count < 1 || count > MODBUS_MAX_READ_REGISTERS || modbus_set_slave(ctx, 64) < 0 || modbus_connect(ctx) < 0) {
        return 1;
    }
    int64_t begun = 0, before = 0;
    uint64_t sum = 0;
    for (int k = -100; k < polls; k++) {
        if (k == 0) {
            begun = ns(CLOCK_MONOTONIC);
            before = ns(CLOCK_PROCESS_CPUTIME_ID);
            sum = 0;
        }
        if (modbus_read_registers(ctx, 0, count, words) != count) {
            return 1;
        }
        for (int i = 0; i < count; i++) {
            sum += words[i];
        }
    }
    int64_t cpu = ns(CLOCK_PROCESS_CPUTIME_ID) - before;
    printf("%lld %lld %llu\n", (long long)(ns(CLOCK_MONOTONIC) - begun), (long long)cpu, (unsigned long long)sum);
    return 0;
}
