//! A lively house for people: four minutes in which everything happens that a day has to offer, then again.
//!
//! Part of [`house`](super::house). Follows from the number and the time alone.

use super::house::{HousePower, Running};
use super::rng::{gauss_of, mix};
use crate::units::Phase;

/// The powers change at multiples of this, in ms.
pub(super) const TICK_MS: u64 = 200;

const LOOP_S: u64 = 240;
const BASE_W: [i64; 3] = [240, 150, 110];
const NOISE_W: i64 = 6;
/// Panels per phase in full sun, in W: more than the house takes.
const PEAK_W: [i64; 3] = [2200, 2000, 2000];

/// Switched on at, for how long (s), every (s, 0 once per loop), on which phase, W, what it is.
const SCRIPT: [(u64, u64, u64, usize, i64, &str); 12] = [
    (8, 26, 0, 1, 2050, "kettle"),
    (20, 5, 11, 0, 320, "pump"),
    (38, 34, 0, 2, 2400, "oven"),
    (78, 9, 20, 2, 2400, "oven"),
    (52, 4, 7, 0, 1850, "hob"),
    (64, 12, 0, 1, 1600, "hair dryer"),
    (96, 22, 0, 0, 900, "toaster"),
    (112, 7, 10, 1, 1300, "microwave"),
    (131, 40, 0, 0, 1900, "dishwasher"),
    (150, 14, 0, 2, 3400, "kettle and oven"),
    (176, 28, 0, 1, 2100, "washing machine"),
    (205, 12, 0, 0, 4200, "sauna"), // more than a battery can give together with the rest
];

/// From this second on the pulsed devices above stop pulsing.
const PULSES_UNTIL_S: u64 = 168;

/// What the clouds let through, in permille, at these seconds; in between it changes evenly.
const SKY: [(u64, i64); 15] = [
    (0, 350),
    (10, 380),
    (14, 900),
    (30, 960),
    (33, 240),
    (46, 300),
    (50, 1000),
    (85, 980),
    (88, 420),
    (104, 500),
    (107, 1050),
    (125, 900),
    (150, 120),
    (215, 60),
    (240, 350),
];

pub(super) fn at(number: u64, now_ms: u64) -> HousePower {
    let tick = now_ms / TICK_MS;
    let mut load_w: [i64; 3] =
        std::array::from_fn(|k| BASE_W[k] + gauss_of(mix(number).wrapping_add(tick * 3 + k as u64).wrapping_mul(0x9E37_79B9), NOISE_W));
    for device in running(now_ms) {
        load_w[device.phase.index()] += device.power_w;
    }
    let through_pm = sky_pm(now_ms % (LOOP_S * 1000));
    HousePower { load_w, pv_w: PEAK_W.map(|w| w * through_pm / 1000) }
}

/// What is switched on at this time.
pub(super) fn running(now_ms: u64) -> impl Iterator<Item = Running> {
    let second = now_ms / 1000 % LOOP_S;
    let on = move |(start, length, every, ..): &(u64, u64, u64, usize, i64, &str)| runs(second, *start, *length, *every);
    SCRIPT.into_iter().filter(on).map(|(_, _, _, phase, power_w, name)| Running { name, phase: Phase::ALL[phase], power_w })
}

fn runs(second: u64, start: u64, length: u64, every: u64) -> bool {
    let Some(since) = second.checked_sub(start) else { return false };
    match every {
        0 => since < length,
        every => second < PULSES_UNTIL_S && since % every < length,
    }
}

fn sky_pm(loop_ms: u64) -> i64 {
    let after = SKY.partition_point(|(at, _)| at * 1000 <= loop_ms).clamp(1, SKY.len() - 1);
    let ((from_s, from), (to_s, to)) = (SKY[after - 1], SKY[after]);
    let into = loop_ms.saturating_sub(from_s * 1000) / TICK_MS * TICK_MS;
    from + (to - from) * into as i64 / ((to_s - from_s) as i64 * 1000)
}
