# The whole program on a serial cable with pymodbus at the other end: two batteries on one port, one of which is not there.
. "$(dirname "$0")/lib"

serial_pair cable
start server "$PYTHON" "$HERE/pymodbus_server.py" rtu "$WORK/cable.b"
until_ready "the RTU server" timeout 5 mbpoll -m rtu -b 9600 -P none -a 64 -0 -r 0 -c 1 -1 -q "$WORK/cable.a"
battery() {
    printf '[[battery]]\nname = "%s"\ndevice = "sax-basic"\nrole = "%s"\nphase = "L1"\nunit = %s\npoll_ms = 1000\n' "$1" "$2" "$3"
    printf 'link.rtu = { port = "%s", baud = 9600, timeout_ms = 300, retry_count = 0 }\n' "$WORK/cable.a"
}
{
    printf '[site]\nstrategy = "observe"\nfuse_a = 25\n[status]\nsocket = "%s"\n[log]\ncomm_log = "%s"\n' "$WORK/socket" "$WORK/comm.log"
    battery A master 64
    battery B slave 9
} >"$WORK/controller.toml"
"$PROGRAM" check --quiet "$WORK/controller.toml" --devices "$WORK/none"
start program "$PROGRAM" run --config "$WORK/controller.toml" --devices "$WORK/none" --state "$WORK"
counted() {
    "$PYTHON" - "$WORK" <<'END'
import json, socket, sys

with socket.socket(socket.AF_UNIX) as s:
    s.connect(sys.argv[1] + "/socket")
    status = json.loads(s.makefile().read())
[errors] = status["errors"].values()
print(errors)
assert errors["requests"] >= 10 and errors["timeout"] >= 3, errors
# Unit 9 is not there; everything else is good.
assert errors["requests"] - errors["timeout"] >= 4, errors
assert not any(errors[kind] for kind in ["crc", "short", "wrong_unit", "exception", "invalid", "io"]), errors
END
}
until_ready "the program" counted
grep -Eq '^[0-9T:.-]+Z /.*/cable.a unit=9 fc=3 reg=[0-9]+-[0-9]+ Timeout$' "$WORK/comm.log"
if grep -q unit=64 "$WORK/comm.log"; then
    cat "$WORK/comm.log" >&2
    exit 1
fi
