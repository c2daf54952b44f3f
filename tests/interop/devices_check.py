"""Compares what `status` says with the registers of devices.py, and what was written with what the references print."""

import json
import socket
import sys


def status(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        return json.loads(s.makefile().read())


def same(what, found, expected, within=0):
    if found is None or (abs(found - expected) > within if isinstance(expected, (int, float)) else found != expected):
        sys.exit(f"{what}: {found!r} instead of {expected!r}")


def written(path, device):
    with open(path, encoding="utf-8") as lines:
        return [(address, values) for name, address, values in map(json.loads, lines) if name == device]


def first_site(document, log):
    meter, battery = document["meter"], document["batteries"][0]
    same("power", meter["power_w"], 650)
    same("frequency", meter["frequency_hz"], 49.98, 0.001)
    same("import", meter["import_wh"], 1_234_500)
    same("export", meter["export_wh"], 67_800)
    for phase, (watts, amperes, volts) in zip(meter["phases"], [(900, 4.5, 230.5), (-500, 2.25, 231.25), (250, 1.125, 229.75)]):
        same("power of " + phase["phase"], phase["power_w"], watts)
        same("current of " + phase["phase"], phase["current_a"], amperes, 0.001)
        same("voltage of " + phase["phase"], phase["voltage_v"], volts, 0.001)
    same("Tesla's state of charge", battery["soc_pct"], 55.0)
    bms = battery["bms"]
    same("BMS", bms["state"], "Normal")
    for key, value in [("soc_pct", 61.2), ("soh_pct", 99.0), ("voltage_v", 512.0), ("current_a", 10.5)]:
        same("BMS " + key, bms[key], value, 0.001)
    same("charge limit of the cluster", bms["charge_limit_a"], 50.0)
    same("discharge limit of the cluster", bms["discharge_limit_a"], 25.0)
    # 25 A times 512 V, 5 % less for the inverter (spec/control.md 2.4).
    same("discharge limit of the battery", battery["discharge_limit_w"], 12_160)
    same("charge limit of the battery", battery["charge_limit_w"], 25_600)
    writes = written(log, "tesla")
    order = [address for address, _ in writes]
    same("first writes", order[:5], [1001, 1022, 1020, 1023, 1000])
    beats = [values[0] for address, values in writes if address == 1022]
    same("heartbeats in turn", beats, [0xAA55 if i % 2 == 0 else 0x55AA for i in range(len(beats))])
    same("timeout", dict((a, v) for a, v in writes)[1023], [10])
    same("mode", dict((a, v) for a, v in writes)[1000], [1])
    # The load of 650 W never goes away here, so the power is raised.
    power = [values for address, values in writes if address == 1020][-1]
    same("discharge is positive", power[0], 0)
    if power[1] == 0:
        sys.exit("nothing is discharged")


def second_site(document, log):
    meter, battery = document["meter"], document["batteries"][0]
    same("power in kW times 1000", meter["power_w"], 1800)
    same("phases make the total", sum(phase["power_w"] for phase in meter["phases"]), 1800)
    for phase, (amperes, volts) in zip(meter["phases"], [(4.5, 230.5), (2.25, 231.25), (1.125, 229.75)]):
        same("current of " + phase["phase"], phase["current_a"], amperes, 0.001)
        same("voltage of " + phase["phase"], phase["voltage_v"], volts, 0.001)
    same("import", meter["import_wh"], 1_234_500)
    same("PowerPack's state of energy", battery["soc_pct"], 55.0)
    writes = written(log, "powerpack")
    same("only the target power is written", {address for address, _ in writes}, {2008})
    # 1.8 kW from the grid, and whole kilowatts.
    if not any(values == [1] for _, values in writes):
        sys.exit(f"1 kW was never written: {writes}")


document = status(sys.argv[2])
same("state", document["site"]["state"], "run")
{"one": first_site, "two": second_site}[sys.argv[1]](document, sys.argv[3])
