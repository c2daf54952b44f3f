# Our client against pymodbus, over a serial cable and over TCP, with device identification.
. "$(dirname "$0")/lib"

serial_pair cable
start rtu "$PYTHON" "$HERE/pymodbus_server.py" rtu "$WORK/cable.b"
until_ready "the RTU server" grep -q ready "$WORK/rtu"
# It says so before it has the port.
until_ready "the RTU server" timeout 5 mbpoll -m rtu -b 9600 -P none -a 64 -0 -r 0 -c 1 -1 -q "$WORK/cable.a"
"$CLIENT" rtu "$WORK/cable.a" --silent-units --identification

port="$(free_port)"
start tcp "$PYTHON" "$HERE/pymodbus_server.py" tcp "$port"
until_ready "the TCP server" listens "$port"
"$CLIENT" tcp "$port" --silent-units --identification
