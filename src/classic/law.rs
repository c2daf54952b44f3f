//! The laws themselves, each for one group of batteries that looks at one power: pure, integers only.
//!
//! Source: `spec/control/plant.py` (`NAIVE_SYNC`, `OPENEMS`), control.md 1.2 and 3.1. The unfiltered law and the filter are those of
//! OpenEMS: `io.openems.edge.controller.ess.balancing` (grid + battery, once per cycle of 1 s) and
//! `io.openems.edge.common/.../filter/PidFilter.java`.

/// Which law.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// No controller: batteries rest, chargers draw what they like.
    Rest,
    /// Half of the grid power is added to the command at every sample of the meter.
    Integrator,
    /// Once per cycle: grid power and battery power together.
    Sum,
    /// The same through a PID filter.
    FilteredSum,
}

impl Kind {
    /// All of them, in the order of a table.
    pub const ALL: [Kind; 4] = [Kind::Rest, Kind::Integrator, Kind::Sum, Kind::FilteredSum];

    /// For the head of a column.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Rest => "no controller",
            Kind::Integrator => "integrator 0.5",
            Kind::Sum => "grid + battery",
            Kind::FilteredSum => "the same, PID",
        }
    }
}

/// What the batteries of a group can do together, W: `low` is the charge power with a minus.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Bounds {
    /// Least power.
    pub low_w: i64,
    /// Most power.
    pub high_w: i64,
}

impl Bounds {
    fn keep(self, w: i64) -> i64 {
        w.clamp(self.low_w.min(self.high_w), self.high_w)
    }
}

/// The state of a law.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Law {
    kind: Kind,
    /// In mW: half of an odd number of watts is not lost.
    integrated_mw: i64,
    filter: Filter,
    command_w: i64,
}

impl Law {
    /// A law that has seen nothing: it commands 0 W.
    pub fn new(kind: Kind) -> Law {
        Law { kind, integrated_mw: 0, filter: Filter::default(), command_w: 0 }
    }

    /// What it commands, W, discharge positive.
    pub fn command_w(&self) -> i64 {
        self.command_w
    }

    /// A sample of the meter: `grid_w` is how far the grid is from its target, import positive.
    pub fn sample(&mut self, grid_w: i64, bounds: Bounds) {
        if self.kind == Kind::Integrator {
            let moved_mw = self.integrated_mw.saturating_add(grid_w.saturating_mul(500));
            self.integrated_mw = Bounds { low_w: bounds.low_w * 1000, high_w: bounds.high_w * 1000 }.keep(moved_mw);
            self.command_w = (self.integrated_mw + 500).div_euclid(1000);
        }
    }

    /// A cycle: the newest words of the meter and of the batteries, however old each of them is.
    pub fn cycle(&mut self, grid_w: i64, battery_w: i64, bounds: Bounds) {
        let target_w = bounds.keep(grid_w.saturating_add(battery_w));
        match self.kind {
            Kind::Sum => self.command_w = target_w,
            Kind::FilteredSum => self.command_w = bounds.keep(self.filter.pass(battery_w, target_w, bounds)),
            Kind::Rest | Kind::Integrator => {}
        }
    }
}

/// The PID filter with its usual gains: 0.3, 0.3, 0.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Filter {
    last_input_w: Option<i64>,
    error_sum_w: i64,
}

/// The sum of errors stays within so many times the largest power.
const SUM_LIMIT: i64 = 10;

