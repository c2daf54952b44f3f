"""The gateway: a Debian 12 that systemd-nspawn boots, in a network namespace of its own that has only a loopback.

Answers for a machine of this run's own: nothing else on the computer is touched, and all of it is gone at the end. Never judges.
"""

import json
import os
import shutil
import subprocess
import time

UNIT = "sax-controller"
# What the name of a machine begins with; the number of the run follows.
PREFIX = "saxgw-"
# Longest time that a command inside may take.
COMMAND_S = 60
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "SYSTEMD_PAGER": ""}
BOOT_S = 60
STOP_S = 15
# systemd-nspawn ends with this when the machine wants to be booted again.
REBOOT = 133


class Failed(Exception):
    """What was to be proved is not so."""


def until(what, done, within_s, every_s=0.05):
    """Waits until `done()` is true, and returns what it returned; fails when that takes too long."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        outcome = done()
        if outcome:
            return outcome
        time.sleep(every_s)
    raise Failed(f"{what}: not within {within_s} s")


def control_groups():
    """Where the trees of cgroups are that systemd works with: version 2, and its own of version 1 where there is one beside it."""
    with open("/proc/self/mounts") as file:
        mounts = [line.split() for line in file]
    return [m[1] for m in mounts if m[2] == "cgroup2" or (m[2] == "cgroup" and "name=systemd" in m[3].split(","))]


def removed(group):
    """Removes a cgroup with all below it; says whether it is gone. One is busy as long as a process in it has not ended."""
    try:
        for folder, _, _ in os.walk(group, topdown=False):
            os.rmdir(folder)
    except OSError:
        return False
    return True


def sweep(cache):
    """Removes what runs have left that were killed before they could: their machines have shut down, but names and folders remain."""

    def is_left(name, prefix):
        return name.startswith(prefix) and not os.path.exists("/proc/" + name[len(prefix) :].split("-")[0])

    for name in os.listdir("/run/netns") if os.path.isdir("/run/netns") else []:
        if is_left(name, PREFIX):
            subprocess.run(["ip", "netns", "delete", name], check=False)
    for place in control_groups():
        for name in os.listdir(place):
            if is_left(name, PREFIX):
                removed(os.path.join(place, name))
    for name in os.listdir(cache):
        if is_left(name, "run-"):
            shutil.rmtree(os.path.join(cache, name), ignore_errors=True)


class Machine:
    """Made from a tree, booted, entered, and removed."""

    def __init__(self, tree, work):
        self.name = f"{PREFIX}{os.getpid()}"
        self.root = os.path.join(work, "root")
        self.log = os.path.join(work, "boot.log")
        self.process = None
        self.groups = [os.path.join(place, self.name) for place in control_groups()]
        subprocess.run(["cp", "-a", "--reflink=auto", tree, self.root], check=True)
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        subprocess.run(["ip", "-n", self.name, "link", "set", "lo", "up"], check=True)

    def boot(self):
        """Starts it; returns when its systemd has nothing left to start."""
        self.power_on()
        until("the machine boots", self.is_up, BOOT_S, 0.2)

    def power_on(self):
        # As Debian 12 has it by itself: cgroups of version 2, which devices are kept from a service with.
        environment = dict(os.environ, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY="1")
        command = ["systemd-nspawn", "--quiet", "--boot", f"--directory={self.root}", f"--machine={self.name}", "--register=no"]
        command += ["--keep-unit", "--kill-signal=SIGRTMIN+3", f"--network-namespace-path=/run/netns/{self.name}"]
        # And what systemd needs for that.
        command += ["--system-call-filter=bpf", "--capability=CAP_BPF,CAP_NET_ADMIN"]
        # In a group of its own, or several runs would share one. The machine shuts down when this program dies.
        enter = 'while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs"; shift; done; shift; exec setpriv --pdeathsig TERM -- "$@"'
        for group in self.groups:
            os.makedirs(group, exist_ok=True)
        with open(self.log, "ab") as log:
            full = ["sh", "-ec", enter, "enter", *self.groups, "--", *command]
            self.process = subprocess.Popen(full, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)

    def init(self):
        """The number of its systemd, seen from here; None while it has none."""
        try:
            with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as file:
                children = file.read().split()
            for child in children:
                with open(f"/proc/{child}/comm") as file:
                    if file.read().strip() == "systemd":
                        return int(child)
        except OSError:
            pass
        return None

    def is_up(self):
        """Whether it has booted."""
        if self.process.poll() is not None:
            raise Failed(f"the machine has ended with {self.process.returncode}: {self.console()}")
        return self.init() and self.ask("systemctl", "is-system-running")[1].strip() in ("running", "degraded")

    def reboot(self):
        """As a person does it; returns when it has booted again."""
        self.ask("systemctl", "reboot")
        if self.process.wait(BOOT_S) != REBOOT:
            raise Failed(f"it does not want to boot again: {self.process.returncode}")
        self.boot()

    def console(self):
        """The end of what it has printed."""
        with open(self.log, errors="replace") as file:
            return file.read()[-1500:]

    def command(self, *command):
        """The command line that runs something inside."""
        init = self.init()
        if init is None:
            raise Failed("the machine is not up")
        return ["nsenter", "-t", str(init), "-a", "--", *command]

    def ask(self, *command, stdin=subprocess.DEVNULL):
        """Runs something inside; returns its exit code and all that it said."""
        done = subprocess.run(
            self.command(*command), stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENVIRONMENT, timeout=COMMAND_S
        )
        return done.returncode, done.stdout.decode(errors="replace")

    def run(self, *command, check=True):
        """Runs something inside that must succeed; returns all that it said."""
        code, said = self.ask(*command)
        if check and code != 0:
            raise Failed(f"{' '.join(command)}: exit code {code}: {said}")
        return said

    def beside(self, *command):
        """The command line that runs something of this computer in the network of the machine."""
        return ["ip", "netns", "exec", self.name, *command]

    def path(self, inside):
        """Where a file of the machine is, seen from here. Not for /run, /tmp and /dev, which it mounts."""
        return self.root + inside

    def show(self, *names):
        """Properties of the service, in this order."""
        said = self.run("systemctl", "show", UNIT, *[f"--property={name}" for name in names])
        have = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
        return [have.get(name, "") for name in names]

    def pid(self):
        """The main process of the service, as its own machine counts; 0 while there is none."""
        return int(self.show("MainPID")[0] or 0)

    def ready_s(self):
        """When the service was ready last, by the clock that never jumps."""
        return int(self.show("ActiveEnterTimestampMonotonic")[0] or 0) / 1e6

    def is_ready(self):
        """Whether it is ready."""
        return self.show("ActiveState", "SubState") == ["active", "running"]

    def journal(self, since, *options):
        """What the journal has of the service since this time of the wall, a dictionary for each line."""
        said = self.run("journalctl", "-u", UNIT, "-o", "json", "--no-pager", f"--since=@{since:.6f}", *options)
        entries = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        for entry in entries:
            if isinstance(entry.get("MESSAGE"), list):
                entry["MESSAGE"] = bytes(entry["MESSAGE"]).decode(errors="replace")
        return entries

    def said(self, since, *options):
        """The lines of the journal alone."""
        return [entry.get("MESSAGE") or "" for entry in self.journal(since, *options)]

    def status(self):
        """The status document of the running service; None while it does not answer."""
        code, said = self.ask("sax-controller", "status", "--json")
        return json.loads(said) if code == 0 else None

    def remove(self):
        """Stops it, by force if need be, and leaves nothing of it."""
        try:
            if self.process and self.process.poll() is None:
                self.process.terminate()
                self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            print("the machine does not shut down and is killed", flush=True)
        for group in self.groups:
            end = os.path.join(group, "cgroup.kill")
            if os.path.exists(end):
                with open(end, "w") as file:
                    file.write("1")
        if self.process:
            self.process.wait(STOP_S)
        subprocess.run(["ip", "netns", "delete", self.name], check=False)
        until("nothing of the machine runs", lambda: all(map(removed, self.groups)), STOP_S)
        shutil.rmtree(self.root, ignore_errors=True)
