# The whole program against the devices of the references, made with pymodbus and literal addresses: what `status` says must be what the
# registers hold, and what is written must be what the references print.
. "$(dirname "$0")/lib"

start devices "$PYTHON" "$HERE/devices.py" "$WORK/written"
until_ready "the devices" grep -q powerpack "$WORK/devices"
port() { "$PYTHON" -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$WORK/devices" "$1"; }

# site FILE METER UNIT BATTERY BALANCE [BMS LINES]: a configuration.
site() {
    printf '[site]\nstrategy = "self-consumption"\nbalance = "sum"\nfuse_a = 250\n[control]\nfallback = "zero"\n'
    printf '[status]\nsocket = "%s"\n[log]\ncomm_log = "%s"\n' "$WORK/$1.socket" "$WORK/$1.comm"
    printf '[meter]\ndevice = "%s"\nunit = %s\npoll_ms = 500\nphase_poll_ms = 500\nlink.tcp = { host = "127.0.0.1", port = %s }\n' "$2" "$3" "$(port "$2")"
    printf '[[battery]]\nname = "B"\ndevice = "%s"\nphase = "all"\npoll_ms = 500\ncapacity_wh = 200000\nmax_charge_w = 100000\nmax_discharge_w = 100000\n' "$4"
    printf 'link.tcp = { host = "127.0.0.1", port = %s }\n' "$(port "$4")"
}
site one acuvim2-float 1 tesla >"$WORK/one.toml"
{
    printf '[battery.bms]\ndevice = "sbau"\nlink.tcp = { host = "127.0.0.1", port = %s }\n' "$(port sbau)"
    printf 'settings = { cluster_base = 2001, cluster_stride = 50, clusters = 1 }\n'
} >>"$WORK/one.toml"
site two acuvim2 2 powerpack >"$WORK/two.toml"

for name in one two; do
    "$PROGRAM" check --quiet "$WORK/$name.toml" --devices "$WORK/none"
    mkdir "$WORK/$name.state"
    start "$name.run" "$PROGRAM" run --config "$WORK/$name.toml" --devices "$WORK/none" --state "$WORK/$name.state"
done
until_ready "the first site" "$PYTHON" "$HERE/devices_check.py" one "$WORK/one.socket" "$WORK/written"
until_ready "the second site" "$PYTHON" "$HERE/devices_check.py" two "$WORK/two.socket" "$WORK/written"
# Once more for what it says where something differs.
"$PYTHON" "$HERE/devices_check.py" one "$WORK/one.socket" "$WORK/written"
"$PYTHON" "$HERE/devices_check.py" two "$WORK/two.socket" "$WORK/written"
# Nothing went wrong on these links, so nothing is in their logs.
for name in one two; do
    if [ -s "$WORK/$name.comm" ]; then
        cat "$WORK/$name.comm" >&2
        exit 1
    fi
done
