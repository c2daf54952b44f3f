//! Load balancer, chargers and the remote command, as the status document has them. Decides nothing.

use crate::balancer::gate::Told;
use crate::balancer::{Balancer, State, Waits};
use crate::config::{Strategy, fixed_to_text};
use crate::daemon::control::ControlTask;
use crate::daemon::control::charging::{ChargerView, Charging};
use crate::serve::document::{Alarm, Charger, LoadBalancer, Remote, thousandths};
use crate::units::{Span, Time};

impl ControlTask {
    pub(super) fn load_balancer(&self) -> Option<LoadBalancer> {
        let Charging { balancer, measured, .. } = self.charging.as_ref()?;
        let (waits_for, wait_s) = waits(balancer);
        Some(LoadBalancer {
            state: balancer.state().code(),
            state_name: balancer.state().name(),
            limit_a: amperes(balancer.limit_ma()),
            override_a: amperes(balancer.override_ma()),
            charger_limit_a: amperes(balancer.settings().charger_limit_ma),
            largest_current_a: measured.filter(|_| balancer.state() != State::Fallback).map(|m| amperes(m.largest_ma)),
            waits_for,
            wait_s,
        })
    }

    pub(super) fn chargers(&self, now: Time) -> Vec<Charger> {
        let Some(charging) = &self.charging else { return Vec::new() };
        let observes = self.config.site.strategy == Strategy::Observe;
        charging.chargers.iter().map(|c| charger(c, &charging.balancer, observes, now)).collect()
    }

    /// What a person should know of, with its age.
    pub(super) fn charging_alarms(&self, now: Time) -> Vec<Alarm> {
        let Some(charging) = &self.charging else { return Vec::new() };
        let mut alarms = Vec::new();
        let mut add = |name: String, since: Time| alarms.push(Alarm { name, since_s: now.since(since).as_s() });
        if charging.balancer.state() == State::Fallback {
            let valid_for = Span::from_s(charging.balancer.settings().fallback_time_s.into());
            add("load balancer: fallback, no valid current".into(), charging.measured.map_or(Time::ZERO, |m| m.confirmed + valid_for));
        }
        for c in &charging.chargers {
            if c.is_lost(now) {
                add(format!("charger {}: no answer", c.name), c.known.as_ref().map_or(Time::ZERO, |(at, _)| *at));
            }
            c.notices.named().for_each(|(name, since)| add(name, since));
        }
        alarms
    }

    pub(super) fn remote(&self, now: Time) -> Option<Remote> {
        let command = self.remote_command()?;
        let asked = command.values();
        Some(Remote {
            state: command.state().name(),
            setpoint_w: asked.setpoint_w,
            charge_limit_w: asked.charge_limit_w,
            discharge_limit_w: asked.discharge_limit_w,
            heartbeat_age_s: command.heartbeat_age(now).map(Span::as_s),
            heartbeat_timeout_s: command.timeout().as_s(),
        })
    }
}

fn charger(c: &ChargerView, balancer: &Balancer, observes: bool, now: Time) -> Charger {
    let values = c.values(now);
    Charger {
        name: c.name.clone(),
        device: c.report.as_ref().map_or_else(String::new, |r| r.device.clone()),
        state: match values {
            Some(values) => values.state.clone().unwrap_or_else(|| "on".into()),
            None => "no answer".into(),
        },
        limit_a: amperes(c.gate.limit_ma()),
        current_a: values.map_or([None; 3], |v| v.current_ma.map(|ma| ma.map(amperes))),
        power_w: values.and_then(|v| v.power_w),
        session_wh: values.and_then(|v| v.session_wh),
        reason: if observes { "observing only".into() } else { reason(c, balancer, now) },
        age_ms: c.known.as_ref().map(|(at, _)| now.since(*at).as_ms()),
        writes: c.writes,
        last_write: c.last_write.as_ref().map(|w| w.1.clone()),
        last_write_age_ms: c.last_write.as_ref().map(|w| now.since(w.0).as_ms()),
        notices: values.map_or_else(Vec::new, |v| v.notices.clone()),
    }
}

/// Why a charger is told what it is told.
fn reason(c: &ChargerView, balancer: &Balancer, now: Time) -> String {
    let (needs_ma, limit_ma) = (c.gate.min_current_ma(), balancer.limit_ma());
    let left_s = |span: Span| span.as_ms().div_ceil(1000);
    let (pause, run) = (c.gate.pause_left(now), c.gate.run_left(now));
    match c.gate.told() {
        Told::Paused { .. } if limit_ma < needs_ma && balancer.state() == State::Fallback => "paused: no valid current".into(),
        Told::Paused { .. } if limit_ma < needs_ma => {
            format!("paused: not enough current, {} of {} A", text(limit_ma), text(needs_ma))
        }
        Told::Paused { .. } if pause > Span::ZERO => format!("paused: minimum pause, {} s left", left_s(pause)),
        Told::Paused { .. } if c.connected(now) == Some(false) => "paused: no car is connected".into(),
        Told::Paused { .. } => "paused: other chargers have the current".into(),
        Told::Runs { .. } if limit_ma < needs_ma && run > Span::ZERO => {
            format!("not paused yet: minimum charging time, {} s left", left_s(run))
        }
        Told::Runs { .. } if c.connected(now) == Some(false) => "no car is connected".into(),
        Told::Runs { .. } => format!("may draw {} A", text(c.gate.limit_ma())),
    }
}

/// What stands between the load balancer and its next step, and for how many seconds.
fn waits(balancer: &Balancer) -> (&'static str, Option<u8>) {
    match (balancer.waits(), balancer.state()) {
        (Waits::Seconds(left), State::Lower) => ("its wait before it raises the limit", Some(left)),
        (Waits::Seconds(left), _) => ("its wait before it lowers the limit", Some(left)),
        (Waits::Reading, _) => ("a reading that is newer than its last step", None),
        (Waits::Batteries, _) => ("the batteries, which were told to take it off the phase", None),
        (Waits::No, State::Fallback) => ("a valid current", None),
        (Waits::No, _) => ("", None),
    }
}

fn amperes(ma: u32) -> f64 {
    thousandths(ma.into())
}

fn text(ma: u32) -> String {
    fixed_to_text(ma.into(), 3)
}
