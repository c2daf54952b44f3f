//! The registers of a SAX battery as they read at the present moment, bank by bank.
//!
//! Only shows; writes are in [`sax`](super::sax). Every address, scale and sign has its source in facts/sax.md 1.1 to 1.3. A unit
//! reports itself, not the sum of several units.

use super::battery::{Control, State};
use super::battery_params::{Encoding41, Wiring};
use super::lies::Lies;
use super::meter::MeterReading;
use super::sax::{UNIT_BASIC, UNIT_EXTENDED};
use super::site::{Cell, Site};

/// What 47 and 48 add to the power (facts/sax.md 1.1: raw 16384 at 0 W).
pub const OFFSET_W: i64 = 16384;

const NOT_IMPLEMENTED: u16 = 0xFFFF;

/// A block of registers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Image {
    base: u16,
    values: Vec<u16>,
}

impl Image {
    /// The registers asked for; `None` if one of them does not exist.
    pub(super) fn slice(&self, address: u16, count: u16) -> Option<Vec<u16>> {
        let from = usize::from(address.checked_sub(self.base)?);
        self.values.get(from..from + usize::from(count)).map(<[u16]>::to_vec)
    }

    fn blank(base: u16, length: usize) -> Image {
        Image { base, values: vec![0; length] }
    }

    /// Puts values from an address on; what lies outside is left out.
    fn put<const N: usize>(&mut self, address: u16, values: [u16; N]) {
        let from = usize::from(address.saturating_sub(self.base));
        for (place, value) in self.values.iter_mut().skip(from).zip(values) {
            *place = value;
        }
    }
}

/// The registers of this unit: what is frozen, or what is true.
pub(super) fn of(site: &Site, battery: usize, unit: u8) -> Option<Image> {
    let cell = site.cells.get(battery)?;
    let now = Now::of(site, battery, cell);
    match (&cell.registers.frozen_images, unit) {
        (Some([basic, _, _]), UNIT_BASIC) => Some(basic.clone()),
        (Some([_, extended, _]), UNIT_EXTENDED) => Some(extended.clone()),
        (Some([_, _, sunspec]), _) => Some(sunspec.clone()),
        (None, UNIT_BASIC) => Some(basic(&now)),
        (None, UNIT_EXTENDED) => Some(extended(&now)),
        (None, _) => Some(sunspec(&now, battery)),
    }
}

/// All three, as they are now.
pub(super) fn all(site: &Site, battery: usize) -> Option<[Image; 3]> {
    let now = Now::of(site, battery, site.cells.get(battery)?);
    Some([basic(&now), extended(&now), sunspec(&now, battery)])
}

/// The setpoint in force in W, if there is one.
pub(super) fn commanded_w(site: &Site, battery: usize) -> Option<i64> {
    match site.cells.get(battery)?.battery.control(site.now_ms()) {
        Control::Commanded { power_w, .. } => Some(power_w),
        Control::OwnMeter => None,
    }
}

/// What all banks show, each in its own way.
struct Now<'a> {
    cell: &'a Cell,
    meter: MeterReading,
    lies: Lies,
    now_ms: u64,
    power_w: i64,
    current_ma: i64,
    phase: usize,
    export_wh: i64,
    import_wh: i64,
}

