"""Steps about what is around the service: serial devices, the sandbox, the journal, the log file, and that nothing is left of it."""

import glob
import os
import re
import subprocess
import time

from house import Site
from life import BUSY, CALM, FILE, at_work, batteries, configure, runs
from machine import UNIT, Failed, until

PORT = "/dev/ttyMETER"
DAY_S = 86400
MOST_LINES_A_DAY = 50
# What no package answers for: other programs' records, caches, and the files of this test.
OTHERS = ("/proc", "/sys", "/dev", "/run", "/tmp", "/root", "/var/cache", "/var/lib/dpkg", "/var/lib/logrotate", "/var/tmp")
OTHERS += ("/var/log/apt", "/var/log/dpkg.log", "/var/log/journal")


def h_plugged_in(machine, site_program):
    """a serial meter that appears later is used without a restart"""
    house = Site(site_program, machine.command(), "--bus", "/run/gateway-bus")
    try:
        return plug_in(machine, house)
    finally:
        house.close()


def plug_in(machine, house):
    """The port is made by hand, as udev makes it when an adapter is plugged in."""
    text = '[site]\nname = "Gateway"\nstrategy = "self-consumption"\nfuse_a = 25\n\n[meter]\ndevice = "acuvim2-float"\n'
    text += f'link.rtu = {{ port = "{PORT}" }}\npoll_ms = 1000\nphase_poll_ms = 1000\n'
    configure(machine, text + batteries(house.listen))
    since = time.time()
    machine.run("systemctl", "restart", UNIT)
    house.load(*BUSY)
    pid = machine.pid()
    said = until("it says that the port is missing", lambda: [m for m in machine.said(since) if PORT in m], 20)
    time.sleep(2)
    if not machine.is_ready() or any(any(state["setpoint_w"]) for state in house.between(since, time.time())):
        raise Failed(f"without a meter: active {machine.is_ready()}, batteries {house.now()}")
    terminal = machine.run("readlink", "/run/gateway-bus").strip()
    machine.run("chgrp", "dialout", terminal)
    machine.run("chmod", "0660", terminal)
    machine.run("ln", "-s", terminal, PORT)
    plugged = time.time()
    runs(machine)
    ran = time.time() - plugged
    took, worst = house.settled("the house is balanced")
    if machine.pid() != pid:
        raise Failed("it was restarted")
    machine.run("rm", PORT)
    return f'before: active, "{said[0]}"; runs {ran:.1f} s after it was plugged in, every phase within {worst} W {took + ran:.0f} s after it'


def j_confined(machine, house):
    """port 502, user, capabilities, no new rights, file system, devices"""
    at_work(machine, house)
    command = machine.beside("mbpoll", "-m", "tcp", "-a", "10", "-t", "4", "-0", "-r", "2001", "-c", "1", "-1", "-q", "-p", "502", "127.0.0.1")
    read = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20).stdout.decode()
    if not re.search(r"\[2001\]:\s+1\b", read):
        raise Failed(f"mbpoll does not read state 1 from register 2001: {read}")
    pid = str(machine.pid())
    lines = machine.run("cat", f"/proc/{pid}/status").splitlines()
    status = dict(line.split(":", 1) for line in lines)
    uid = machine.run("id", "-u", "sax").strip()
    wanted = {"CapEff": "0" * 13 + "400", "CapBnd": "0" * 13 + "400", "CapAmb": "0" * 13 + "400", "NoNewPrivs": "1", "Seccomp": "2"}
    wrong = {key: status[key] for key, value in wanted.items() if status[key].strip() != value}
    if wrong or set(status["Uid"].split()) != {uid}:
        raise Failed(f"user {status['Uid']} and {wrong}, not {uid} and {wanted}")
    read_only(machine, pid, uid)
    score = machine.run("systemd-analyze", "security", "--no-pager", UNIT).splitlines()[-1]
    exposure = float(re.search(r"[\d.]+", score.split("service:")[-1])[0])
    if exposure > 1.6:
        raise Failed(score)
    return f"register 2001 over port 502 by mbpoll; uid {uid}, capability 0x400 alone, no new privileges; {devices(machine)}; exposure {exposure}"


