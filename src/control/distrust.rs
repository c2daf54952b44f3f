//! For how long is a battery not believed whose sign or phase was found wrong? Long, where that is found again and again; short at first,
//! and shortest where it had been right before: wires do not move, but a meter may lie for a while. It never lasts for good: after it the
//! battery is tried, and what nobody sees in its trial is forgiven. Finds nothing itself.

use crate::units::Span;

/// The first time.
const FIRST: Span = Span::from_s(300);
/// … of a battery that had been right before.
const FIRST_OF_RIGHT: Span = Span::from_s(60);
/// It doubles with every time, up to this.
const LONGEST: Span = Span::from_s(3600);
/// So often.
const DOUBLINGS: u32 = 6;
/// The trial afterwards ends in trust where nothing tells in its time: a house may be calm for hours.
pub const TRIAL: Span = Span::from_s(600);

/// How long distrust lasts that is found for the `times`-th time in a row, counted from 1.
pub fn length(times: u32, was_right: bool) -> Span {
    let first = if was_right { FIRST_OF_RIGHT } else { FIRST };
    first.times(1 << times.saturating_sub(1).min(DOUBLINGS)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_an_hour_and_is_short_for_what_was_right() {
        let of = |was_right: bool| [1, 2, 3, 4, 5, 6, 7, u32::MAX].map(|times| length(times, was_right).as_ms() / 60_000);
        assert_eq!(of(false), [5, 10, 20, 40, 60, 60, 60, 60]);
        assert_eq!(of(true), [1, 2, 4, 8, 16, 32, 60, 60]);
    }
}