impl<'a> Now<'a> {
    fn of(site: &Site, battery: usize, cell: &'a Cell) -> Now<'a> {
        let lies = Lies::of(&site.faults().active(battery), battery, site.now_ms());
        let meter = lies.meter(cell.registers.frozen_meter.unwrap_or_else(|| site.meter_reading()));
        let phase = match cell.battery.params().phase {
            Wiring::One(phase) => phase.index(),
            Wiring::All => 0,
        };
        let power_w = lies.power_w(cell.battery.reported_w(site.now_ms()));
        let current_ma = power_w.abs() * 1_000_000 / meter.voltage_mv[phase].max(1);
        // mW times 10 ms to Wh.
        let [export_wh, import_wh] = [site.integrals().export, site.integrals().import].map(|sum| sum / 360_000_000);
        Now { cell, meter, lies, now_ms: site.now_ms(), power_w, current_ma, phase, export_wh, import_wh }
    }

    fn soc(&self) -> u16 {
        (self.lies.soc_pm(self.cell.battery.soc_pm()) + 5) / 10
    }

    fn state(&self) -> State {
        self.cell.battery.state(self.now_ms)
    }

    /// This value on the battery's own phase, 0 on the others.
    fn own_phase(&self, value: u16) -> [u16; 3] {
        std::array::from_fn(|k| if k == self.phase { value } else { 0 })
    }
}

/// Unit 64 (facts/sax.md 1.1).
fn basic(now: &Now) -> Image {
    let Now { cell, meter, .. } = now;
    let (discharge_w, charge_w) = cell.battery.limits_w(now.now_ms);
    let idle = if cell.sax.encoding_41 == Encoding41::Plain { 0 } else { OFFSET_W as u16 };
    let raw_41 = cell.registers.raw_41.unwrap_or(idle);
    let mut image = if cell.sax.reads_back { Image::blank(41, 8) } else { Image::blank(45, 4) };
    if cell.sax.reads_back {
        image.put(41, [raw_41, cell.registers.cos_phi.unwrap_or(1000), discharge_w, charge_w]);
    }
    image.put(45, [now.state().code(), now.soc(), u(now.power_w + OFFSET_W), u(meter.total_w() + OFFSET_W)]);
    image
}

/// Unit 40 (facts/sax.md 1.2), literal addresses. Meter currents are magnitudes, meter powers export positive in 10 W.
fn extended(now: &Now) -> Image {
    let Now { cell, meter, .. } = now;
    let mut image = Image::blank(40071, 47);
    let current = u(now.current_ma / 10);
    let [l1, l2, l3] = now.own_phase(current);
    image.put(40071, [103, 45, current, l1, l2, l3, s(-2)]);
    let [v1, v2, v3] = meter.voltage_mv.map(|mv| u(mv / 100));
    image.put(40081, [v1, v2, v3, s(-1), s(tens(now.power_w)), s(1), u(meter.frequency_mhz / 100), s(-1)]);
    image.put(40089, [s(tens(now.power_w.abs())), s(1), s(0), s(1), s(10), s(-1), 100]);
    image.put(40096, [u(now.export_wh / 10_000), u(now.import_wh / 10_000), s(4), now.state().code()]);
    let [i1, i2, i3] = meter.current_ma().map(|ma| s(ma / 10));
    let [p1, p2, p3] = meter.power_w.map(|w| s(tens(-w)));
    image.put(40100, [i1, i2, i3, p1, p2, p3, s(1), v1, v2, v3, s(tens(-meter.total_w()))]);
    image.put(40114, [now.soc(), u(cell.battery.params().capacity_wh), 412, 24]);
    image
}

/// Unit 100 (facts/sax.md 1.3); identification as in the trace of 5.3.
fn sunspec(now: &Now, battery: usize) -> Image {
    let base = now.cell.sax.sunspec_base;
    let mut image = Image::blank(base, 115);
    let serial = 0x6920_u16.wrapping_add(battery as u16);
    image.put(base, [0x5375, 0x6E53, 1, 15, 0x5341, 0x5850, 0x4F57, 0x4552, 0x484F, 0x4D45, 0x2D20, 23, 56, 0x3BBF, serial]);
    sunspec_battery(now, base, &mut image);
    sunspec_control(now, base, &mut image);
    sunspec_grid(now, base, &mut image);
    sunspec_store(now, base, &mut image);
    image
}

fn sunspec_battery(now: &Now, base: u16, image: &mut Image) {
    let volts = now.meter.voltage_mv.map(|mv| mv / 100);
    let [v1, v2, v3] = volts.map(u);
    let [v12, v23, v31] = between(volts);
    let current = u(now.current_ma / 10);
    let [i1, i2, i3] = now.own_phase(current);
    image.put(base + 15, [103, 32, current, i1, i2, i3, s(-2), v12, v23, v31, v1, v2, v3, s(-1)]);
    let hertz = u(now.meter.frequency_mhz / 10);
    image.put(base + 29, [s(now.power_w), s(0), hertz, s(-2), u(now.power_w.abs()), s(0), s(0), s(0), s(1000), s(-3)]);
    let state = match now.state() {
        State::Off => 1,
        State::Standby => 2,
        State::On | State::Connected => 4,
    };
    // 45 is PV power, which only an ADW200 knows: 0 (facts/sax.md 1.3).
    image.put(base + 39, [NOT_IMPLEMENTED, NOT_IMPLEMENTED, s(24), s(0), state, 0, 0, s(1)]);
}

fn sunspec_control(now: &Now, base: u16, image: &mut Image) {
    let battery = &now.cell.battery;
    let commanded = matches!(battery.control(now.now_ms), Control::Commanded { .. });
    let percent = now.cell.registers.percent as u16;
    let reference_w = u(battery.params().max_discharge_w);
    image.put(base + 47, [123, 7, percent, battery.timeout_s(), u16::from(commanded), s(-2), reference_w]);
}

fn sunspec_grid(now: &Now, base: u16, image: &mut Image) {
    let meter = &now.meter;
    let amps = meter.current_ma().map(|ma| ma / 100);
    let [i1, i2, i3] = amps.map(u);
    image.put(base + 54, [203, 41, u(amps.iter().sum()), i1, i2, i3, s(-1)]);
    let volts = meter.voltage_mv.map(|mv| mv / 100);
    let [v1, v2, v3] = volts.map(u);
    let [v12, v23, v31] = between(volts);
    let mean = u(volts.iter().sum::<i64>() / 3);
    let mean_ll = u((i64::from(v12) + i64::from(v23) + i64::from(v31)) / 3);
    image.put(base + 61, [mean, v1, v2, v3, mean_ll, v12, v23, v31, s(-1), u(meter.frequency_mhz / 10), s(-2)]);
    let [p1, p2, p3] = meter.power_w.map(|w| s(tens(-w)));
    let [a1, a2, a3] = meter.power_w.map(|w| u(tens(w.abs())));
    let apparent = u(tens(meter.power_w.iter().map(|w| w.abs()).sum()));
    image.put(base + 72, [s(tens(-meter.total_w())), p1, p2, p3, s(1), apparent, a1, a2, a3, s(1)]);
    image.put(base + 82, [0, 0, 0, 0, s(1), s(1000), s(1000), s(1000), s(1000), s(-3)]);
    image.put(base + 92, [NOT_IMPLEMENTED; 3]);
}

fn sunspec_store(now: &Now, base: u16, image: &mut Image) {
    let battery = &now.cell.battery;
    let params = battery.params();
    let (most_discharge_w, most_charge_w) = battery.ability_w();
    let charge_w = if battery.is_full() { 0 } else { u(most_charge_w) };
    let discharge_w = if battery.is_empty() { 0 } else { u(most_discharge_w) };
    image.put(
        base + 95,
        [802, 20, u(params.capacity_wh), charge_w, discharge_w, 100, params.floor_pm / 10, now.soc(), 100_u16.saturating_sub(now.soc())],
    );
    let applied = u16::from(now.power_w.abs() > 20);
    let cell_mv = 3200 + battery.soc_pm() / 5;
    image
        .put(base + 104, [NOT_IMPLEMENTED, NOT_IMPLEMENTED, applied, NOT_IMPLEMENTED, 0, cell_mv, s(0), s(0), s(0), NOT_IMPLEMENTED, s(0)]);
}

/// Voltages between the phases.
fn between([v1, v2, v3]: [i64; 3]) -> [u16; 3] {
    [v1 + v2, v2 + v3, v3 + v1].map(|sum| u(sum * 866 / 1000))
}

fn tens(value: i64) -> i64 {
    (value + 5).div_euclid(10)
}

fn u(value: i64) -> u16 {
    value.clamp(0, i64::from(u16::MAX)) as u16
}

fn s(value: i64) -> u16 {
    value.clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16 as u16
}
