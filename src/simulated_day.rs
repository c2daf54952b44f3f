//! A while of a simulated site under a controller, second by second, and its key figures beside those of batteries at rest.

pub mod course;
pub mod csv;
pub mod overlays;
pub mod trace;

use self::course::Course;
use crate::control::ladder;
use crate::daemon::control::ControlTask;
use crate::daemon::director::Director;
use crate::plant::battery::Control;
use crate::plant::kpi::{Kpi, Mode, Second};
use crate::plant::kpi_control::{Sampled, Seen};
use crate::plant::site::{Integrals, Site, WriteEvent};
use crate::simulate::Simulation;
use crate::units::{Phase, Span, Time};

/// A director whose day can be judged.
pub trait Judged: Director {
    /// What it does at the moment.
    fn mode(&self) -> Mode;

    /// What else can be seen of it.
    fn view(&self) -> View {
        View::default()
    }

    /// The grid operator dims the site: the batteries may take this much from the grid, W.
    fn dim(&mut self, _dimmed_w: Option<i64>) {}
}

/// What can be seen of a director.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct View {
    /// When the newest good sample of the meter was taken, and whether it told the load exactly.
    pub sample: Option<(Time, bool)>,
    /// How old a value of the meter may be, as it believes, and whether that was learned.
    pub window: Option<(Span, Span, bool)>,
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

    fn view(&self) -> View {
        let core = self.core();
        let exact = core.estimates().iter().all(|e| e.width_w <= core.site().tuning.narrow_w);
        let learned = core.learned();
        View { sample: core.last_good().map(|at| (at, exact)), window: Some((learned.window.lo, learned.window.hi, learned.movements > 0)) }
    }

    fn dim(&mut self, dimmed_w: Option<i64>) {
        ControlTask::dim(self, dimmed_w);
    }
}

/// Runs `simulation` for `seconds` more; the figures with the controller are added to `with`, those of batteries at rest to `without`,
/// and every second to `course` where one is given.
pub fn run<D: Judged>(simulation: &mut Simulation<D>, seconds: u64, with: &mut Kpi, without: &mut Kpi, mut course: Option<&mut Course>) {
    let mut before = Sums::of(&simulation.site());
    for _ in 0..seconds {
        let until = Time::from_ms(simulation.now().as_ms() + 1000);
        simulation.run_until(until);
        let (mode, view) = (simulation.director().mode(), simulation.director().view());
        let site = simulation.site();
        let now = Sums::of(&site);
        let second = Second { mode, seen: seen(&before.integrals, &site, &view), ..a_second(&before, &now, &site) };
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

fn a_second(before: &Sums, now: &Sums, site: &Site) -> Second {
    let batteries = || (0..site.batteries()).filter_map(|k| site.battery(k));
    let setpoint = |control: Control| match control {
        Control::Commanded { power_w, .. } => Some(power_w),
        Control::OwnMeter => None,
    };
    let spent = Phase::ALL.map(|phase| {
        let on_it = || batteries().filter(|b| b.params().phase.feeds(phase));
        [0, 1].map(|which| on_it().all(|b| b.is_spent()[which]))
    });
    Second {
        spent,
        setpoint_w: batteries().map(|b| setpoint(b.control(site.now_ms()))).collect(),
        writes: before.writes.iter().zip(&now.writes).map(|(a, b)| u32::try_from(b - a).unwrap_or(u32::MAX)).collect(),
        stored_mwh: batteries().map(|b| b.energy_mwh()).sum(),
        ..Second::between(&before.integrals, &now.integrals)
    }
}

/// What was seen of the controller since `before`.
fn seen(before: &Integrals, site: &Site, view: &View) -> Seen {
    let now_ms = site.now_ms();
    let sampled = |exact: bool| if exact { Sampled::Used } else { Sampled::Held };
    let new = view.sample.filter(|(at, _)| at.as_ms() > before.at_ms);
    let mut written: Vec<WriteEvent> = site.events().rev().take_while(|e| e.at_ms > before.at_ms).copied().collect();
    written.reverse();
    Seen {
        sample: new.map(|(_, exact)| sampled(exact)),
        window_ms: view.window.map(|(low, high, _)| (low.as_ms(), high.as_ms())),
        learned: view.window.is_some_and(|(_, _, learned)| learned),
        meter_age_ms: now_ms.checked_sub(site.meter_reading().taken_ms),
        data_age_ms: view.sample.and_then(|(at, _)| now_ms.checked_sub(at.as_ms())),
        written,
    }
}

/// The same second with batteries at rest: the grid gives what the house takes and the sun does not give.
pub fn at_rest(before: &Integrals, now: &Integrals) -> Second {
    let net = |i: &Integrals| [0, 1, 2].map(|f| i.load[f] - i.pv[f]);
    let only_house = |i: &Integrals| Integrals { grid: net(i), battery: Vec::new(), ..i.clone() };
    Second::between(&only_house(before), &only_house(now))
}
