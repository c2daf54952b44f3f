"""Steps about the life of the service: it starts, works, dies, hangs, is misconfigured, upgraded, stopped and rebooted with its machine."""

import os
import re
import shutil
import subprocess
import time

from house import CALM_S
from machine import UNIT, Failed, until

FILE = "/etc/sax/controller.toml"
# Behind the site's fuses and the reach of its batteries, and what is left of it when most of it is switched off.
BUSY, CALM = (2000, 1500, 1000), (300, 0, 0)
# The service is back within this time; it then wants five samples of the meter, which it reads every second, before it commands anything
# (spec/control.md 2.6), and SAX batteries are told one after the other.
BACK_S, SAMPLES_S = 5, 6
# An upgrade: the old process hands the batteries back, the new one wants two samples, and then tells them.
GAP_MOST_S = 3


def configuration(listen, more=""):
    """Three SAX batteries at these addresses, with the meter behind A."""
    text = '[site]\nname = "Gateway"\nstrategy = "self-consumption"\nfuse_a = 25\n\n[meter]\ndevice = "sax"\npoll_ms = 1000\n\n'
    text += '[server]\ntcp = { listen = "127.0.0.1:502" }\n\n[log]\ncomm_log = "/var/log/sax/comm.log"\n'
    return text + batteries(listen) + more


def batteries(listen):
    """Their sections."""
    text = ""
    for k, address in enumerate(listen[:3]):
        host, port = address.rsplit(":", 1)
        role = "master" if k == 0 else "slave"
        text += f'\n[[battery]]\nname = "{"ABC"[k]}"\ndevice = "sax"\nrole = "{role}"\nphase = "L{k + 1}"\n'
        text += f'link.tcp = {{ host = "{host}", port = {port} }}\npoll_ms = 1000\n'
    return text


def configure(machine, text):
    """What an installer does with an editor: owner and mode stay."""
    with open(machine.path(FILE), "r+") as file:
        file.write(text)
        file.truncate()


def at_work(machine, house):
    """The service runs with the configuration of the simulated site, and has the house balanced."""
    text = configuration(house.listen)
    with open(machine.path(FILE)) as file:
        changed = file.read() != text
    if changed:
        configure(machine, text)
    if changed or not machine.is_ready():
        machine.run("systemctl", "restart", UNIT)
    house.load(*BUSY)
    runs(machine)
    house.settled("the house is balanced")


def runs(machine):
    """Waits until the controller says that it runs."""
    until("the controller runs", lambda: (machine.status() or {"site": {}})["site"].get("state") == "run", 30, 0.2)


def setpoint_after(house, since, within_s):
    """When the first setpoint was written after this time."""
    first = until("a setpoint is written", lambda: house.setpoints(since), within_s)
    return first[0]["s"]


def a_installed(machine, house, package):
    """as installed: enabled, active, READY, harmless"""
    house.load(*BUSY)
    since = time.time()
    machine.run("dpkg", "-i", package)
    took = time.time() - since
    if machine.run("systemctl", "is-enabled", UNIT).strip() != "enabled":
        raise Failed("it is not enabled")
    until("it is active", machine.is_ready, 10)
    until("it says that there is nothing to connect to", lambda: any("nothing to connect to" in line for line in machine.said(since)), 5)
    groups = machine.run("id", "-nG", "sax").split()
    if "dialout" not in groups:
        raise Failed(f"user sax is in {groups}")
    said = machine.run("runuser", "-u", "guest", "--", "sax-controller", "status")
    if "OBSERVE" not in said or "nothing to connect to" not in said:
        raise Failed(f"status says to another user: {said}")
    time.sleep(3)
    now = house.now()
    if any(now["writes"]) or any(now["requests"]):
        raise Failed(f"it has asked or told the devices something: {now}")
    return f"installed in {took:.1f} s, groups {' '.join(groups)}; 0 requests and 0 writes to the devices"


