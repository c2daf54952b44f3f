# Other people's clients against our Modbus server: mbpoll and pymodbus read and write the registers of the running program over TCP and over
# a serial cable, save settings, find them after a kill -9, and reach a device behind the gateway.
. "$(dirname "$0")/lib"

# The device behind the gateway: units 1 and 64 of pymodbus on a cable of its own.
serial_pair device
start device "$PYTHON" "$HERE/pymodbus_server.py" rtu "$WORK/device.b"
until_ready "the device" timeout 5 mbpoll -m rtu -b 9600 -P none -a 64 -0 -r 0 -c 1 -1 -q "$WORK/device.a"
serial_pair cable
port="$(free_port)"
mkdir "$WORK/state"
{
    printf '[site]\nstrategy = "observe"\nfuse_a = 25\n[status]\nsocket = "%s"\n' "$WORK/socket"
    # A P1 port that is never plugged in: the load balancer is in its fallback.
    printf '[meter]\ndevice = "p1"\nlink.serial = { port = "%s" }\n' "$WORK/nowhere"
    printf '[load_balancer]\ncharger_limit_a = 16\n[server]\naddress = 10\n'
    printf 'tcp = { listen = "127.0.0.1:%s", writable = true, max_connections = 4 }\n' "$port"
    printf 'rtu = { port = "%s", baud = 19200, writable = true }\n' "$WORK/cable.b"
    printf 'gateway = { units = [1, 63, 64], link.rtu = { port = "%s", baud = 9600, timeout_ms = 300 } }\n' "$WORK/device.a"
} >"$WORK/controller.toml"
"$PROGRAM" check --quiet "$WORK/controller.toml" --devices "$WORK/none"

run_program() {
    start program "$PROGRAM" run --config "$WORK/controller.toml" --devices "$WORK/none" --state "$WORK/state"
    until_ready "the server" listens "$port"
}
# poll UNIT ADDRESS COUNT OPTION...: what mbpoll reads, the values alone.
poll() {
    local unit="$1" address="$2" count="$3"
    mbpoll "${MBPOLL[@]}" -a "$unit" -0 -r "$address" -c "$count" -1 -q -t 4 "${@:4}" "$PLACE" | sed -n 's/^\[[0-9]*\]:[[:space:]]*\([0-9]*\).*/\1/p' | tr '\n' ' ' | sed 's/ *$//'
}
# put UNIT ADDRESS VALUE...: written by mbpoll; one value with function 6, several with 16.
put() { mbpoll "${MBPOLL[@]}" -a "$1" -0 -r "$2" -1 -q -t 4 "$PLACE" -- "${@:3}" >/dev/null; }
same() { [ "$2" = "$3" ] || { echo "$PLACE, $1: expected \"$2\", got \"$3\"" >&2; cat "$WORK/program" >&2; exit 1; }; }
# refused WHAT COMMAND...: mbpoll says so, with these words.
refused() {
    local what="$1" said
    shift
    said="$(mbpoll "${MBPOLL[@]}" -0 -1 -q -t 4 "$@" 2>&1 || true)"
    case "$said" in *"$what"*) ;; *) echo "$PLACE, $*: expected \"$what\", got: $said" >&2; exit 1 ;; esac
}
DEFAULTS="16000 3 24000 1 12500 22000 5 1000 19000 1 1000 0 30"

with_mbpoll() {
    same "settings" "$DEFAULTS" "$(poll 10 1010 13)"
    same "input registers" "$DEFAULTS" "$(poll 10 1010 13 -t 3)"
    put 10 1000 10000
    same "override" "10000" "$(poll 10 1000 1)"
    put 10 1000 16000
    same "state: fallback" "4" "$(poll 10 1002 1)"
    put 10 1015 21000 6 900
    same "several" "21000 6 900" "$(poll 10 1015 3)"
    refused "Illegal data address" -a 10 -r 1000 -c 4 "$PLACE"
    refused "Illegal data address" -a 10 -r 1091 -c 1 "$PLACE"
    refused "Illegal data address" -a 10 -r 1001 "$PLACE" -- 5
    refused "Illegal data value" -a 10 -r 1011 "$PLACE" -- 4
    refused "Illegal data value" -a 10 -r 1015 "$PLACE" -- 23000 255
    refused "Illegal function" -a 10 -r 1000 -c 1 -t 0 "$PLACE"
    same "nothing of that" "21000 6 900" "$(poll 10 1015 3)"
    # The device behind the gateway, and what it refuses itself.
    same "gateway" "1100 1101 1102" "$(poll 64 100 3)"
    put 64 150 4711
    same "gateway, written" "4711" "$(poll 64 150 1)"
    put 64 150 1150
    refused "Illegal data address" -a 64 -r 5000 -c 1 "$PLACE"
    # Nobody on the other side, and nobody at all: a gateway says so on TCP, on a serial line there is silence.
    refused "$SILENCE" -a 63 -o 1 -r 0 -c 1 "$PLACE"
    refused "$SILENCE" -a 99 -o 1 -r 0 -c 1 "$PLACE"
    # Wrong order of limits, which is said when it is to be saved.
    put 10 1018 21000
    refused "Illegal data value" -a 10 -r 1091 "$PLACE" -- 1
    put 10 1018 18000
    put 10 1090 12
    put 10 1091 1
    same "another unit" "18000" "$(poll 12 1018 1)"
}

# What was saved is there after a kill -9, and gone after 1092.
survives() {
    kill -9 "${STARTED[-1]}"
    wait "${STARTED[-1]}" 2>/dev/null || true
    run_program
    until_ready "unit 12" poll_is 12 1018 18000
    same "after kill -9" "16000 3 24000 1 12500 21000 6 900 18000 1 1000 0 30" "$(poll 12 1010 13)"
    put 12 1092 1
    same "restored" "$DEFAULTS" "$(poll 10 1010 13)"
    [ ! -e "$WORK/state/load_balancer.json" ]
}
poll_is() { [ "$(poll "$1" "$2" 1)" = "$3" ]; }

run_program
for kind in tcp rtu; do
    if [ "$kind" = tcp ]; then
        PLACE=127.0.0.1 MBPOLL=(-m tcp -p "$port") SILENCE="Target device failed to respond"
    else
        PLACE="$WORK/cable.a" MBPOLL=(-m rtu -b 19200 -P none) SILENCE="timed out"
    fi
    until_ready "the server over $kind" poll_is 10 1010 16000
    with_mbpoll
    survives
done
"$PYTHON" "$HERE/server_client.py" tcp "$port"
"$PYTHON" "$HERE/server_client.py" rtu "$WORK/cable.a"
