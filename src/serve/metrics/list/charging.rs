//! The load balancer and its chargers.

use super::{Facts, Metric, Samples, count, counter, gauge, joules, seconds, watts};
use crate::balancer::State;
use crate::serve::document::{Charger, LoadBalancer};
use crate::serve::metrics::page::yes;

pub(super) static LIST: &[Metric] = &[
    gauge("sax_load_balancer_state", &["state"], "1 for the state of the load balancer, 0 for the others.", |f, out| {
        if let Some(balancer) = &f.document.load_balancer {
            let states = [State::Normal, State::Lower, State::Upper, State::Alarm, State::Fallback];
            out.one_of(balancer.state_name, &states.map(State::name));
        }
    }),
    gauge("sax_load_balancer_limit_amperes", &[], "What all chargers together may draw on a phase.", |f, out| {
        balancer(f, out, |b| Some(b.limit_a));
    }),
    gauge("sax_load_balancer_override_amperes", &[], "The cap of register 1000.", |f, out| balancer(f, out, |b| Some(b.override_a))),
    gauge("sax_load_balancer_charger_limit_amperes", &[], "The most that a charger may ever draw.", |f, out| {
        balancer(f, out, |b| Some(b.charger_limit_a));
    }),
    gauge("sax_load_balancer_largest_current_amperes", &[], "The largest current of the phases that count.", |f, out| {
        balancer(f, out, |b| b.largest_current_a);
    }),
    gauge("sax_charger_info", &["charger", "device"], "What the charger is, always 1.", |f, out| {
        f.document.chargers.iter().for_each(|c| out.add(&[&c.name, &c.device], Some(1.0)));
    }),
    gauge("sax_charger_answers", CHARGER, "0 when the charger does not answer, else 1.", |f, out| {
        chargers(f, out, |c| Some(yes(c.state != "no answer")));
    }),
    gauge("sax_charger_age_seconds", CHARGER, "Age of the newest values of the charger.", |f, out| chargers(f, out, |c| seconds(c.age_ms))),
    gauge("sax_charger_limit_amperes", CHARGER, "What the charger is told that it may draw on a phase; 0 is paused.", |f, out| {
        chargers(f, out, |c| Some(c.limit_a));
    }),
    gauge("sax_charger_current_amperes", &["charger", "phase"], "What the charger draws on the phase.", |f, out| {
        for charger in &f.document.chargers {
            let phases = ["L1", "L2", "L3"].iter().zip(charger.current_a);
            phases.for_each(|(phase, current)| out.add(&[&charger.name, phase], current));
        }
    }),
    gauge("sax_charger_power_watts", CHARGER, "What the charger draws.", |f, out| chargers(f, out, |c| watts(c.power_w))),
    gauge("sax_charger_session_joules", CHARGER, "Energy of the session of charging; 3.6 million joules are 1 kWh.", |f, out| {
        chargers(f, out, |c| joules(c.session_wh));
    }),
    gauge("sax_charger_notices", CHARGER, "How many things the charger reports that someone should know.", |f, out| {
        chargers(f, out, |c| Some(c.notices.len() as f64));
    }),
    counter("sax_charger_writes_total", CHARGER, "Writes that the charger has acknowledged.", |f, out| {
        chargers(f, out, |c| count(c.writes))
    }),
    gauge("sax_charger_last_write_age_seconds", CHARGER, "How long ago the charger was written last.", |f, out| {
        chargers(f, out, |c| seconds(c.last_write_age_ms));
    }),
];

const CHARGER: &[&str] = &["charger"];

fn balancer(facts: &Facts<'_>, out: &mut Samples<'_>, of: fn(&LoadBalancer) -> Option<f64>) {
    out.add(&[], facts.document.load_balancer.as_ref().and_then(of));
}

fn chargers(facts: &Facts<'_>, out: &mut Samples<'_>, of: fn(&Charger) -> Option<f64>) {
    facts.document.chargers.iter().for_each(|charger| out.add(&[&charger.name], of(charger)));
}