def b_works(machine, house):
    """with the configuration of the site: run, status, balance"""
    configure(machine, configuration(house.listen))
    machine.run("sax-controller", "check", "--quiet")
    since = time.time()
    machine.run("systemctl", "restart", UNIT)
    first = setpoint_after(house, since, 20) - since
    runs(machine)
    _, worst = house.settled("self-consumption settles")
    took = time.time() - since - CALM_S
    status = machine.run("runuser", "-u", "guest", "--", "sax-controller", "status")
    rows = [line.split()[0] for line in status.splitlines() if re.match(r"\s+[ABC]\s+L[123]\s", line)]
    if " RUN" not in status.splitlines()[0] or rows != ["A", "B", "C"]:
        raise Failed(f"status says: {status}")
    return f"first setpoint {first:.1f} s after the command to restart, every phase within {worst} W from {took:.1f} s on"


def c_killed(machine, house):
    """kill -9: back within 5 s, batteries safe meanwhile"""
    at_work(machine, house)
    was = machine.pid()
    since = house.load(*CALM)
    machine.run("kill", "-9", str(was))
    ready = back(machine, was, 15) - since
    first = setpoint_after(house, since + 0.5, 15) - since
    house.settled("the house is balanced again")
    safe = house.safe(since, time.time())
    figures = f"READY after {ready:.2f} s, first setpoint after {first:.2f} s; {safe}"
    if ready > BACK_S or first > BACK_S + SAMPLES_S:
        raise Failed(f"not back within {BACK_S} s: {figures}")
    return figures


def back(machine, was, within_s):
    """When another process than `was` is ready, by the clock of the wall."""

    def is_back():
        pid, active = machine.show("MainPID", "ActiveState")
        return int(pid or 0) not in (0, was) and active == "active"

    until("the service is back", is_back, within_s)
    return machine.ready_s() + time.time() - time.monotonic()


def d_hangs(machine, house):
    """SIGSTOP: systemd restarts it by watchdog, batteries safe"""
    at_work(machine, house)
    was = machine.pid()
    since = house.load(*CALM)
    machine.run("kill", "-STOP", str(was))
    ready = back(machine, was, 40) - since
    if not any("atchdog" in line for line in machine.said(since)):
        raise Failed(f"the journal does not speak of a watchdog: {machine.said(since)}")
    first = setpoint_after(house, since + 0.5, 15) - since
    house.settled("the house is balanced again")
    return f"READY after {ready:.1f} s, first setpoint after {first:.1f} s; {house.safe(since, time.time())}"


def e_misconfigured(machine, house):
    """bad configuration: 78, no loop, line and column; reload tells"""
    at_work(machine, house)
    good = configuration(house.listen)
    bad = good.replace("fuse_a = 25", "fuse_a = 2500000")
    line = 1 + bad[: bad.index("fuse_a")].count("\n")
    place = f"{FILE}:{line}:"
    since = time.time()
    configure(machine, good.replace("poll_ms = 1000", "poll_ms = 1500", 1))
    machine.run("systemctl", "reload", UNIT)
    would = until("reload says what a restart would change", lambda: [m for m in machine.said(since) if "a restart would change" in m], 5)
    if not any("poll_ms = 1500" in m for m in would):
        raise Failed(f"reload says: {would}")
    configure(machine, bad)
    machine.run("systemctl", "reload", UNIT)
    until("reload says that the file has mistakes", lambda: any(place in m for m in machine.said(since, "-p", "err")), 5)
    if not machine.is_ready():
        raise Failed("the reload has ended the service")
    code, _ = machine.ask("systemctl", "restart", UNIT)
    if code == 0:
        raise Failed("it starts with a bad configuration")
    restarts = machine.show("NRestarts")
    time.sleep(5)
    now = machine.show("ActiveState", "ExecMainStatus", "NRestarts")
    if now != ["failed", "78", *restarts]:
        raise Failed(f"state, exit code, restarts: {now}, restarts before {restarts}")
    _, status = machine.ask("systemctl", "status", "--no-pager", UNIT)
    shown = [text for text in status.splitlines() if re.search(re.escape(place) + r"\d+", text)]
    if not shown:
        raise Failed(f"systemctl status does not show {place}: {status}")
    configure(machine, good)
    machine.run("systemctl", "start", UNIT)
    house.settled("the house is balanced again")
    return f"failed with 78, 0 restarts in 5 s; status: {shown[0].split(']: ')[-1].strip()[:90]}; systemctl start works when mended"


