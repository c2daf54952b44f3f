# Our client against libmodbus, over a serial cable and over TCP.
. "$(dirname "$0")/lib"
gcc -O1 -Wall -Werror -o "$BUILD/libmodbus_server" "$HERE/libmodbus_server.c" -lmodbus

serial_pair cable
start rtu "$BUILD/libmodbus_server" rtu "$WORK/cable.b"
until_ready "the RTU server" grep -q ready "$WORK/rtu"
"$CLIENT" rtu "$WORK/cable.a" --silent-units --swallows

# TCP: libmodbus answers whatever the unit is.
port="$(free_port)"
start tcp "$BUILD/libmodbus_server" tcp "$port"
until_ready "the TCP server" listens "$port"
"$CLIENT" tcp "$port"
