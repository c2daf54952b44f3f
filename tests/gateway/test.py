"""The gateway test: boots a Debian 12, installs the package, and proves step by step what it promises. tests/gateway/run calls it.

Arguments: the tree of a Debian 12, the package, the simulated site. Ends with 1 when a step has failed.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

import life
import system
from house import Site
from machine import UNIT, Failed, Machine, sweep

NSPAWN = "/run/systemd/nspawn"
# How long the journal is watched, seconds.
QUIET_S = int(os.environ.get("GATEWAY_QUIET_S", "60"))


def steps(machine, house, package, site_program, work, before):
    """All of them, in order: a name, what it is about, and what runs it."""
    own = "/root/" + os.path.basename(package)
    inside = "/root/" + os.path.basename(site_program)
    calls = [
        (life.a_installed, (machine, house, own)),
        (life.b_works, (machine, house)),
        (life.c_killed, (machine, house)),
        (life.d_hangs, (machine, house)),
        (life.e_misconfigured, (machine, house)),
        (life.f_upgraded, (machine, house, package, work)),
        (life.g_stopped, (machine, house)),
        (system.h_plugged_in, (machine, inside)),
        (system.j_confined, (machine, house)),
        (system.k_log_moved, (machine, house)),
        (system.m_quiet, (machine, house, QUIET_S)),
        (life.i_rebooted, (machine, house)),
        (system.l_removed, (machine, house, before)),
    ]
    only = os.environ.get("GATEWAY_STEPS")
    return [call for call in calls if not only or call[0].__name__[0] in "a" + only]


def prove(machine, step, arguments):
    """Runs a step; says how it went, with the journal where it failed. Returns whether it went well."""
    since = time.time()
    try:
        figures = step(*arguments)
    except Exception as error:  # pylint: disable=broad-except
        print(f"FAILED {step.__name__[0]}. {step.__doc__}: {error}", flush=True)
        if not isinstance(error, Failed):
            traceback.print_exc()
        print(journal(machine, since), flush=True)
        return False
    print(f"ok {step.__name__[0]}. {step.__doc__}: {figures} [{time.time() - since:.0f} s]", flush=True)
    return True


def journal(machine, since):
    """What a person wants to see of the machine."""
    try:
        return machine.run("journalctl", "--no-pager", "-n", "80", "-o", "short-precise", f"--since=@{since:.6f}", check=False)
    except (Failed, OSError, subprocess.SubprocessError) as error:
        return f"the journal cannot be read: {error}; the console:\n{machine.console()}"


def test(tree, package, site_program, work):
    """Returns how many steps went well and how many did not."""
    passed = failed = 0
    machine = house = None
    try:
        machine = Machine(tree, work)
        for file in [package, site_program]:
            shutil.copy(file, machine.path("/root/"))
        machine.boot()
        house = Site(site_program, machine.beside())
        machine.run("useradd", "--create-home", "guest")
        before = system.inventory(machine)
        for step, arguments in steps(machine, house, package, site_program, work, before):
            if prove(machine, step, arguments):
                passed += 1
            else:
                failed += 1
    finally:
        if house:
            house.close()
        if machine:
            machine.remove()
    return passed, failed


def main():
    """Everything that is made is gone at the end, whatever happens."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(1))
    tree, package, site_program = (os.path.abspath(path) for path in sys.argv[1:4])
    begun = time.time()
    # systemd makes this at its start; a computer without systemd has none.
    mounted = not os.path.ismount(NSPAWN) and not os.path.isdir("/run/systemd/system")
    if mounted:
        os.makedirs(NSPAWN, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", NSPAWN], check=True)
    sweep(os.path.dirname(tree))
    work = tempfile.mkdtemp(prefix=f"run-{os.getpid()}-", dir=os.path.dirname(tree))
    try:
        passed, failed = test(tree, package, site_program, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if mounted:
            # Another run may be using it.
            subprocess.run(["umount", "--quiet", NSPAWN], check=False, stderr=subprocess.DEVNULL)
    print(f"gateway-test of {UNIT}: {passed} passed, {failed} failed, {time.time() - begun:.0f} s")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
