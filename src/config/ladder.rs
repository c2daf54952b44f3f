//! From what age of a reading on which step is taken (spec/control.md, the table of times at its head).

use super::{Battery, Config, Meter};
use crate::units::Span;

/// The steps from a good reading to the fallback.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ladder {
    /// From this age of the meter reading on, outputs are held.
    pub hold: Span,
    /// From this age on, outputs move towards the fallback.
    pub ramp_start: Span,
    /// At this age, the fallback is reached.
    pub fallback: Span,
    /// After this long without a heartbeat everything is in fallback, whatever the readings say.
    pub heartbeat: Span,
}

/// From what age on the readings of a battery count for less.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ages {
    /// It may do no more than it does.
    pub capped: Span,
    /// It takes no part.
    pub excluded: Span,
}

/// Between the fallback and the heartbeat timeout there must be this much.
const RESERVE: Span = Span::from_s(2);

/// From the start of the ramp to the fallback it takes at least this long.
const RAMP: Span = Span::from_s(15);

/// No battery is excluded later than this.
pub(super) const LATEST_EXCLUSION: Span = Span::from_s(60);

impl Config {
    /// The steps for this site.
    pub fn ladder(&self) -> Ladder {
        Ladder::new(Span::from_ms(self.control.meter_stale_ms.into()), Span::from_s(self.control.heartbeat_timeout_s.into()))
    }
}

impl Battery {
    /// The ages for this battery.
    pub fn ages(&self) -> Ages {
        Ages::new(Span::from_ms(self.poll_ms.into()))
    }
}

impl Ladder {
    /// The ladder for this stale limit and this heartbeat timeout.
    pub fn new(hold: Span, heartbeat: Span) -> Ladder {
        let ramp_start = Span::from_s(10).max(Span::from_ms(hold.as_ms().saturating_add(hold.as_ms().div_ceil(2))));
        Ladder { hold, ramp_start, fallback: Span::from_s(30).max(ramp_start + RAMP), heartbeat }
    }

    /// Whether the fallback is reached well before the heartbeat timeout.
    pub fn fits(&self) -> bool {
        self.fallback + RESERVE <= self.heartbeat
    }

    /// The shortest heartbeat timeout that this ladder fits into, in whole seconds.
    pub(super) fn shortest_heartbeat_s(&self) -> u64 {
        (self.fallback + RESERVE).as_ms().div_ceil(1000)
    }

    /// The longest stale limit for this heartbeat timeout; none where even the shortest ladder does not fit.
    pub(super) fn longest_hold(heartbeat: Span) -> Option<Span> {
        if !Ladder::new(Span::ZERO, heartbeat).fits() {
            return None;
        }
        Some(Span::from_ms(heartbeat.less(RESERVE + RAMP).as_ms() / 3 * 2))
    }
}

impl Ages {
    /// The ages for this poll period.
    pub fn new(poll: Span) -> Ages {
        Ages { capped: Span::from_s(5).max(poll.times(2)), excluded: Span::from_s(15).max(poll.times(4)) }
    }
}

/// The stale limit where none is given: three poll periods, but not below 3 s.
pub(super) fn default_stale_ms(meter_poll_ms: u32) -> u32 {
    meter_poll_ms.saturating_mul(3).max(3_000)
}

/// The poll period of a meter that was left out, which is none but needs a number.
pub(super) const DEFAULT_POLL_MS: u32 = 5_000;

impl Meter {
    /// The poll period of the total power.
    pub fn poll(&self) -> Span {
        Span::from_ms(self.poll_ms.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ladder_ms(hold_ms: u64) -> [u64; 3] {
        let ladder = Ladder::new(Span::from_ms(hold_ms), Span::from_s(60));
        [ladder.hold, ladder.ramp_start, ladder.fallback].map(Span::as_ms)
    }

    #[test]
    fn the_ladder_is_the_one_of_the_specification() {
        assert_eq!(ladder_ms(3_000), [3_000, 10_000, 30_000]);
        assert_eq!(ladder_ms(15_000), [15_000, 22_500, 37_500]);
        assert_eq!(ladder_ms(28_666), [28_666, 42_999, 57_999]);
    }

    #[test]
    fn the_longest_stale_limit_fits_and_a_longer_one_does_not() {
        for heartbeat in (32..=60).map(Span::from_s) {
            let longest = Ladder::longest_hold(heartbeat).unwrap();
            assert!(Ladder::new(longest, heartbeat).fits());
            assert!(!Ladder::new(longest + Span::from_ms(2), heartbeat).fits());
        }
        assert_eq!(Ladder::longest_hold(Span::from_s(31)), None);
    }

    #[test]
    fn slow_polls_make_a_battery_count_for_longer() {
        assert_eq!(Ages::new(Span::from_s(1)), Ages { capped: Span::from_s(5), excluded: Span::from_s(15) });
        assert_eq!(Ages::new(Span::from_s(5)), Ages { capped: Span::from_s(10), excluded: Span::from_s(20) });
    }
}