def another(package, work, version, edit=None):
    """A package like this one, of another version."""
    folder = os.path.join(work, version)
    subprocess.run(["dpkg-deb", "-R", package, folder], check=True)
    control = os.path.join(folder, "DEBIAN/control")
    with open(control) as file:
        text = re.sub(r"(?m)^Version: .*$", f"Version: {version}", file.read())
    with open(control, "w") as file:
        file.write(text)
    if edit:
        with open(os.path.join(folder, FILE[1:]), "a") as file:
            file.write(edit)
    made = os.path.join(work, f"sax-controller_{version}.deb")
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", folder, made], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(folder)
    return made


def f_upgraded(machine, house, package, work):
    """upgrade: edits survive, one restart, short gap"""
    at_work(machine, house)
    with open(machine.path(FILE), "a") as file:
        file.write("# edited by hand\n")
    machine.run("chmod", "0640", FILE)
    machine.run("chown", "root:sax", FILE)
    figures = [upgrade(machine, house, another(package, work, "9.0-1"))]
    figures.append(upgrade(machine, house, another(package, work, "9.1-1", "# The maintainer has changed this file.\n")))
    with open(machine.path(FILE)) as file:
        text = file.read()
    if not text.endswith("# edited by hand\n") or "maintainer has changed" in text:
        raise Failed(f"the edited configuration was replaced: {text}")
    os.unlink(machine.path(FILE + ".dpkg-dist"))
    return "; ".join(figures)


def upgrade(machine, house, package):
    """Installs a package of a higher version over the running one; returns the gap in words."""
    house.settled("the house is balanced")
    file = os.stat(machine.path(FILE))
    name = os.path.basename(package)
    shutil.copy(package, machine.path("/root/" + name))
    was, since = machine.pid(), time.time()
    machine.run("dpkg", "--force-confold", "-i", "/root/" + name)
    ready = back(machine, was, 20)
    starts = [m for m in machine.said(since) if re.match(r"sax-controller \S+ starts", m)]
    now = os.stat(machine.path(FILE))
    if len(starts) != 1:
        raise Failed(f"{name}: the service was started {len(starts)} times")
    if (file.st_mode, file.st_uid, file.st_gid) != (now.st_mode, now.st_uid, now.st_gid):
        raise Failed(f"{name}: mode and owner of the configuration have changed: {file}, {now}")
    # Between the two: the old one has handed the batteries back, the new one has not begun.
    between = int(machine.show("InactiveExitTimestampMonotonic")[0]) / 1e6 + time.time() - time.monotonic()
    first = setpoint_after(house, between, 20)
    last = max(w["s"] for w in house.written(since) if w["s"] < between)
    gap = first - last
    if gap > GAP_MOST_S:
        raise Failed(f"{name}: {gap:.2f} s from the last command of the old to the first of the new process, of at most {GAP_MOST_S} s")
    house.settled("the house is balanced again")
    return (
        f"{name}: 1 start, READY {ready - since:.1f} s after dpkg was called, {gap:.2f} s from the last command of the old to the first of"
        f" the new process ({int(gap)} whole meter periods); {house.safe(since, time.time())}"
    )


def g_stopped(machine, house):
    """stop: batteries are released within 3 s"""
    at_work(machine, house)
    since = time.time()
    if house.is_released():
        raise Failed(f"the batteries are not commanded: {house.now()}")
    machine.run("systemctl", "stop", UNIT)
    took = time.time() - since
    until("the batteries are released", house.is_released, 5)
    released = min(state["s"] for state in house.between(since, time.time()) if not any(state["setpoint_w"])) - since
    if released > 3 or took > 4:
        raise Failed(f"released after {released:.1f} s, stopped after {took:.1f} s")
    if machine.show("Result", "ExecMainStatus") != ["success", "0"]:
        raise Failed(f"it ended badly: {machine.show('Result', 'ExecMainStatus')}")
    machine.run("systemctl", "start", UNIT)
    return f"no setpoint but 0 W {released:.2f} s after the command, ended after {took:.2f} s with exit code 0"


def i_rebooted(machine, house):
    """reboot of the machine: control resumes by itself"""
    at_work(machine, house)
    since = house.load(*CALM)
    machine.reboot()
    until("the service is active", machine.is_ready, 20)
    ready = machine.ready_s() + time.time() - time.monotonic()
    first = setpoint_after(house, ready, 20)
    house.settled("the house is balanced again")
    return f"READY {ready - since:.1f} s and first setpoint {first - since:.1f} s after the command to reboot; {house.safe(since, time.time())}"
