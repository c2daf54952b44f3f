//! The sun over the panels on the reference day: a parabola blend times what the clouds let through.
//!
//! Part of the exact port of `spec/control/scenario.py`; see [`day`](super::day).

use super::day::{DAY_S, Season, Sky, hm};
use super::rng::Rng;

/// Power of the panels in W for every second of the day.
pub(super) fn power_w(number: u64, pv_kwp: u16, season: Season, sky: Sky) -> Vec<i32> {
    let (rise, set, top) = match season {
        Season::Winter => (hm(8, 0), hm(16, 20), 450),
        Season::Spring => (hm(6, 30), hm(19, 30), 820),
        Season::Summer => (hm(5, 0), hm(21, 0), 930),
    };
    let peak_w = i64::from(pv_kwp) * 1000 * top / 1000;
    let mut clouds = Clouds::new(number);
    (0..DAY_S as i64)
        .map(|t| {
            let through_pm = clouds.second(sky);
            if !(rise..=set).contains(&t) {
                return 0;
            }
            let x = (t - rise) * 65536 / (set - rise);
            let c = (4 * x * (65536 - x)) >> 16;
            let s = (c * 3 + ((c * c) >> 16) * 7) / 10;
            (peak_w * s / 65536 * through_pm / 1000) as i32
        })
        .collect()
}

/// A telegraph signal with limited slope.
struct Clouds {
    rng: Rng,
    through_pm: i64,
    target_pm: i64,
    slope_pm: i64,
    left_s: i64,
}

impl Clouds {
    fn new(number: u64) -> Clouds {
        Clouds { rng: Rng::new(number, "pv"), through_pm: 1000, target_pm: 1000, slope_pm: 20, left_s: 0 }
    }

    /// What the clouds let through in this second, in permille; more than 1000 at their bright edges.
    fn second(&mut self, sky: Sky) -> i64 {
        if self.left_s <= 0 {
            self.change(sky);
        }
        self.left_s -= 1;
        self.through_pm += (self.target_pm - self.through_pm).clamp(-self.slope_pm, self.slope_pm);
        self.through_pm
    }

    fn change(&mut self, sky: Sky) {
        let rng = &mut self.rng;
        let (target, left, slope) = match sky {
            Sky::Clear => ((940, 1000), (600, 2400), (1, 8)),
            Sky::Broken if self.target_pm > 700 => ((220, 600), (15, 150), (15, 160)),
            Sky::Broken => ((900, 1080), (20, 240), (15, 160)),
            Sky::Overcast => ((120, 420), (120, 900), (2, 20)),
        };
        self.target_pm = rng.range(target.0, target.1);
        self.left_s = rng.range(left.0, left.1);
        self.slope_pm = rng.range(slope.0, slope.1);
    }
}
