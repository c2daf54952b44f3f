"""Polls a server with pymodbus. Arguments and output as ours.rs; a fourth argument makes it wait for its end, to be measured."""

import sys
import time

from pymodbus.client import ModbusTcpClient

port, count, polls = (int(a) for a in sys.argv[1:4])
client = ModbusTcpClient("127.0.0.1", port=port)
assert client.connect()


def poll():
    return sum(client.read_holding_registers(0, count=count, device_id=64).registers)


for _ in range(100):
    poll()
total = 0
begun, before = time.monotonic_ns(), time.process_time_ns()
for _ in range(polls):
    total += poll()
cpu = time.process_time_ns() - before
print(time.monotonic_ns() - begun, cpu, total, flush=True)
if len(sys.argv) > 4:
    sys.stdin.read()
