//! What is switched on and off in the house on the reference day.
//!
//! Part of the exact port of `spec/control/scenario.py`; see [`day`](super::day). The order of the draws within a stream is part of the
//! result: a line that moves changes every day there is.

use super::day::{DAY_S, Season, hm};
use super::kpi_steps::Switched;
use super::rng::Rng;

/// Load of each phase in W for every second of the day, and when what takes much for long is switched.
pub(super) fn loads(number: u64, season: Season, heat_pump: bool) -> ([Vec<i32>; 3], Vec<Switched>) {
    let mut loads = Loads([vec![0; DAY_S], vec![0; DAY_S], vec![0; DAY_S]], Vec::new());
    let stream = |tag: &str| Rng::new(number, tag);
    for (phase, base_w) in [110, 70, 55].into_iter().enumerate() {
        loads.base(phase, base_w, stream(&format!("base{phase}")));
    }
    loads.cooler(0, stream("fridge"), 95, 720, 1440);
    loads.cooler(2, stream("freezer"), 80, 900, 1800);
    loads.breakfast(stream("kettle"));
    loads.hob(stream("hobA"), hm(12, 5));
    loads.hob(stream("hobB"), hm(18, 5));
    loads.oven(stream("oven"));
    loads.microwave(stream("micro"));
    loads.washing_machine(stream("wash"));
    loads.dishwasher(stream("dish"));
    loads.the_rest(stream("misc"));
    if heat_pump {
        loads.heat_pump(stream("hp"), season);
    }
    (loads.0, loads.1)
}

struct Loads([Vec<i32>; 3], Vec<Switched>);

impl Loads {
    fn add(&mut self, phase: usize, start_s: i64, length_s: i64, power_w: i64) {
        let day = DAY_S as i64;
        let (from, to) = (start_s.clamp(0, day), (start_s + length_s).clamp(0, day));
        for load in self.0[phase].iter_mut().take(to as usize).skip(from as usize) {
            *load += power_w as i32;
        }
    }

    /// Adds it under its name.
    fn add_named(&mut self, name: &'static str, phase: usize, start_s: i64, length_s: i64, power_w: i64) {
        self.add(phase, start_s, length_s, power_w);
        for (at_s, change_w) in [(start_s, power_w), (start_s + length_s, -power_w)] {
            if let Some(at_s) = u32::try_from(at_s).ok().filter(|s| (*s as usize) < DAY_S) {
                self.1.push(Switched { name, phase, at_s, change_w });
            }
        }
    }

    /// Standing load with first-order noise; the shifts round down, as in the reference.
    fn base(&mut self, phase: usize, base_w: i64, mut rng: Rng) {
        let mut noise = 0;
        for load in &mut self.0[phase] {
            noise = noise - (noise >> 5) + rng.range(-6, 6);
            *load += (base_w + (noise >> 1)).max(5) as i32;
        }
    }

    /// Thermostat cycles with one second of inrush.
    fn cooler(&mut self, phase: usize, mut rng: Rng, power_w: i64, on_s: i64, off_s: i64) {
        let mut t = rng.range(0, off_s);
        while t < DAY_S as i64 {
            let d = on_s + rng.range(-90, 90);
            self.add(phase, t, d, power_w);
            self.add(phase, t, 1, 600);
            t += d + off_s + rng.range(-180, 180);
        }
    }

    /// Kettle and coffee machine on L2, toaster on L1.
    fn breakfast(&mut self, mut rng: Rng) {
        for (from, to) in [(hm(6, 20), hm(7, 20)), (hm(9, 0), hm(10, 30)), (hm(15, 0), hm(16, 30)), (hm(19, 0), hm(20, 30))] {
            let (t, d, p) = (rng.range(from, to), rng.range(110, 210), rng.range(1900, 2200));
            self.add_named("kettle", 1, t, d, p);
        }
        let t = rng.range(hm(6, 30), hm(7, 0));
        self.add_named("coffee machine", 1, t, 45, 1450);
        for k in 0..20 {
            self.add(1, t + 60 + 30 * k, 6, 1450);
        }
        self.add_named("toaster", 0, rng.range(hm(6, 40), hm(7, 10)), 150, 900);
    }

