//! What a simulated device says that is not so: powers with the other sign, and values that jump.
//!
//! Follows from the fault, the device and the time alone; never changes what is true.

use super::faults::Fault;
use super::meter::MeterReading;
use super::rng::mix;

/// Values jump this often, ms.
const JUMP_MS: u64 = 333;
/// What a house may draw or give, and what no house does, W.
const POSSIBLE_W: i64 = 15_000;
const IMPOSSIBLE_W: i64 = 3_000_000;

/// How one device lies at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Lies {
    flipped: bool,
    /// From here the values of the moment follow.
    jump: Option<u64>,
}

impl Lies {
    /// What these faults make of the words of host `host` at this time.
    pub(super) fn of(active: &[Fault], host: usize, now_ms: u64) -> Lies {
        let jump = active.contains(&Fault::Jumps).then(|| mix((now_ms / JUMP_MS) ^ ((host as u64) << 48)));
        Lies { flipped: active.contains(&Fault::SignFlip), jump }
    }

    /// What is said of this power.
    pub(super) fn power_w(&self, power_w: i64) -> i64 {
        self.power_of(3, power_w)
    }

    /// What is said of what the meter measured.
    pub(super) fn meter(&self, mut reading: MeterReading) -> MeterReading {
        for (k, power_w) in (0..).zip(&mut reading.power_w) {
            *power_w = self.power_of(k, *power_w);
        }
        reading
    }

    /// What is said of the state of charge.
    pub(super) fn soc_pm(&self, soc_pm: u16) -> u16 {
        match self.jump.map(|key| mix(key ^ 5)) {
            None => soc_pm,
            Some(dice) if dice % 3 == 0 => soc_pm,
            // Up to 160 %: a third of what is said cannot be.
            Some(dice) => (dice / 3 % 1600) as u16,
        }
    }

    fn power_of(&self, which: u64, power_w: i64) -> i64 {
        let power_w = if self.flipped { -power_w } else { power_w };
        let Some(dice) = self.jump.map(|key| mix(key ^ (which << 8))) else { return power_w };
        let within = |most_w: i64| (dice / 3 % (2 * most_w as u64 + 1)) as i64 - most_w;
        match dice % 3 {
            0 => power_w,
            1 => within(POSSIBLE_W),
            _ => within(IMPOSSIBLE_W),
        }
    }
}
