//! The load balancer beside the batteries: what it is told of the meter, what each charger is told, and what chargers said. Which limit is
//! right is the [`balancer`](crate::balancer)'s decision alone; batteries are not touched from here.

mod charger;
mod measure;

pub(in crate::daemon) use self::charger::ChargerView;

use super::ControlTask;
use crate::balancer::recent::Recent;
use crate::balancer::share::{Asks, shares};
use crate::balancer::{Balancer, Measured, State, gate};
use crate::config::Config;
use crate::control::core::Core;
use crate::daemon::calm::Calm;
use crate::daemon::charger::{ChargerInstruction, ChargerReport, amperes};
use crate::daemon::message::WriteReport;
use crate::daemon::wiring::{COMMAND_VALID, Plan};
use crate::units::{Span, Time};

/// `[load_balancer]` at work.
pub struct Charging {
    pub(in crate::daemon) balancer: Balancer,
    /// In the order of the configuration.
    pub(in crate::daemon) chargers: Vec<ChargerView>,
    /// What the newest check, or the one to come, goes by.
    pub(in crate::daemon) measured: Option<Measured>,
    /// What the house alone took of late.
    recent: Recent,
    /// Chargers are watched, but not told anything.
    observe: bool,
    /// What the log says of the states that should not be.
    said: [(State, Calm); 2],
}

impl Charging {
    /// As the configuration has it; `None` without a `[load_balancer]`.
    pub(super) fn of(config: &Config, plan: &Plan) -> Option<Charging> {
        let balancer = Balancer::new(config.load_balancer.as_ref()?.settings, plan.site.meter_period);
        let chargers = plan.chargers.iter().filter_map(|placed| config.chargers.get(placed.spec.index));
        Some(Charging {
            balancer,
            chargers: chargers.map(ChargerView::new).collect(),
            measured: None,
            recent: Recent::default(),
            observe: plan.site.observe,
            said: [State::Alarm, State::Fallback].map(|state| (state, Calm::default())),
        })
    }

    /// Checks, if it is time, and says what chargers are told.
    pub(super) fn step(&mut self, core: &Core, now: Time) {
        self.measured = measure::measured(core, self.balancer.settings().phases);
        let ceiling_ma = self.ceiling_ma(now);
        self.balancer.step(self.measured, ceiling_ma, now);
        self.say_state(now);
        let (limit_ma, state) = (self.balancer.limit_ma(), self.balancer.state());
        let asks: Vec<_> =
            self.chargers.iter().map(|c| Asks { connected: c.connected(now), min_current_ma: c.gate.min_current_ma() }).collect();
        for (charger, share_ma) in self.chargers.iter_mut().zip(shares(limit_ma, &asks)) {
            let capped = self.balancer.override_ma() < charger.gate.min_current_ma();
            let forced = capped || share_ma < limit_ma || matches!(state, State::Alarm | State::Fallback);
            charger.pass(share_ma, forced, !self.observe, now);
        }
    }

    /// The limit does not rise beyond what a charger can have beside what the house alone took of late. Without chargers, and where they are
    /// not ours to tell, there is no such bound; nor where it is not known what flows.
    fn ceiling_ma(&mut self, now: Time) -> u32 {
        let valid_for = Span::from_s(self.balancer.settings().fallback_time_s.into());
        let known = self.measured.filter(|m| now.since(m.confirmed) < valid_for);
        let Some(m) = known.filter(|_| !self.observe && !self.chargers.is_empty()) else { return u32::MAX };
        let told_ma = self.chargers.iter().map(|c| c.gate.limit_ma()).fold(0, u32::saturating_add);
        self.recent.note(m.largest_ma, told_ma, now);
        let may_draw = self.chargers.iter().any(|c| c.may_draw(now));
        let house_ma = if may_draw { self.recent.most_ma() } else { self.recent.most_ma().max(m.largest_ma) };
        gate::ceiling(self.balancer.settings(), house_ma, told_ma == 0, self.balancer.limit_ma())
    }

    /// Lower, upper and normal take turns all day where a car charges: only what should not be, and its end, is worth a line.
    fn say_state(&mut self, now: Time) {
        let state = self.balancer.state();
        let mut over = false;
        for (bad, calm) in &mut self.said {
            over |= *bad != state && calm.is_over();
        }
        // At the start no current is known yet.
        let fallback_time = Span::from_s(self.balancer.settings().fallback_time_s.into());
        if self.measured.is_none() && now < Time::ZERO + fallback_time {
            return;
        }
        let again = self.said.iter_mut().find(|(bad, _)| *bad == state).and_then(|(_, calm)| calm.holds(now));
        if !over && again.is_none() {
            return;
        }
        let measured =
            self.measured.map_or_else(|| "no current is known".to_owned(), |m| format!("at most {} flow", amperes(m.largest_ma)));
        let (name, limit) = (state.name(), amperes(self.balancer.limit_ma()));
        match again {
            Some(again) => log::warn!("load balancer: {name}, {measured}, the limit is {limit}{again}"),
            None => log::info!("load balancer: {name}, {measured}, the limit is {limit}"),
        }
    }

    /// A charger was asked.
    pub(super) fn take(&mut self, k: usize, report: ChargerReport) {
        if let Some(charger) = self.chargers.get_mut(k) {
            charger.take(report);
        }
    }

    /// A limit was written to a charger.
    pub(super) fn take_written(&mut self, k: usize, report: WriteReport) {
        if let Some(charger) = self.chargers.get_mut(k) {
            charger.take_written(report);
        }
    }
}

impl ControlTask {
    /// What each charger is to be told after a step; nothing where the strategy only observes.
    pub fn instruct_chargers(&mut self, now: Time, instruct: &mut dyn FnMut(usize, ChargerInstruction)) {
        let Some(charging) = self.charging.as_ref().filter(|c| !c.observe) else { return };
        for (k, charger) in charging.chargers.iter().enumerate() {
            instruct(k, ChargerInstruction { limit_ma: charger.gate.limit_ma(), valid_until: now + COMMAND_VALID });
        }
    }

    /// The load balancer, where there is one.
    pub fn balancer(&self) -> Option<&Balancer> {
        self.charging.as_ref().map(|charging| &charging.balancer)
    }

    /// When the load balancer wants to look again, where there is one.
    pub fn next_check(&self) -> Option<Time> {
        self.charging.as_ref().map(|charging| charging.balancer.next_check())
    }
}
