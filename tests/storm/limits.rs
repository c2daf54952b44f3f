//! 1 and 5: no limit is passed, and no device is written more often than it bears.

use super::*;

impl Watch {
    /// 1: nothing above a rating, and nothing above what the BMS and its configuration allow.
    pub(super) fn limits(&mut self, now: u64) {
        for k in 0..self.batteries.len() {
            let (charge_w, discharge_w) = self.batteries[k].rated;
            let delivered_w = self.sim.site().battery_w(k);
            let commanded_w = self.commanded_w(k).unwrap_or(0);
            for (what, w) in [("delivers", delivered_w), ("was told", commanded_w)] {
                if w < -charge_w - 1 || w > discharge_w + 1 {
                    self.find("1 rating", format!("battery {k} {what} {w} W"));
                }
            }
            if self.built.config.batteries[k].bms.is_some() {
                self.bms_limits(k, commanded_w, now);
            }
        }
    }

    /// What the configuration allows its cells holds always, what its BMS says now once that had time to arrive.
    fn bms_limits(&mut self, k: usize, commanded_w: i64, now: u64) {
        let Some(bms) = self.built.config.batteries[k].bms.clone() else { return };
        let (cell_mv, said_w) = self.sim.site().battery(k).map_or((3200, (0, 0)), |b| {
            let (discharge_w, charge_w) = b.ability_w();
            // The simulated BMS allows a fifth more.
            let most = |w: i64, none: bool| if none { 0 } else { w * 6 / 5 };
            (3200 + i64::from(b.soc_pm()) / 5, (most(charge_w, b.is_full()), most(discharge_w, b.is_empty())))
        });
        let most = |ma: Option<i32>| ma.map_or(i64::MAX, |ma| i64::from(ma) * cell_mv * 96 / 1_000_000 * 102 / 100);
        let (most_charge_w, most_discharge_w) = (most(bms.max_charge_ma), most(bms.max_discharge_ma));
        if commanded_w < -most_charge_w || commanded_w > most_discharge_w {
            self.find("1 BMS", format!("battery {k} was told {commanded_w} W, {most_charge_w} and {most_discharge_w} W are allowed"));
        }
        // The array gives no limit here, only what it forbids.
        if bms.device == "sbau" {
            return;
        }
        // Amperes are whole or tenths, and batteries take whole kilowatts.
        let near_w = 1000 + self.batteries[k].rated.1 / 100;
        let beyond = commanded_w < -said_w.0 - near_w || commanded_w > said_w.1 + near_w;
        let watched = beyond && self.is_free(k, now) && !self.is_away(now) && now > self.batteries[k].lied_at + 60_000;
        let lasts_ms = self.batteries[k].beyond_bms.note(watched, now);
        if lasts_ms > 10_000 + 3 * self.poll_ms() {
            self.find(
                "1 BMS now",
                format!("battery {k} was told {commanded_w} W for {lasts_ms} ms, its BMS allows -{} to {} W", said_w.0, said_w.1),
            );
        }
    }

    /// 1: nothing is taken from a battery below its minimum.
    pub(super) fn soc_policy(&mut self, now: u64) {
        for k in 0..self.batteries.len() {
            let min_pm = u16::try_from(self.built.plan.site.batteries[k].min_soc_pm).unwrap_or(0);
            let (soc_pm, w) = self.sim.site().battery(k).map_or((0, 0), |b| (b.soc_pm(), b.power_mw() / 1000));
            let free = self.is_free(k, now) && now > self.batteries[k].lied_at + 60_000 && !self.is_away(now);
            let commanded = self.commanded_w(k).is_some_and(|w| w > 60);
            let taken = commanded && soc_pm + 20 < min_pm && w > self.batteries[k].rated.1 / 50;
            let holds = taken && free && !self.is_fuse_at_stake();
            let lasts_ms = self.batteries[k].empty.note(holds, now);
            if lasts_ms > 30_000 {
                self.find("1 SoC", format!("battery {k} at {soc_pm} per mille gives {w} W"));
            }
        }
    }

    pub(super) fn is_fuse_at_stake(&self) -> bool {
        let fuse_w = i64::from(self.built.config.site.fuse_ma) * 230 / 1000;
        self.sim.site().grid_w().iter().any(|w| w.abs() > fuse_w * 8 / 10)
    }

    /// 1: no phase above its fuse while batteries add to it.
    pub(super) fn fuse(&mut self, now: u64) {
        let fuse_w = i64::from(self.built.config.site.fuse_ma) * 230 / 1000 * 103 / 100;
        let (grid_w, powers): ([i64; 3], Vec<i64>) = {
            let site = self.sim.site();
            (site.grid_w(), (0..self.batteries.len()).map(|k| site.battery_w(k)).collect())
        };
        let well = self.all_well_since(60_000, now);
        for (f, grid_w) in grid_w.into_iter().enumerate() {
            let on = |k: &usize| self.built.plan.site.batteries[*k].connection.is_on(f);
            let sum_w: i64 = (0..powers.len()).filter(on).map(|k| powers[k]).sum();
            let adds = grid_w > fuse_w && sum_w < -100 || grid_w < -fuse_w && sum_w > 100;
            let lasts_ms = self.over_fuse[f].note(adds && well, now);
            if lasts_ms > 15_000 + 3 * self.poll_ms() {
                self.find("1 fuse", format!("phase {f} at {grid_w} W for {lasts_ms} ms, batteries {powers:?} W"));
            }
        }
    }

    /// 1: where the sum counts, no battery fills another.
    pub(super) fn one_way(&mut self, now: u64) {
        if self.built.config.site.balance != Balance::Sum {
            return;
        }
        let told: Vec<i64> = (0..self.batteries.len()).filter_map(|k| self.commanded_w(k)).collect();
        let both = told.iter().any(|w| *w > 150) && told.iter().any(|w| *w < -150);
        let well = self.all_well_since(60_000, now) && !self.is_fuse_at_stake();
        let lasts_ms = self.both_ways.note(both && well, now);
        if lasts_ms > 15_000 + 3 * self.poll_ms() {
            self.find("1 both ways", format!("told {told:?} W"));
        }
    }

    /// 5: no device is written more often than it bears, at once and in the long run.
    pub(super) fn budget(&mut self, now: u64) {
        for k in 0..self.batteries.len() {
            for window_ms in [4000, 60_000] {
                let battery = &self.batteries[k];
                let recent = {
                    let site = self.sim.site();
                    let within = site.events().rev().take_while(|e| e.at_ms + window_ms > now);
                    within.filter(|e| e.battery == k && battery.addresses.contains(&e.address)).count() as u64
                };
                // A controller that was started anew knows nothing of what the one before had written: each has a burst of its own.
                let anew = |t: &&Trouble| matches!(t.kind, Kind::Restart { .. }) && t.from_ms <= now && now < t.from_ms + window_ms;
                let lives = 1 + self.troubles.iter().filter(anew).count() as u64;
                let allowed = lives * battery.burst + window_ms / battery.refill_ms;
                if recent > allowed {
                    self.find("5 budget", format!("battery {k}: {recent} setpoints in {window_ms} ms, {allowed} are allowed"));
                }
            }
        }
    }
}
