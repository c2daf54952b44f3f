# Our read, write and scan against pymodbus, over TCP and over a serial cable: mbpoll reads what we wrote, and writes what we read.
. "$(dirname "$0")/lib"

# poll OPTION...: what mbpoll reads, the values alone.
poll() { mbpoll "${MBPOLL[@]}" -a 64 -0 -1 -q "$@" "$PLACE" | sed -n 's/^\[[0-9]*\]:[[:space:]]*//p' | tr '\n' ' ' | sed 's/ *$//'; }
# read_ours ARGUMENT...: what our program reads, the values alone.
read_ours() {
    "$PROGRAM" read "${TARGET[@]}" "$@" --unit 64 --json --socket "$WORK/no-controller" |
        "$PYTHON" -c 'import json, sys; print(" ".join(str(v["value"]) for v in json.load(sys.stdin)["values"]))'
}
write_ours() { "$PROGRAM" write "${TARGET[@]}" "$@" --unit 64 --verify --socket "$WORK/no-controller" >/dev/null; }
same() { [ "$2" = "$3" ] || { echo "$PLACE, $1: expected \"$2\", got \"$3\"" >&2; exit 1; }; }

# both TYPE ORDER VALUE MBPOLL...: written by us, read by both; MBPOLL are its options and, last, what it shows.
both() {
    local kind="$1" order="$2" value="$3" shown="${*: -1}"
    local options=("${@:4:$#-4}")
    write_ours 100 "$value" --type "$kind" --word-order "$order"
    same "$kind $order by mbpoll" "$shown" "$(poll -r 100 "${options[@]}")"
    same "$kind $order by us" "$value" "$(read_ours 100 --type "$kind" --word-order "$order")"
}

everything() {
    both u16 high-first 65535 -t 4 "65535 (-1)"
    both i16 high-first -50 -t 4 "65486 (-50)"
    both hex high-first 0x00ff -t 4:hex "0x00FF"
    both i32 high-first -4600 -t 4:int -B "-4600"
    both i32 low-first 70000 -t 4:int "70000"
    both u32 high-first 2000000000 -t 4:int -B "2000000000"
    both f32 high-first 230.5 -t 4:float -B "230.5"
    both f32 low-first -0.25 -t 4:float "-0.25"
    write_ours 110 "SAX Power" --type string
    same "string" "0x5341 0x5820" "$(poll -r 110 -c 2 -t 4:hex)"
    same "string by us" "SAX Power" "$(read_ours 110 5 --type string)"
    write_ours 50 1 0 1 --type bool
    same "coils" "1 0 1" "$(poll -r 50 -c 3 -t 0)"
    same "coils by us" "True False True" "$(read_ours 50 3 --type bool)"
    # mbpoll writes, we read; it counts from 1 without -0, as we with --one-based.
    mbpoll "${MBPOLL[@]}" -a 64 -r 121 -1 -q -t 4:float -B "$PLACE" -- 49.98 >/dev/null
    same "one-based" "49.98" "$(read_ours 121 --type f32 --one-based)"
    same "as on the wire" "49.98" "$(read_ours 120 --type f32)"
    # Both of a split reading, and all four functions.
    same "150 registers" "$(seq -s ' ' 2000 2149)" "$(read_ours 0 150 --function 4)"
    same "inputs" "False True False" "$(read_ours 0 3 --function 2)"
    # An address that is not there.
    if "$PROGRAM" read "${TARGET[@]}" 5000 --unit 64 --socket "$WORK/no-controller" 2>"$WORK/said"; then exit 1; fi
    grep -q "Exception 0x02 (illegal data address). The device has nothing at holding register 5000" "$WORK/said"
    # The scan finds units 1 and 64, who they are, and nobody else.
    "$PROGRAM" scan "${SCAN[@]}" --units 1,2,63,64 --timeout-ms 300 --json --devices "$WORK" --socket "$WORK/no-controller" >"$WORK/scan"
    "$PYTHON" - "$WORK/scan" <<'END'
import json, sys
(found,) = json.load(open(sys.argv[1]))["found"]
assert [unit["ids"] for unit in found["units"]] == [[1], [64]], found
assert all((unit["vendor"], unit["product"], unit["revision"]) == ("interop", "py", "1.0") for unit in found["units"]), found
END
}

port="$(free_port)"
start tcp "$PYTHON" "$HERE/pymodbus_server.py" tcp "$port"
until_ready "the TCP server" listens "$port"
PLACE=127.0.0.1 MBPOLL=(-m tcp -p "$port") TARGET=("127.0.0.1:$port") SCAN=(127.0.0.1 --port "$port")
everything

serial_pair cable
start rtu "$PYTHON" "$HERE/pymodbus_server.py" rtu "$WORK/cable.b"
until_ready "the RTU server" grep -q ready "$WORK/rtu"
PLACE="$WORK/cable.a" MBPOLL=(-m rtu -b 9600 -P none) TARGET=("$WORK/cable.a" --baud 9600) SCAN=("$WORK/cable.a" --baud 9600)
# It says so before it has the port.
until_ready "the RTU server" timeout 5 mbpoll -m rtu -b 9600 -P none -a 64 -0 -r 0 -c 1 -1 -q "$PLACE"
everything
