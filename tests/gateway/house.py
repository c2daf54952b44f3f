"""The simulated site of this run, as tests/gateway/site.rs plays it, and its record of what was really the case.

Never asks the controller for anything: whether the batteries are safe is what they themselves say.
"""

import json
import subprocess
import threading
import time

from machine import Failed, until

# Ratings of the batteries, and the fuse of 25 A at 230 V.
MOST_CHARGE_W, MOST_DISCHARGE_W, FUSE_W = 3500, 4600, 5750
# As near to 0 W as batteries come with a dead band of 30 W, and noise.
NEAR_W = 90
# For so long.
CALM_S = 3
# Register of the setpoint in each bank of a SAX battery.
SETPOINTS = {64: (41,), 100: (49, 40049)}
NAMES = "ABC"


class Site:
    """Runs with `prefix` in front of the program; ends with `close`."""

    def __init__(self, program, prefix, *arguments):
        self.process = subprocess.Popen([*prefix, program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.listen = None
        self.states = []
        self.writes = []
        self.arrived = threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()
        until("the simulated site runs", lambda: self.listen and self.states, 10)

    def read(self):
        for line in self.process.stdout:
            entry = json.loads(line)
            entry["s"] = entry["unix_ms"] / 1000
            with self.arrived:
                if "listen" in entry:
                    self.listen = entry["listen"]
                elif "write" in entry:
                    self.writes.append(entry)
                else:
                    self.states.append(entry)

    def tell(self, line):
        """One command."""
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def load(self, *watts):
        """Watts on each phase on top of the house. Returns the time of the wall."""
        self.tell("load " + " ".join(map(str, watts)))
        return time.time()

    def now(self):
        """What is the case."""
        if self.process.poll() is not None:
            raise Failed("the simulated site has ended")
        with self.arrived:
            return self.states[-1]

    def between(self, since, to):
        with self.arrived:
            return [state for state in self.states if since <= state["s"] <= to]

    def written(self, since):
        """What was written to the batteries."""
        with self.arrived:
            return [w for w in self.writes if w["s"] >= since]

    def setpoints(self, since):
        """What was written to the setpoints of the batteries."""
        return [w for w in self.written(since) if w["write"]["address"] in SETPOINTS.get(w["write"]["unit"], ())]

    def is_released(self):
        """Whether no battery stands under a setpoint other than 0 W."""
        return not any(self.now()["setpoint_w"])

    def settled(self, what, within_s=60):
        """Waits until every phase was near 0 W for some seconds; returns since when it was, after now, and how far off it is."""
        begun = time.time()

        def calm():
            now = time.time()
            if now - begun < CALM_S:
                return None
            recent = self.between(now - CALM_S, now)
            worst = max((abs(w) for state in recent for w in state["grid_w"]), default=None)
            return None if worst is None or worst > NEAR_W else (now - CALM_S - begun, worst)

        try:
            return until(what, calm, within_s)
        except Failed as error:
            raise Failed(f"{error}; the last: {self.now()}") from None

    def safe(self, since, to):
        """Fails unless all batteries kept to their ratings and no phase went over its fuse; returns the extremes in words."""
        states = self.between(since, to)
        if not states:
            raise Failed("the site has no record of that time")
        powers = [w for state in states for w in state["battery_w"]]
        grid = max(abs(w) for state in states for w in state["grid_w"])
        least, most = min(powers), max(powers)
        if least < -MOST_CHARGE_W - 50 or most > MOST_DISCHARGE_W + 50 or grid > FUSE_W:
            raise Failed(f"not safe: batteries {least} W to {most} W, a phase {grid} W")
        return f"batteries {least} to {most} W of -{MOST_CHARGE_W} to {MOST_DISCHARGE_W}, phases up to {grid} W of {FUSE_W}"

    def close(self):
        """Ends it."""
        try:
            self.process.stdin.close()
            self.process.wait(5)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
