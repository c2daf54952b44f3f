//! 4: without help all is well again.

use sax_controller::plant::house::House;

use super::*;

/// As long as the patience with a battery of which nothing is known, twice.
const MOVED_MS: u64 = 120_000;

/// The longest pause between two tries to connect, and the try.
const RECONNECT_MS: u64 = 10_000;
/// A command that was not followed is tried again after a minute.
const TRIED_AGAIN_MS: u64 = 60_000;

impl Watch {
    /// 4: without help all is well again within a bound, and the alarms are gone.
    pub(super) fn recover(&mut self) {
        site::calm(&self.sim);
        self.derates = vec![(0, 1000)];
        let (start, bound_ms) = (self.now(), self.bound_ms());
        let (mut well, mut why, mut end) = (Lasting::default(), String::new(), start + bound_ms);
        let mut asked = false;
        while self.now() < end {
            self.look();
            if !asked && why.contains("not followed") && self.now() + bound_ms / 2 >= end {
                asked = true;
                end += self.ask_for_more();
            }
            let now = self.now();
            if now % 500 != 0 {
                continue;
            }
            why = self.not_well();
            if well.note(why.is_empty(), now) >= 3000 {
                self.outcome.recovery_ms = Some(now - 3000 - start);
                return;
            }
        }
        self.find("4 recovery", format!("after {bound_ms} ms {why}"));
    }

    /// That a battery follows again is seen only when it is asked for something, and no house stands still for long. How long that takes, ms.
    fn ask_for_more(&mut self) -> u64 {
        let now = self.now();
        let loads = [(now, [2200; 3]), (now + MOVED_MS, [-2000; 3]), (now + 2 * MOVED_MS, site::CALM)];
        self.sim.site().set_house(House::Trace(loads.into()));
        3 * MOVED_MS
    }

    /// What recovery is made of: the good samples that are still asked for (control.md 2.6: 60 at most), each a poll; the pause before a
    /// connection is tried again; three polls of the batteries until they are known, told, and settled; an alarm about a battery that does
    /// not follow, which is tried again after a minute. A sign that looked wrong is not believed for an hour, and then tried.
    pub(super) fn bound_ms(&self) -> u64 {
        let (_, needed) = self.sim.control().decision().progress;
        let samples_ms = u64::from(needed.clamp(5, 60)) * (self.poll_ms() + 200);
        let usual = samples_ms + RECONNECT_MS + 3 * self.poll_ms() + AGAIN_MS + DEVICE_MS + TRIED_AGAIN_MS;
        let doubted =
            |t: &&Trouble| matches!(t.kind, Kind::Wire(Fault::SignFlip | Fault::Jumps | Fault::FrozenRegisters | Fault::FrozenMeter));
        if self.troubles.iter().any(|t| doubted(&t)) { usual + 2 * 3_600_000 } else { usual }
    }

    /// What is not well; empty: nothing.
    pub(super) fn not_well(&self) -> String {
        let mode = self.sim.control().decision().mode;
        if !matches!(mode, Mode::Run { .. }) {
            return format!("the site is in {mode:?}");
        }
        let document = self.document();
        // That a BMS was restarted is told for ten minutes.
        if let Some(alarm) = document.alarms.iter().find(|a| !a.name.contains("begun anew")) {
            return format!("there is an alarm: {}", alarm.name);
        }
        let rated_w = self.batteries.iter().map(|b| b.rated.1).max().unwrap_or(0);
        // What can be told in coarse steps only is off by 65 % of one: so long a step is kept.
        let step_w = self.built.plan.site.batteries.iter().map(|b| b.step_w).max().unwrap_or(1);
        let near_w = (rated_w / 60).max(80).max(step_w * 65 / 100 + 80);
        let config = &self.built.config;
        let balances = config.site.strategy == Strategy::SelfConsumption && config.schedule.is_none() && !self.built.is_low;
        if !balances {
            let off = (0..self.batteries.len()).filter_map(|k| Some((k, self.commanded_w(k)?, self.sim.site().battery_w(k))));
            let off = off.filter(|(_, told, does)| (told - does).abs() > near_w);
            return off.map(|(k, told, does)| format!("battery {k} does {does} W and was told {told} W; ")).collect();
        }
        let grid_w = self.sim.site().grid_w();
        let total_w: i64 = grid_w.iter().sum();
        let site = &self.built.plan.site;
        let only_own = site.batteries.iter().all(|b| b.connection.slot() < 3);
        if config.site.balance == Balance::PerPhase && only_own {
            let served = |f: &usize| site.batteries.iter().any(|b| b.connection.is_on(*f));
            let off = (0..3).filter(served).find(|f| grid_w[*f].abs() > near_w);
            return off.map_or(String::new(), |f| format!("phase {f} is at {} W", grid_w[f]));
        }
        if total_w.abs() <= 2 * near_w { String::new() } else { format!("the grid is at {grid_w:?} W") }
    }
}
