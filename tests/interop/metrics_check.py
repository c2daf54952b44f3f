"""What a Prometheus knows of the program it scrapes: metrics_check.py URL DASHBOARD up|down."""

import json
import sys
import time
import urllib.parse
import urllib.request

API, DASHBOARD, EXPECTED = sys.argv[1:]


def get(path, **query):
    with urllib.request.urlopen(f"{API}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=5) as reply:
        answer = json.load(reply)
    assert answer["status"] == "success", answer
    return answer["data"]


def query(expression):
    """Values by the labels that matter."""
    found = get("query", query=expression)["result"]
    keep = lambda labels: tuple(v for k, v in sorted(labels.items()) if k not in ("__name__", "instance", "job"))
    return {keep(series["metric"]): float(series["value"][1]) for series in found}


def until(what, done):
    end = time.monotonic() + 40
    while not done():
        assert time.monotonic() < end, what
        time.sleep(0.2)


def scraped():
    until("ten scrapes", lambda: query("count_over_time(sax_grid_power_watts[1m])").get((), 0) >= 10)
    [target] = get("targets")["activeTargets"]
    assert target["health"] == "up" and target["lastError"] == "", target
    assert query("up") == {(): 1} and query("min_over_time(up[1m])") == {(): 1}
    print(f"metrics: Prometheus takes {query('scrape_duration_seconds')[()] * 1000:.1f} ms for {query('scrape_samples_scraped')[()]:.0f} samples")
    charge = query("sax_battery_soc_ratio")
    assert set(charge) == {("House 1",), ("House 2",), ("House 3",)} and all(0 < v < 1 for v in charge.values()), charge
    assert query('sax_site_state{state="run"}') == {("run",): 1} and query("sum(sax_site_state)") == {(): 1}
    assert 30 < query("sum(sax_phase_fuse_headroom_amperes)")[()] <= 75
    # Gauges move, counters only grow.
    assert query("changes(sax_uptime_seconds[1m])")[()] > 3 and query("sum(resets(sax_requests_total[1m]))") == {(): 0}
    assert set(query("process_resident_memory_bytes")) == {()}


def rules():
    until("rules evaluated", lambda: all(r["health"] == "ok" for g in get("rules")["groups"] for r in g["rules"]))
    assert query('ALERTS{alertstate="firing"}') == {}, query("ALERTS")


def dashboard():
    """Every expression is one, and brings something where this site has it."""
    here, empty = 0, []
    for panel in json.load(open(DASHBOARD))["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"]
            for name, value in {"$__rate_interval": "10s", "$instance": ".*", "$job": "sax-controller"}.items():
                expression = expression.replace(name, value)
            assert "$" not in expression, expression
            here += 1
            if not query(expression):
                empty.append(target["expr"])
    absent = ["sax_bms_", "sax_alarm_age", "joules", "sax_errors_total"]
    unexpected = [e for e in empty if not any(word in e for word in absent)]
    assert not unexpected, unexpected
    print(f"metrics: {here} expressions of the dashboard, {len(empty)} about what this site does not have")


if EXPECTED == "up":
    scraped()
    rules()
    dashboard()
else:
    until("down", lambda: query("up") == {(): 0})
    until("alert", lambda: query('ALERTS{alertname="SaxControllerDown"}') != {})
    until("values gone", lambda: query("sax_grid_power_watts") == {})
