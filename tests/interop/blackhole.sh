#!/usr/bin/env bash
# A network that swallows everything: names that the resolver waits for without end, hosts that take no connection. In a network namespace of
# its own. The watchdog's pings come all the same, longer than any thread may be silent; and SIGTERM ends the program in time.
set -euo pipefail
if [ -z "${SWALLOWED:-}" ]; then
    for tool in ip:iproute2 unshare:util-linux; do
        command -v "${tool%%:*}" >/dev/null 2>&1 || { apt-get update -qq; apt-get install -y -qq --no-install-recommends "${tool##*:}" >/dev/null; }
    done
    user=(); [ "$(id -u)" = 0 ] || user=(--map-root-user)
    SWALLOWED=1 exec unshare "${user[@]}" --net --mount bash "$0"
fi

ip link set lo up
# What goes to the neighbour behind this cable is never seen again.
ip link add hole type veth peer name end
ip address add 192.0.2.254/24 dev hole
ip link set hole up
ip link set end up
for host in 1 2 53; do ip neigh add "192.0.2.$host" lladdr 02:00:00:00:00:01 nud permanent dev hole; done
printf 'nameserver 192.0.2.53\noptions timeout:30 attempts:5\n' > "$WORK/resolv.conf"
mount --bind "$WORK/resolv.conf" /etc/resolv.conf

cat > "$WORK/controller.toml" <<TOML
[site]
strategy = "self-consumption"
fuse_a = 25
[status]
socket = "$WORK/socket"
[meter]
device = "sax"
[[battery]]
name = "A"
device = "sax"
role = "master"
phase = "L1"
link.tcp = { host = "battery-a.example", timeout_ms = 2000 }
[[battery]]
name = "B"
device = "sax"
phase = "L2"
poll_ms = 1000
link.tcp = { host = "192.0.2.1", timeout_ms = 2000 }
[[battery]]
name = "C"
device = "sax"
phase = "L3"
poll_ms = 1000
link.tcp = { host = "192.0.2.2" }
TOML

/usr/bin/python3 - "$PROGRAM" "$WORK" <<'PY'
import os, signal, socket, subprocess, sys, time

program, work = sys.argv[1:]
notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notices.bind(f"{work}/notify")
notices.settimeout(3)
env = dict(os.environ, NOTIFY_SOCKET=f"{work}/notify", WATCHDOG_USEC="3000000")
log = open(f"{work}/log", "w")
child = subprocess.Popen([program, "run", "--config", f"{work}/controller.toml", "--state", work], env=env, stderr=log)


def heard():
    """The next notice but for STATUS=, which is for `systemctl status`."""
    while (notice := notices.recv(512).strip()).startswith(b"STATUS="):
        pass
    return notice


assert heard() == b"READY=1"
begun = time.monotonic()
resolving = False
while time.monotonic() - begun < 60:
    assert heard() == b"WATCHDOG=1"
    threads = os.listdir(f"/proc/{child.pid}/task")
    names = [open(f"/proc/{child.pid}/task/{t}/comm").read().strip() for t in threads]
    resolving = resolving or (time.monotonic() - begun > 20 and "resolve" in names)
assert resolving, "the resolver was to wait for longer than any thread may be silent"
child.send_signal(signal.SIGTERM)
ended = time.monotonic()
assert child.wait(5) == 0
print(f"blackhole: pings for 60 s, stopped in {time.monotonic() - ended:.1f} s")
assert "no sign of life" not in open(f"{work}/log").read()
PY
