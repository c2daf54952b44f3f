"""A Modbus server with pymodbus: "rtu PORT" (9600 8N1) or "tcp PORT" on 127.0.0.1, units 1 and 64. The map is that of client.rs."""

import sys

from pymodbus import ModbusDeviceIdentification
from pymodbus.datastore import ModbusDeviceContext, ModbusSequentialDataBlock, ModbusServerContext
from pymodbus.server import StartSerialServer, StartTcpServer

COUNT = 200


def unit():
    # The first address of a block counts from one.
    return ModbusDeviceContext(
        co=ModbusSequentialDataBlock(1, [k % 3 == 0 for k in range(COUNT)]),
        di=ModbusSequentialDataBlock(1, [k % 2 == 1 for k in range(COUNT)]),
        hr=ModbusSequentialDataBlock(1, [1000 + k for k in range(COUNT)]),
        ir=ModbusSequentialDataBlock(1, [2000 + k for k in range(COUNT)]),
    )


def main():
    kind, port = sys.argv[1:]
    context = ModbusServerContext(devices={1: unit(), 64: unit()}, single=False)
    identity = ModbusDeviceIdentification(info_name={"VendorName": "interop", "ProductCode": "py", "MajorMinorRevision": "1.0"})
    print("ready", flush=True)
    if kind == "rtu":
        StartSerialServer(context, identity=identity, port=port, baudrate=9600, parity="N", stopbits=1, bytesize=8,
                          ignore_missing_devices=True)
    else:
        StartTcpServer(context, identity=identity, address=("127.0.0.1", int(port)), ignore_missing_devices=True)


main()