impl Filter {
    fn pass(&mut self, input_w: i64, target_w: i64, bounds: Bounds) -> i64 {
        let error_w = target_w - input_w;
        if error_w == 0 {
            return target_w;
        }
        let moved_w = input_w - self.last_input_w.unwrap_or(input_w);
        // The sum as it was before this error, as in the source.
        let tenths = 3 * error_w + 3 * self.error_sum_w - moved_w;
        self.last_input_w = Some(input_w);
        let most_w = SUM_LIMIT * bounds.high_w.abs().max(bounds.low_w.abs());
        self.error_sum_w = (self.error_sum_w + error_w).clamp(-most_w, most_w);
        (tenths + 5).div_euclid(10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Bounds = Bounds { low_w: -3500, high_w: 4600 };

    #[test]
    fn the_integrator_adds_half_of_every_sample_and_stays_within_its_bounds() {
        let mut law = Law::new(Kind::Integrator);
        let commands: Vec<i64> = [2001, 1000, -501, 9000, -100, -20_000]
            .map(|grid_w| {
                law.sample(grid_w, ONE);
                law.command_w()
            })
            .into();
        // 1000.5, 1500.5, 1250.0, clamped, 4550.0, clamped.
        assert_eq!(commands, [1001, 1501, 1250, 4600, 4550, -3500]);
        law.cycle(700, 700, ONE);
        assert_eq!(law.command_w(), -3500, "it knows no cycle");
    }

    #[test]
    fn grid_and_battery_are_added_and_clamped() {
        let mut law = Law::new(Kind::Sum);
        for (grid_w, battery_w, command_w) in [(3000, 0, 3000), (1200, 3000, 4200), (1200, 4200, 4600), (-9000, 100, -3500)] {
            law.cycle(grid_w, battery_w, ONE);
            assert_eq!(law.command_w(), command_w);
        }
        law.sample(1000, ONE);
        assert_eq!(law.command_w(), -3500, "it acts once per cycle only");
    }

    /// By hand, after `plant.py`: oP = 0.3 e, oI = 0.3 sum before, oD = -0.1 movement of the input.
    #[test]
    fn the_filter_is_that_of_the_formula() {
        let mut law = Law::new(Kind::FilteredSum);
        // Target 3000, input 0: 0.3 * 3000 = 900; the sum becomes 3000.
        law.cycle(3000, 0, ONE);
        assert_eq!(law.command_w(), 900);
        // Input 900, target 3000: 0.3 * 2100 + 0.3 * 3000 - 0.1 * 900 = 1440; the sum becomes 5100.
        law.cycle(2100, 900, ONE);
        assert_eq!(law.command_w(), 1440);
        // Input 1440: 0.3 * 1560 + 0.3 * 5100 - 0.1 * 540 = 1944; the sum becomes 6660.
        law.cycle(1560, 1440, ONE);
        assert_eq!(law.command_w(), 1944);
        // At the target the filter is passed by, and remembers its input: 3000 as it is.
        law.cycle(0, 3000, ONE);
        assert_eq!(law.command_w(), 3000);
        // -0.3 * 100 + 0.3 * 6660 - 0.1 * (3000 - 1440) = 1812.
        law.cycle(-100, 3000, ONE);
        assert_eq!(law.command_w(), 1812);
    }

    #[test]
    fn the_sum_of_errors_winds_up_to_ten_times_the_power() {
        let mut law = Law::new(Kind::FilteredSum);
        // A battery that does nothing: the sum grows by 4600 each time, up to 46000; then 0.3 * 46000 is far beyond the clamp.
        (0..50).for_each(|_| law.cycle(9000, 0, ONE));
        assert_eq!(law.filter.error_sum_w, 46_000);
        assert_eq!(law.command_w(), 4600);
        // The load is gone, but it takes the sum ten cycles to come down: this is the wind-up.
        let mut cycles = 0;
        while law.command_w() > 0 {
            law.cycle(-4600, 4600, ONE);
            cycles += 1;
        }
        assert_eq!(cycles, 10);
    }

    #[test]
    fn a_battery_that_may_do_nothing_is_told_nothing() {
        for kind in Kind::ALL {
            let mut law = Law::new(kind);
            law.sample(5000, Bounds::default());
            law.cycle(5000, 0, Bounds::default());
            assert_eq!(law.command_w(), 0);
        }
    }
}
