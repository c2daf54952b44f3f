//! Time passing in a site: what happens when, and what adds up.

use super::{Cell, Site, bounded};
use crate::plant::battery::STEP_MS;
use crate::plant::battery_params::Wiring;
use crate::units::Phase;

impl Site {
    pub(super) fn step(&mut self, until_ms: u64) {
        let now_ms = self.step_ms;
        if now_ms >= self.house_until_ms {
            self.house_power = bounded(self.house.at(now_ms));
            self.house_until_ms = self.house.next_change_ms(now_ms);
        }
        for cell in &mut self.cells {
            cell.battery.arrive(now_ms);
            if now_ms % 1000 == 0 {
                cell.battery.manage();
            }
            cell.battery.advance(now_ms, 1);
        }
        for charger in &mut self.chargers {
            charger.arrive(now_ms);
            charger.advance(1);
        }
        self.grid_mw = self.net_load_mw();
        for cell in &self.cells {
            for (grid_mw, mw) in self.grid_mw.iter_mut().zip(cell.battery.params().phase.share(cell.battery.power_mw())) {
                *grid_mw -= mw;
            }
        }
        self.meter.visit(now_ms, self.grid_mw, self.sums.grid);
        if now_ms >= self.own_loop_next_ms {
            self.own_loop_next_ms = now_ms + self.own_loop_ms;
            self.own_loops(now_ms);
        }
        let steps = self.steps_alike(now_ms, until_ms);
        for cell in &mut self.cells {
            if steps > 1 {
                cell.battery.advance(now_ms + STEP_MS, steps - 1);
            }
        }
        for charger in &mut self.chargers {
            if steps > 1 {
                charger.advance(steps - 1);
            }
        }
        self.sum_up(steps as i64);
        self.step_ms = now_ms + steps * STEP_MS;
        self.sums.at_ms = self.step_ms;
    }

    pub(super) fn net_load_mw(&self) -> [i64; 3] {
        let load_mw = self.load_mw();
        std::array::from_fn(|k| load_mw[k] - self.house_power.pv_w[k] * 1000)
    }

    /// What the house takes, with the extra load and the cars.
    fn load_mw(&self) -> [i64; 3] {
        let cars_mw = self.cars_mw();
        std::array::from_fn(|k| (self.house_power.load_w[k] + self.extra_w[k]) * 1000 + cars_mw[k])
    }

    fn cars_mw(&self) -> [i64; 3] {
        let cars = self.chargers.iter().map(|charger| charger.car().power_mw());
        cars.fold([0; 3], |sum, car| std::array::from_fn(|k| sum[k] + car[k]))
    }

    fn own_loops(&mut self, now_ms: u64) {
        let grid_mw = self.grid_mw;
        let busy = |cell: &&Cell| cell.battery.on_own_meter(now_ms);
        // Those that look at a phase share what they see there; one on all phases sees the sum, and everybody else beside it.
        let on = Phase::ALL.map(|phase| self.cells.iter().filter(busy).filter(|c| c.battery.params().phase.feeds(phase)).count() as i64);
        let all = self.cells.iter().filter(busy).count() as i64;
        for cell in self.cells.iter_mut().filter(|cell| cell.battery.on_own_meter(now_ms)) {
            let (seen_mw, share) = match cell.battery.params().phase {
                Wiring::One(phase) => (grid_mw[phase.index()], on[phase.index()]),
                Wiring::All => (grid_mw.iter().sum(), all),
            };
            cell.battery.see_own_meter(now_ms, seen_mw, share);
        }
    }

    /// How many steps from here are like this one: 1 while a battery or a car moves.
    fn steps_alike(&self, now_ms: u64, until_ms: u64) -> u64 {
        let mut event_ms = self.house_until_ms.min(self.meter.next_event_ms()).min(self.own_loop_next_ms).min((now_ms / 1000 + 1) * 1000);
        for cell in &self.cells {
            if !cell.battery.is_settled(now_ms) {
                return 1;
            }
            event_ms = event_ms.min(cell.battery.next_event_ms(now_ms));
        }
        for charger in &self.chargers {
            if !charger.is_settled() {
                return 1;
            }
            event_ms = event_ms.min(charger.next_event_ms(now_ms));
        }
        let to_event = event_ms.saturating_sub(now_ms).div_ceil(STEP_MS);
        to_event.min((until_ms - now_ms) / STEP_MS).max(1)
    }

    fn sum_up(&mut self, steps: i64) {
        let (load_mw, cars_mw) = (self.load_mw(), self.cars_mw());
        let sums = &mut self.sums;
        for (k, load_mw) in load_mw.into_iter().enumerate() {
            sums.grid[k] += self.grid_mw[k] * steps;
            sums.load[k] += load_mw * steps;
            sums.cars[k] += cars_mw[k] * steps;
            sums.pv[k] += self.house_power.pv_w[k] * 1000 * steps;
        }
        let total: i64 = self.grid_mw.iter().sum();
        sums.import += total.max(0) * steps;
        sums.export += (-total).max(0) * steps;
        for (sum, cell) in sums.battery.iter_mut().zip(&self.cells) {
            *sum += cell.battery.power_mw() * steps;
        }
    }
}
