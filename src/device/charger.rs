//! What a charger is told, and what it says about itself.

use super::profile::{FixedWrite, Register};
use crate::units::Span;

/// Parts of a profile that only a charger has.
#[derive(Clone, PartialEq, Debug)]
pub struct ChargerParts {
    /// Where the limit is written, in its own unit; the integers are mA.
    pub limit: Register,
    /// The limit is written again after this time.
    pub refresh: Span,
    /// Larger limits are written as this, mA (a quirk of some devices).
    pub most_ma: Option<u32>,
    /// The setting that gives `most_ma` instead.
    pub most_from: Option<String>,
    /// Where its communication timeout is written; the value is seconds.
    pub timeout: Option<FixedWrite>,
    /// Where the limit is written to which it falls after that timeout, in its own unit; the integers are mA.
    pub fallback: Option<Register>,
}
