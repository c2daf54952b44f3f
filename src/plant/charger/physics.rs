//! How a charger behaves in time: the pilot that follows the limit in force, the contactor, and what a long silence does.

use super::{Charger, NO_FALLBACK_A};
use crate::plant::battery::STEP_MS;
use crate::plant::car::LEAST_MA;

impl Charger {
    /// Takes in what is due at this time.
    pub(in crate::plant) fn arrive(&mut self, now_ms: u64) {
        if now_ms % 1000 == 0 {
            self.car.manage(now_ms);
        }
        if now_ms >= self.silent_ms() && !self.alone {
            self.alone = true;
            self.lost = self.fallback_a >= NO_FALLBACK_A;
        }
        let permitted = self.is_up(now_ms) && self.car.is_plugged(now_ms) && self.in_force_ma() >= LEAST_MA;
        let pilot_ma = if permitted { self.in_force_ma() } else { 0 };
        if pilot_ma != self.pilot_ma {
            self.pilot_ma = pilot_ma;
            self.car.signal(now_ms, pilot_ma);
        }
        self.car.arrive(now_ms);
        self.switch(now_ms);
    }

    /// One step, or `steps` equal ones when it is settled.
    pub(in crate::plant) fn advance(&mut self, steps: u64) {
        self.car.advance(self.closed, steps);
    }

    /// Whether everything stays as it is until the next event.
    pub(in crate::plant) fn is_settled(&self) -> bool {
        self.car.is_settled(self.closed) && !self.may_open()
    }

    /// When something changes by itself, ms.
    pub(in crate::plant) fn next_event_ms(&self, now_ms: u64) -> u64 {
        let future = |at_ms: u64| if at_ms > now_ms { at_ms } else { u64::MAX };
        let silent = if self.alone { u64::MAX } else { future(self.silent_ms()) };
        let closes = self.closes_ms.map_or(u64::MAX, future);
        self.car.next_event_ms(now_ms).min(silent).min(closes).min(future(self.down_until_ms))
    }

    /// From this time on it counts as left alone, ms; steps begin at multiples of 10 ms.
    fn silent_ms(&self) -> u64 {
        (self.asked_ms + u64::from(self.timeout_s) * 1000).next_multiple_of(STEP_MS)
    }

    /// The contactor closes a while after a hungry car may charge, and opens when it draws nothing and may not, or wants nothing any more.
    fn switch(&mut self, now_ms: u64) {
        if self.may_open() {
            self.closed = false;
            self.switches += 1;
        }
        if self.closed {
            return;
        }
        if !self.is_called_for() {
            self.closes_ms = None;
        } else if now_ms >= *self.closes_ms.get_or_insert(now_ms + self.car.params().resume_ms) {
            (self.closed, self.closes_ms) = (true, None);
            self.switches += 1;
            self.session_from_wh = self.car.charged_wh();
        }
    }

    fn may_open(&self) -> bool {
        self.closed && !self.is_called_for() && self.car.current_ma() == [0; 3]
    }

    fn is_called_for(&self) -> bool {
        self.pilot_ma > 0 && self.car.is_hungry()
    }
}
