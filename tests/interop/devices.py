"""Devices of the references, made with pymodbus and literal register addresses: nothing here comes from a device profile.

Prints one line of JSON with the port of each device, then answers until it is killed. Writes go to the file named by the first argument,
a line each: device, address, values.
"""

import asyncio
import json
import socket
import struct
import sys

from pymodbus.datastore import ModbusServerContext, ModbusSparseDataBlock
from pymodbus.server import ModbusTcpServer

try:
    from pymodbus.datastore import ModbusDeviceContext as DeviceContext
except ImportError:  # before 3.10
    from pymodbus.datastore import ModbusSlaveContext as DeviceContext

# A device context of pymodbus adds one to the addresses on the wire before it asks its block.
SHIFT = 1


def f32(value):
    high, low = struct.unpack(">HH", struct.pack(">f", value))
    return [high, low]


def i32(value):
    high, low = struct.unpack(">HH", struct.pack(">i", value))
    return [high, low]


def fill(registers, address, words):
    for i, word in enumerate(words):
        registers[address + i] = word & 0xFFFF


def acuvim2():
    """Reference 3, register map of the Acuvim II: float32, high word first."""
    r = {a: 0 for a in range(0x0000, 0x0200)}
    for i, v in enumerate([230.5, 231.25, 229.75]):
        fill(r, 0x0000 + 2 * i, f32(v))
    for i, a in enumerate([4.5, 2.25, 1.125]):
        fill(r, 0x0010 + 2 * i, f32(a))
    fill(r, 0x0040, f32(1.8))
    fill(r, 0x0100, f32(1234.5))
    return r


def acuvim2_float():
    """facts/devices.md 2.2: the block at 0x4000, energies at 0x4048."""
    r = {a: 0 for a in range(0x4000, 0x4100)}
    fill(r, 0x4000, f32(49.98))
    for i, v in enumerate([230.5, 231.25, 229.75]):
        fill(r, 0x4002 + 2 * i, f32(v))
    for i, a in enumerate([4.5, 2.25, 1.125]):
        fill(r, 0x4012 + 2 * i, f32(a))
    for i, p in enumerate([900.0, -500.0, 250.0]):
        fill(r, 0x401C + 2 * i, f32(p))
    fill(r, 0x4022, f32(650.0))
    fill(r, 0x4048, i32(12345))
    fill(r, 0x404A, i32(678))
    return r


def powerpack():
    """Reference 3, registers of the PowerPack."""
    r = {a: 0 for a in range(1990, 2040)}
    r[2000], r[2008], r[2010], r[2026], r[2028] = 1, 0, 7, 55, 4
    return r


def tesla():
    """facts/devices.md 1.3."""
    r = {a: 0 for a in list(range(100, 150)) + list(range(200, 240)) + list(range(1000, 1040)) + [1500]}
    fill(r, 139, i32(100_000))
    fill(r, 141, i32(100_000))
    fill(r, 145, i32(232_000))
    fill(r, 201, i32(0))
    fill(r, 205, i32(200_000))
    fill(r, 207, i32(110_000))
    r[218] = 2
    return r


def sbau():
    """Reference 4 (status) and facts/devices.md 3.2 (metrics); a cluster's limits at 2001 + 23 and + 24."""
    r = {a: 0 for a in list(range(1000, 1040)) + list(range(1100, 1140)) + list(range(2000, 2040))}
    r[1001], r[1002], r[1003], r[1004] = 5120, 32000 + 105, 612, 990
    r[1010], r[1014], r[1018], r[1022] = 3400, 3350, 40 + 31, 40 + 22
    r[1101], r[1102] = 0b10, 0b1  # ready, cluster 1 in operation
    r[1115], r[1116], r[1118], r[1119], r[1122], r[1123] = 1, 1, 65_000, 1, 1, 1
    for i, v in enumerate([2026, 11, 21, 10, 30, 0]):
        r[1132 + i] = v
    r[2001 + 23], r[2001 + 24] = 500, 250  # 50 A charge, 25 A discharge
    return r


DEVICES = {"acuvim2": (2, acuvim2), "acuvim2-float": (1, acuvim2_float), "powerpack": (1, powerpack), "tesla": (1, tesla), "sbau": (1, sbau)}


class Block(ModbusSparseDataBlock):
    """Notes what is written, and behaves a little like the device."""

    def __init__(self, name, registers, log):
        super().__init__({address + SHIFT: value for address, value in registers.items()})
        self.name, self.log = name, log

    def setValues(self, address, values, use_as_default=False):  # noqa: N802
        super().setValues(address, values, use_as_default)
        address -= SHIFT
        values = values if isinstance(values, list) else [values]
        self.log.write(json.dumps([self.name, address, values]) + "\n")
        self.log.flush()
        if self.name == "tesla" and address == 1020:
            super().setValues(201 + SHIFT, values)


async def main():
    log = open(sys.argv[1], "w", encoding="utf-8")
    ports, servers = {}, []
    for name, (unit, make) in DEVICES.items():
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            ports[name] = s.getsockname()[1]
        block = Block(name, make(), log)
        device = DeviceContext(hr=block, ir=block)
        try:
            context = ModbusServerContext(devices={unit: device}, single=False)
        except TypeError:  # before 3.10
            context = ModbusServerContext(slaves={unit: device}, single=False)
        server = ModbusTcpServer(context, address=("127.0.0.1", ports[name]))
        servers.append(asyncio.create_task(server.serve_forever()))
    await asyncio.sleep(0.5)
    print(json.dumps(ports), flush=True)
    await asyncio.gather(*servers)


asyncio.run(main())