def read_only(machine, pid, uid):
    """Where the service lives it can write nowhere but in its own folders, and neither could root."""
    as_sax, as_root = ("-S", uid, "-G", uid), ()
    for who, path, may in [
        *((who, f"{folder}/gateway-x", False) for who in (as_sax, as_root) for folder in ("/etc", "/etc/sax", "/usr", "/var/lib", "/boot")),
        *((as_sax, f"{folder}/gateway-x", True) for folder in ("/var/lib/sax", "/var/log/sax", "/run/sax", "/tmp")),
        (as_sax, "/root/gateway-x", False),
    ]:
        code, said = machine.ask("nsenter", "-t", pid, "-m", *who, "touch", path)
        if code == 0:
            machine.run("nsenter", "-t", pid, "-m", "rm", path)
        if (code == 0) != may:
            raise Failed(f"{path} {'can' if code == 0 else 'cannot'} be written {'as sax' if who else 'as root'}: {said}")


def devices(machine):
    """What the cgroup of the service lets through: a serial port, even where there is no hardware for it, but not /dev/fuse."""
    group = "/sys/fs/cgroup" + machine.show("ControlGroup")[0]
    machine.run("mknod", "/dev/gateway-fuse", "c", "10", "229")
    machine.run("mknod", "/dev/gateway-ttyS", "c", "4", "67")

    def is_refused(path, enter):
        return "not permitted" in machine.ask("sh", "-c", f"{enter} exec 3<>{path}")[1]

    try:
        enter = f"echo $$ > {group}/cgroup.procs || exit;"
        refused = [is_refused(path, enter) for path in ["/dev/null", "/dev/gateway-ttyS", "/dev/gateway-fuse"]]
        outside = is_refused("/dev/gateway-fuse", "")
    finally:
        machine.run("rm", "/dev/gateway-fuse", "/dev/gateway-ttyS")
    if refused != [False, False, True] or outside:
        raise Failed(f"null, a serial port and fuse are refused: {refused}; fuse outside of the service: {outside}")
    return "serial ports but not fuse"


def k_log_moved(machine, house):
    """logrotate moves the communication log, the next fault makes a new one"""
    at_work(machine, house)
    log = "/var/log/sax/comm.log"
    fault(machine, house, log)
    machine.run("logrotate", "-f", "/etc/logrotate.d/sax-controller")
    moved = [os.path.basename(path) for path in glob.glob(machine.path(log) + "*")]
    if "comm.log" in moved or len(moved) != 1:
        raise Failed(f"after logrotate there are {moved}")
    fault(machine, house, log)
    owner = machine.run("stat", "-c", "%U:%G %a", log).strip()
    if not owner.startswith("sax:sax "):
        raise Failed(f"the new file belongs to {owner}")
    return f"moved to {moved[0]}, a new comm.log of {owner}"


def fault(machine, house, log):
    """Battery B says nothing until the log knows of it, and answers again."""
    path = machine.path(log)
    before = os.path.getsize(path) if os.path.exists(path) else 0
    house.tell("silent 1")
    until("a fault is in the log", lambda: os.path.exists(path) and os.path.getsize(path) > before and "Timeout" in open(path).read(), 20)
    house.tell("answer 1")
    until("B answers again", lambda: machine.status()["batteries"][1]["age_ms"] < 1500, 30, 0.3)


def m_quiet(machine, house, quiet_s):
    """journal: priorities are right, and a quiet day has few lines"""
    at_work(machine, house)
    mistake(machine)
    since = time.time()
    machine.run("systemctl", "stop", UNIT)
    stop_lines = len(machine.journal(since))
    since = time.time()
    machine.run("systemctl", "start", UNIT)
    runs(machine)
    house.settled("the house is balanced again")
    start = machine.journal(since)
    quiet_from = time.time()
    while time.time() < quiet_from + quiet_s:
        # A house in which something is switched on and off all the time.
        house.load(*(BUSY if int(time.time() / 10) % 2 else CALM))
        time.sleep(1)
    quiet = machine.journal(quiet_from)
    a_day = stop_lines + len(start) + len(quiet) * DAY_S / quiet_s
    if a_day >= MOST_LINES_A_DAY:
        start_lines, lines = ([entry["MESSAGE"] for entry in entries] for entries in (start, quiet))
        raise Failed(f"{a_day:.0f} lines a day: {stop_lines} at the stop, start {start_lines}, then {lines}")
    return f"{len(start)} lines at a start, {stop_lines} at a stop, {len(quiet)} in {quiet_s} s of changing loads; {priorities(machine)}"


