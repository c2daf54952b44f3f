//! The load balancer beside the batteries: what each charger is told, and what it said. Decides by [`balancer`](crate::balancer) alone.

use super::ControlTask;
use crate::balancer::Balancer;
use crate::config::Config;
use crate::control::core::Core;
use crate::daemon::charger::{ChargerInstruction, ChargerReport};
use crate::daemon::message::WriteReport;
use crate::daemon::wiring::Plan;
use crate::units::{Span, Time};

/// `[load_balancer]` at work.
pub struct Charging {
    pub(in crate::daemon) balancer: Balancer,
    /// The newest report of each charger.
    pub(in crate::daemon) chargers: Vec<Option<ChargerReport>>,
}

impl Charging {
    /// As the configuration has it; `None` without a `[load_balancer]`.
    pub(super) fn of(config: &Config, plan: &Plan) -> Option<Charging> {
        let period = config.meter.as_ref().map_or(Span::from_s(5), |m| Span::from_ms(m.poll_ms.into()));
        let balancer = Balancer::new(config.load_balancer.as_ref()?.settings, period);
        Some(Charging { balancer, chargers: vec![None; plan.chargers.len()] })
    }

    /// Checks, if it is time.
    pub(super) fn step(&mut self, core: &Core, now: Time) {
        let _ = core;
        self.balancer.step(None, u32::MAX, now);
    }

    /// A charger was asked.
    pub(super) fn take(&mut self, k: usize, report: ChargerReport) {
        if let Some(newest) = self.chargers.get_mut(k) {
            *newest = Some(report);
        }
    }

    /// A limit was written to a charger.
    pub(super) fn take_written(&mut self, k: usize, report: WriteReport) {
        let _ = (k, report);
    }
}

impl ControlTask {
    /// What each charger is to be told after a step.
    pub fn instruct_chargers(&mut self, now: Time, instruct: &mut dyn FnMut(usize, ChargerInstruction)) {
        let _ = (now, instruct);
    }
}
