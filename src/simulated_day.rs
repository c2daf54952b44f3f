//! A while of a simulated site under a controller, second by second, and its key figures beside those of batteries at rest.

pub mod course;

use self::course::Course;
use crate::control::ladder;
use crate::daemon::control::ControlTask;
use crate::daemon::director::Director;
use crate::plant::battery::Control;
use crate::plant::kpi::{Kpi, Mode, Second};
use crate::plant::site::{Integrals, Site};
use crate::simulate::Simulation;
use crate::units::Time;

/// A director whose day can be judged.
pub trait Judged: Director {
    /// What it does at the moment.
    fn mode(&self) -> Mode;
}

impl Judged for ControlTask {
    fn mode(&self) -> Mode {
        match self.decision().mode {
            ladder::Mode::Init => Mode::Init,
            ladder::Mode::Run { .. } => Mode::Run,
            ladder::Mode::Hold { .. } => Mode::Hold,
            ladder::Mode::Ramp => Mode::Ramp,
            ladder::Mode::Fallback => Mode::Fallback,
        }
    }
}

/// Runs `simulation` for `seconds` more; the figures with the controller are added to `with`, those of batteries at rest to `without`,
/// and every second to `course` where one is given.
pub fn run<D: Judged>(simulation: &mut Simulation<D>, seconds: u64, with: &mut Kpi, without: &mut Kpi, mut course: Option<&mut Course>) {
    let mut before = Sums::of(&simulation.site());
    for _ in 0..seconds {
        let until = Time::from_ms(simulation.now().as_ms() + 1000);
        simulation.run_until(until);
        let mode = simulation.director().mode();
        let site = simulation.site();
        let now = Sums::of(&site);
        let second = a_second(&before, &now, &site, mode);
        with.second(&second);
        if let Some(course) = &mut course {
            let cars_mw = std::array::from_fn(|k| (now.integrals.cars[k] - before.integrals.cars[k]) / 100);
            course.add(&second, cars_mw, &site);
        }
        drop(site);
        without.second(&at_rest(&before.integrals, &now.integrals));
        before = now;
    }
}

/// The sums of a site, and how often each battery was written to.
struct Sums {
    integrals: Integrals,
    writes: Vec<u64>,
}

impl Sums {
    fn of(site: &Site) -> Sums {
        Sums { integrals: site.integrals().clone(), writes: (0..site.batteries()).map(|k| site.writes(k)).collect() }
    }
}

fn a_second(before: &Sums, now: &Sums, site: &Site, mode: Mode) -> Second {
    let batteries = || (0..site.batteries()).filter_map(|k| site.battery(k));
    let setpoint = |control: Control| match control {
        Control::Commanded { power_w, .. } => Some(power_w),
        Control::OwnMeter => None,
    };
    Second {
        setpoint_w: batteries().map(|b| setpoint(b.control(site.now_ms()))).collect(),
        writes: before.writes.iter().zip(&now.writes).map(|(a, b)| u32::try_from(b - a).unwrap_or(u32::MAX)).collect(),
        stored_mwh: batteries().map(|b| b.energy_mwh()).sum(),
        mode,
        ..Second::between(&before.integrals, &now.integrals)
    }
}

/// The same second with batteries at rest: the grid gives what the house takes and the sun does not give.
pub fn at_rest(before: &Integrals, now: &Integrals) -> Second {
    let net = |i: &Integrals| [0, 1, 2].map(|f| i.load[f] - i.pv[f]);
    let only_house = |i: &Integrals| Integrals { grid: net(i), battery: Vec::new(), ..i.clone() };
    Second::between(&only_house(before), &only_house(now))
}