    /// Two zones, pulsed every few seconds.
    fn hob(&mut self, mut rng: Rng, from: i64) {
        let start = from + rng.range(0, 1500);
        for (phase, power_w) in [(0, 1850), (1, 1400)] {
            let mut t = start + rng.range(0, 240);
            let end = t + rng.range(1100, 1700);
            self.add_named("hob", phase, t, 240, power_w);
            t += 240;
            let (on, off) = (rng.range(3, 6), rng.range(3, 6));
            while t < end {
                self.add(phase, t, on, power_w);
                t += on + off;
            }
        }
    }

    fn oven(&mut self, mut rng: Rng) {
        let mut t = hm(17, 40) + rng.range(0, 1800);
        self.add_named("oven", 2, t, 520, 2400);
        t += 560;
        for _ in 0..36 {
            let d = rng.range(18, 32);
            self.add_named("oven", 2, t, d, 2400);
            t += d + rng.range(30, 50);
        }
    }

    fn microwave(&mut self, mut rng: Rng) {
        for from in [hm(7, 0), hm(12, 30), hm(20, 0)] {
            let mut t = from + rng.range(0, 2400);
            for _ in 0..rng.range(6, 18) {
                self.add(2, t, rng.range(6, 8), 1300);
                t += 10;
            }
        }
    }

    fn washing_machine(&mut self, mut rng: Rng) {
        let t = hm(9, 30) + rng.range(0, 3600);
        self.add_named("washing machine", 1, t + 300, rng.range(780, 1020), 2050);
        for k in 0..150 {
            self.add(1, t + 20 * k, 12, 180 + rng.range(0, 160));
        }
        self.add(1, t + 3100, 420, 480);
        self.add(1, t + 3600, 300, 560);
    }

    fn dishwasher(&mut self, mut rng: Rng) {
        let t = hm(20, 15) + rng.range(0, 2400);
        self.add(0, t, 5400, 60);
        self.add_named("dishwasher", 0, t + 420, 780, 1900);
        self.add_named("dishwasher", 0, t + 3300, 660, 1900);
    }

    /// Dryer, vacuum cleaner, hair dryer, lights, television, computer.
    fn the_rest(&mut self, mut rng: Rng) {
        self.add_named("dryer", 2, hm(11, 0) + rng.range(0, 5400), 4200, 620);
        self.add_named("vacuum cleaner", 0, hm(10, 20) + rng.range(0, 3600), rng.range(600, 1200), 850);
        self.add_named("hair dryer", 1, hm(6, 50) + rng.range(0, 1200), rng.range(180, 360), 1600);
        for phase in 0..3 {
            self.add(phase, hm(5, 50) + rng.range(0, 1200), rng.range(3600, 5400), 40 + rng.range(0, 60));
            self.add(phase, hm(17, 0) + rng.range(0, 5400), rng.range(14400, 19800), 60 + rng.range(0, 90));
        }
        self.add(0, hm(18, 0) + rng.range(0, 3600), 14400, 140);
        self.add(2, hm(8, 0), 32400, 90);
    }

    fn heat_pump(&mut self, mut rng: Rng, season: Season) {
        let (least, most) = match season {
            Season::Winter => (1800, 3600),
            Season::Spring => (4800, 8400),
            Season::Summer => (14400, 21600),
        };
        let mut t = rng.range(0, 1800);
        while t < DAY_S as i64 {
            let (d, p) = (rng.range(1100, 1900), rng.range(420, 720));
            for phase in 0..3 {
                self.add(phase, t, d, p);
            }
            t += d + rng.range(least, most);
        }
    }
}
