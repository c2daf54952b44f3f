//! Limits for batteries that balance by themselves: lowered at once, raised slowly (`spec/control.md` 2.5, LIMIT).

use crate::units::{Span, Time};

/// A limit is raised at most this often.
const RAISE_EVERY: Span = Span::from_s(5);
/// A smaller raise is not worth a write, W.
const RAISE_LEAST_W: i64 = 100;

/// One limit of one battery, W, ≥ 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Limit {
    current_w: Option<i64>,
    raised: Time,
}

impl Limit {
    /// What is in force.
    pub fn current_w(&self) -> i64 {
        self.current_w.unwrap_or(0)
    }

    /// Moves towards `wanted_w` and returns what is in force then.
    pub fn towards(&mut self, wanted_w: i64, now: Time) -> i64 {
        match self.current_w {
            Some(current) if wanted_w > current => {
                // The last stretch to zero headroom counts whatever its size, so that the full rating is reached in the end.
                let worth = wanted_w - current > RAISE_LEAST_W || current == 0 || now.since(self.raised) >= RAISE_EVERY.times(12);
                if worth && now.since(self.raised) >= RAISE_EVERY {
                    self.current_w = Some(wanted_w);
                    self.raised = now;
                }
            }
            Some(_) => self.current_w = Some(wanted_w),
            None => {
                self.current_w = Some(wanted_w);
                self.raised = now;
            }
        }
        self.current_w()
    }

    /// Sets it regardless.
    pub fn force(&mut self, w: i64) -> i64 {
        self.current_w = Some(w);
        w
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lowered_at_once_raised_slowly() {
        let mut limit = Limit::default();
        let at = Time::from_ms;
        assert_eq!(limit.towards(4600, at(0)), 4600);
        assert_eq!(limit.towards(1000, at(100)), 1000);
        assert_eq!(limit.towards(4600, at(200)), 1000, "raised less than 5 s ago");
        assert_eq!(limit.towards(1080, at(6000)), 1000, "not worth a write");
        assert_eq!(limit.towards(4600, at(6100)), 4600);
        assert_eq!(limit.towards(4500, at(7000)), 4500);
        assert_eq!(limit.towards(4600, at(67_000)), 4600, "small raises after a minute");
    }
}
