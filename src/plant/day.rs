//! The reference day: loads per phase, sun and the moment the car comes home, second by second, from a number.
//!
//! An exact port of `spec/control/scenario.py` (control.md 5.1): integers only, every random stream and every rounding as there, so
//! that results are comparable bit by bit. The appliances are in [`appliances`], the sun is in
//! [`sun`]. Never feeds anything back: what the batteries and the car do is not in here.

use super::appliances;
use super::kpi_steps::Switched;
use super::rng::Rng;
use super::sun;

/// Seconds of a day.
pub const DAY_S: usize = 86_400;

/// The time of the year: hours of sun and work of the heat pump.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Season {
    /// Little sun, much heating.
    Winter,
    /// In between.
    Spring,
    /// Much sun, hardly any heating.
    Summer,
}

/// What the clouds do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sky {
    /// None.
    Clear,
    /// Fast changes between sun and shadow.
    Broken,
    /// Slow changes of little light.
    Overcast,
}

/// Which day to generate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DayParams {
    /// The number everything follows from.
    pub number: u64,
    /// Nominal power of the panels in kW, 0 to 1000.
    pub pv_kwp: u16,
    /// Season.
    pub season: Season,
    /// Sky.
    pub sky: Sky,
    /// Whether a car wants energy in the evening.
    pub ev: bool,
    /// Whether there is a heat pump.
    pub heat_pump: bool,
}

impl Default for DayParams {
    fn default() -> DayParams {
        DayParams { number: 1, pv_kwp: 9, season: Season::Spring, sky: Sky::Broken, ev: true, heat_pump: true }
    }
}

/// A generated day.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Day {
    /// Load of each phase in W for every second, without car, sun and batteries.
    pub load_w: [Vec<i32>; 3],
    /// Power of the panels in W for every second, all phases together.
    pub pv_w: Vec<i32>,
    /// Second at which the car is plugged in.
    pub plug_s: i32,
    /// Energy the car wants in Wh; 0 without a car.
    pub need_wh: i32,
    /// What is switched when, as far as it takes much for long.
    pub switched: Vec<Switched>,
}

impl Day {
    /// Generates the day.
    pub fn new(params: &DayParams) -> Day {
        let (load_w, switched) = appliances::loads(params.number, params.season, params.heat_pump);
        let pv_w = sun::power_w(params.number, params.pv_kwp.min(1000), params.season, params.sky);
        let mut rng = Rng::new(params.number, "ev");
        let plug_s = hm(17, 20) + rng.range(0, 3600);
        let need_wh = if params.ev { rng.range(9000, 22000) } else { 0 };
        Day { load_w, pv_w, plug_s: plug_s as i32, need_wh: need_wh as i32, switched }
    }

    /// The day as little-endian `i32`: L1, L2, L3, PV of every second, then plug-in second and energy.
    pub fn bytes(&self) -> Vec<u8> {
        let [l1, l2, l3] = &self.load_w;
        let seconds = l1.iter().zip(l2).zip(l3).zip(&self.pv_w).flat_map(|(((a, b), c), pv)| [*a, *b, *c, *pv]);
        seconds.chain([self.plug_s, self.need_wh]).flat_map(i32::to_le_bytes).collect()
    }
}

/// Second of the day.
pub(crate) const fn hm(hour: i64, minute: i64) -> i64 {
    hour * 3600 + minute * 60
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_car_no_heat_pump_no_sun() {
        let full = Day::new(&DayParams::default());
        let bare = Day::new(&DayParams { ev: false, heat_pump: false, pv_kwp: 0, ..DayParams::default() });
        assert_eq!((bare.need_wh, bare.plug_s), (0, full.plug_s));
        assert!(bare.pv_w.iter().all(|&w| w == 0));
        assert!(bare.load_w[1].iter().sum::<i32>() < full.load_w[1].iter().sum::<i32>());
    }
}
