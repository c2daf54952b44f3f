//! What the status document says of the load balancer, the chargers and another controller's command, for people.

use serde_json::Value;

use super::status_text::{age, list, number, row, table, text};

/// The load balancer in a line, the chargers in a table; nothing where there are none.
pub(super) fn charging(d: &Value) -> String {
    let balancer = &d["load_balancer"];
    if !balancer.is_object() {
        return String::new();
    }
    let mut out = format!(
        "\nLoad balancer {}: limit {} A (at most {} A, override {} A), largest current {} A{}\n",
        text(&balancer["state_name"]).to_uppercase(),
        number(&balancer["limit_a"], 1),
        number(&balancer["charger_limit_a"], 1),
        number(&balancer["override_a"], 1),
        number(&balancer["largest_current_a"], 1),
        waits(balancer),
    );
    let chargers = list(&d["chargers"]);
    if chargers.is_empty() {
        return out;
    }
    out += "Chargers\n";
    let mut rows = vec![row(&["", "limit A", "L1 A", "L2 A", "L3 A", "power W", "session Wh", "state", "age", "writes", "why"])];
    for c in chargers {
        let mut columns = vec![text(&c["name"]), number(&c["limit_a"], 1)];
        columns.extend((0..3).map(|f| number(&c["current_a"][f], 1)));
        columns.extend(["power_w", "session_wh"].map(|key| number(&c[key], 0)));
        columns.extend([text(&c["state"]), age(&c["age_ms"]), number(&c["writes"], 0), text(&c["reason"])]);
        rows.push(columns);
    }
    out + &table(&rows)
}

fn waits(balancer: &Value) -> String {
    match (text(&balancer["waits_for"]), balancer["wait_s"].as_u64()) {
        (what, _) if what.is_empty() => String::new(),
        (what, Some(seconds)) => format!("; {what}: {seconds} s"),
        (what, None) => format!("; waits for {what}"),
    }
}

/// A line for what another controller asks for; nothing while it asks for nothing.
pub(super) fn remote(remote: &Value) -> String {
    let state = text(&remote["state"]);
    if state.is_empty() || state == "none" {
        return String::new();
    }
    let asked = [("power", "setpoint_w"), ("charge at most", "charge_limit_w"), ("discharge at most", "discharge_limit_w")];
    let asked =
        asked.iter().filter(|(_, key)| !remote[*key].is_null()).map(|(word, key)| format!(", {word} {} W", number(&remote[*key], 0)));
    let heartbeat = match remote["heartbeat_age_s"].as_u64() {
        Some(seconds) => format!("heartbeat {seconds} s old"),
        None => format!("no heartbeat for {} s", number(&remote["heartbeat_timeout_s"], 0)),
    };
    format!("Remote command: {state}{}, {heartbeat}\n", asked.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_configured_is_not_shown() {
        assert_eq!(charging(&json!({ "load_balancer": null, "chargers": [] })), "");
        assert_eq!(remote(&Value::Null), "");
        assert_eq!(remote(&json!({ "state": "none" })), "");
    }

    #[test]
    fn a_wait_is_told_with_what_is_waited_for() {
        let mut d = json!({ "chargers": [], "load_balancer": { "state_name": "upper limit", "limit_a": 15.0, "charger_limit_a": 16.0,
            "override_a": 16.0, "largest_current_a": 23.04, "waits_for": "its wait before it lowers the limit", "wait_s": 4 } });
        let line = "\nLoad balancer UPPER LIMIT: limit 15.0 A (at most 16.0 A, override 16.0 A), largest current 23.0 A";
        assert_eq!(charging(&d), format!("{line}; its wait before it lowers the limit: 4 s\n"));
        (d["load_balancer"]["waits_for"], d["load_balancer"]["wait_s"]) = (json!("a valid current"), Value::Null);
        assert_eq!(charging(&d), format!("{line}; waits for a valid current\n"));
        d["chargers"] = json!([{ "name": "W", "state": "charging", "limit_a": 15.0, "current_a": [14.96, null, 15.0], "reason": "may draw 15 A",
            "power_w": 10_000, "session_wh": null, "age_ms": 3000, "writes": 7 }]);
        let shown = charging(&d);
        let words: Vec<_> = shown.lines().last().unwrap_or_default().split_whitespace().collect();
        assert_eq!(words[..9], ["W", "15.0", "15.0", "-", "15.0", "10000", "-", "charging", "3.0"], "{shown}");
    }

    #[test]
    fn a_remote_command_is_a_line() {
        let mut r = json!({ "state": "active", "setpoint_w": -2000, "charge_limit_w": null, "discharge_limit_w": 500,
            "heartbeat_age_s": 4, "heartbeat_timeout_s": 60 });
        assert_eq!(remote(&r), "Remote command: active, power -2000 W, discharge at most 500 W, heartbeat 4 s old\n");
        r["heartbeat_age_s"] = Value::Null;
        assert!(remote(&r).ends_with("no heartbeat for 60 s\n"));
    }
}