def mistake(machine):
    """An error for the journal: a reload with a file that has a mistake."""
    with open(machine.path(FILE)) as file:
        good = file.read()
    configure(machine, good + "mistake = 1\n")
    machine.run("systemctl", "reload", UNIT)
    until("the mistake is told", lambda: any("mistake" in m for m in machine.said(0, "-p", "err")), 5)
    configure(machine, good)


def priorities(machine):
    """Errors, warnings and the rest are told apart, in everything that this boot has of the service so far."""
    own = [e for e in machine.journal(0) if e.get("_COMM") == UNIT]
    count = {}
    for entry in own:
        count[entry["PRIORITY"]] = count.get(entry["PRIORITY"], 0) + 1
        message = entry["MESSAGE"]
        error = message.startswith(FILE + ":") or "a restart would fail" in message
        if re.match(r"<\d>", message) or (error and entry["PRIORITY"] != "3") or (" starts: site" in message and entry["PRIORITY"] != "6"):
            raise Failed(f"priority {entry['PRIORITY']}: {message}")
    errors = {e["MESSAGE"] for e in machine.journal(0, "-p", "err") if e.get("_COMM") == UNIT}
    if count.get("3", 0) == 0 or len(errors) > count["3"]:
        raise Failed(f"errors in the journal: {errors}")
    return "so far " + ", ".join(f"{count[p]} of priority {p}" for p in sorted(count))


def inventory(machine):
    """Files, users, groups and units of the machine."""
    things = set()
    for folder, folders, files in os.walk(machine.root):
        here = folder[len(machine.root) :]
        folders[:] = [f for f in folders if not f"{here}/{f}".startswith(OTHERS)]
        things.update(f"file {here}/{name}" for name in folders + files if not f"{here}/{name}".startswith(OTHERS))
    things.update(f"file /run/{name}" for name in machine.run("ls", "-A", "/run").split() if name.startswith("sax"))
    for kind in ["passwd", "group"]:
        things.update(f"{kind} {line.split(':')[0]}" for line in machine.run("getent", kind).splitlines())
    things.update(f"member {line}" for line in machine.run("getent", "group").splitlines() if line.split(":")[3])
    units = machine.run("systemctl", "list-unit-files", "--no-legend", "--no-pager").splitlines()
    things.update(f"unit {line.split()[0]} {line.split()[1]}" for line in units)
    failed = machine.run("systemctl", "list-units", "--all", "--no-legend", "--no-pager", "--plain", "sax*")
    return things | {f"loaded {line.split()[0]}" for line in failed.splitlines()}


def l_removed(machine, house, before):
    """remove keeps the configuration, purge leaves nothing"""
    at_work(machine, house)
    machine.run("dpkg", "-r", UNIT)
    if not os.path.exists(machine.path(FILE)) or os.path.exists(machine.path("/usr/bin/sax-controller")):
        raise Failed("remove has taken the configuration, or left the program")
    if machine.show("ActiveState") != ["inactive"] or any(house.now()["setpoint_w"]):
        raise Failed(f"after remove: {machine.show('ActiveState')}, batteries {house.now()}")
    machine.run("dpkg", "-P", UNIT)
    after = inventory(machine)
    left, gone = sorted(after - before), sorted(before - after)
    # Debian keeps the users of packages, so that no file of theirs can come to belong to another one.
    kept = [thing for thing in left if re.match(r"(passwd|group) sax$|member dialout:", thing)]
    if left != kept or gone:
        raise Failed(f"left behind: {left}; gone: {gone}")
    return f"the configuration was kept; after purge {len(after)} files, users and units are those of before, left: {', '.join(kept) or 'nothing'}"
