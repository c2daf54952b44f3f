//! Which batteries can be counted on: do they follow, and do sign and phase of what they do agree with the meter?

use super::Core;
use crate::units::Time;

impl Core {
    /// Looks at every battery at the beginning of a step.
    pub(super) fn watch_trust(&mut self, _now: Time) {}
}
