"""pymodbus as a client of our Modbus server: "tcp PORT" or "rtu PORT". Says what differs and ends with 1."""

import sys

from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from pymodbus.exceptions import ModbusIOException

DEFAULTS = [16000, 3, 24000, 1, 12500, 22000, 5, 1000, 19000, 1, 1000, 0, 30]


def same(what, got, wanted):
    if got != wanted:
        sys.exit(f"{what}: {got} instead of {wanted}")


def registers(what, reply, wanted):
    if reply.isError():
        sys.exit(f"{what}: {reply}")
    same(what, reply.registers, wanted)


def refused(what, reply, code):
    if not reply.isError():
        sys.exit(f"{what}: {reply} instead of exception {code}")
    same(what, reply.exception_code, code)


def done(what, reply):
    if reply.isError():
        sys.exit(f"{what}: {reply}")


def silent(what, ask):
    try:
        reply = ask()
    except ModbusIOException:
        return
    sys.exit(f"{what}: {reply} instead of silence")


def main():
    kind, place = sys.argv[1:]
    if kind == "tcp":
        client = ModbusTcpClient("127.0.0.1", port=int(place), timeout=3)
    else:
        client = ModbusSerialClient(place, baudrate=19200, timeout=2, retries=0)
    same("connected", client.connect(), True)
    ours = {"device_id": 10}
    registers("settings", client.read_holding_registers(1010, count=13, **ours), DEFAULTS)
    registers("as inputs", client.read_input_registers(1010, count=13, **ours), DEFAULTS)
    done("FC 6", client.write_register(1000, 6000, **ours))
    registers("override", client.read_holding_registers(1000, count=1, **ours), [6000])
    done("FC 16", client.write_registers(1010, [10000, 1], **ours))
    registers("staged", client.read_holding_registers(1010, count=2, **ours), [10000, 1])
    # The whole of a map of our own: version 1, and no batteries.
    registers("map", client.read_holding_registers(2000, count=1, **ours), [1])
    registers("no batteries", client.read_holding_registers(2034, count=1, **ours), [0])
    refused("a gap", client.read_holding_registers(1003, count=1, **ours), 2)
    refused("read only", client.write_register(1001, 1, **ours), 2)
    refused("all or nothing", client.write_registers(1021, [6000, 0], **ours), 3)
    registers("nothing of it", client.read_holding_registers(1021, count=2, **ours), [0, 30])
    refused("coils", client.read_coils(1000, count=1, **ours), 1)
    refused("FC 23", client.readwrite_registers(read_address=1000, read_count=1, write_address=1000, values=[1], **ours), 1)
    refused("FC 43", client.read_device_information(**ours), 1)
    # Through the gateway, by every function that it passes on.
    there = {"device_id": 64}
    registers("FC 3", client.read_holding_registers(0, count=125, **there), list(range(1000, 1125)))
    registers("FC 4", client.read_input_registers(100, count=2, **there), [2100, 2101])
    same("FC 1", client.read_coils(0, count=9, **there).bits[:9], [k % 3 == 0 for k in range(9)])
    same("FC 2", client.read_discrete_inputs(0, count=3, **there).bits[:3], [False, True, False])
    done("FC 5", client.write_coil(1, True, **there))
    done("FC 15", client.write_coils(1, [False, False], **there))
    done("FC 6 through", client.write_register(10, 1010, **there))
    done("FC 16 through", client.write_registers(11, [1011, 1012], **there))
    refused("its own exception", client.read_holding_registers(199, count=2, **there), 2)
    for unit in [63, 99]:
        ask = lambda unit=unit: client.read_holding_registers(0, count=1, device_id=unit)  # noqa: E731
        if kind == "tcp":
            refused(f"unit {unit}", ask(), 0x0B)
        else:
            silent(f"unit {unit}", ask)
            client.connect()
    # Back to the configuration, override and all.
    done("1092", client.write_register(1092, 1, **ours))
    registers("restored", client.read_holding_registers(1010, count=13, **ours), DEFAULTS)
    registers("no override", client.read_holding_registers(1000, count=1, **ours), [16000])
    client.close()


main()
