//! How a simulated battery is built, and which of the doubts about the real one it takes.
//!
//! Only figures and their sources; what they do is in [`battery`](super::battery) and [`sax`](super::sax).

use std::fmt;

use crate::units::Phase;

/// Where a battery is connected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wiring {
    /// To one phase.
    One(Phase),
    /// To all three: a third of its power on each.
    All,
}

impl Wiring {
    /// Whether it feeds this phase.
    pub fn feeds(self, phase: Phase) -> bool {
        self == Wiring::All || self == Wiring::One(phase)
    }

    /// What of a power in mW goes to each phase; what does not divide goes to L1.
    pub fn share(self, power_mw: i64) -> [i64; 3] {
        match self {
            Wiring::One(own) => Phase::ALL.map(|phase| if phase == own { power_mw } else { 0 }),
            Wiring::All => [power_mw / 3 + power_mw % 3, power_mw / 3, power_mw / 3],
        }
    }
}

impl From<Phase> for Wiring {
    fn from(phase: Phase) -> Wiring {
        Wiring::One(phase)
    }
}

impl fmt::Display for Wiring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wiring::One(phase) => phase.fmt(f),
            Wiring::All => f.write_str("all phases"),
        }
    }
}

/// How a battery behaves electrically.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BatteryParams {
    /// Where it is connected (facts/sax.md 2, Ratings: a SAX battery to a single phase).
    pub phase: Wiring,
    /// Usable capacity in Wh, 1 to 1 000 000.
    pub capacity_wh: i64,
    /// State of charge at the start in 0.1 %.
    pub soc_pm: u16,
    /// It gives nothing below this state of charge, in 0.1 %.
    pub floor_pm: u16,
    /// Rating when discharging in W (facts/sax.md 2, Ratings: 4600).
    pub max_discharge_w: i64,
    /// Rating when charging in W (facts/sax.md 2, Ratings: 3500 for 7.7 kWh).
    pub max_charge_w: i64,
    /// From a write to the first movement, in ms (control.md 1.1: 200 to 1000 typical, 30 000 seen).
    pub dead_ms: u64,
    /// Time constant of the lag in ms (control.md 1.1: 100 to 500).
    pub tau_ms: u64,
    /// Steepest change in W/s, if it has such a limit (facts/sax.md 2, Rates: perhaps 12.4).
    pub ramp_w_per_s: Option<i64>,
    /// It does this much more than a setpoint other than zero asks for, in W.
    pub tracking_bias_w: i64,
    /// Scale of its own power reading in permille; 1000 is exact.
    pub reading_scale_pm: u16,
    /// Bias of its own power reading in W.
    pub reading_bias_w: i64,
    /// Standard deviation of its own power reading in W.
    pub reading_noise_w: i64,
    /// Part of the charging power that is stored, in permille.
    pub charge_efficiency_pm: u16,
    /// Part of the stored energy that comes out, in permille.
    pub discharge_efficiency_pm: u16,
    /// What it consumes from its store all the time, in mW.
    pub standby_mw: i64,
    /// How long a setpoint holds, in s (facts/sax.md 1.3: 300).
    pub setpoint_timeout_s: u16,
    /// How long the limits 43 and 44 hold, in s; 0 for ever (facts/sax.md 2, Rates: unpredictable).
    pub limits_forget_s: u32,
    /// Device mode "P-Sollwert (TCP)"; without it setpoints are acknowledged and ignored (facts/sax.md 2, Device modes).
    pub accepts_setpoint: bool,
    /// Whether setpoints make it discharge; newer firmware may not (facts/sax.md 2, "Is remote discharge possible?").
    pub remote_discharge: bool,
    /// Keeps its value after being written more often than every 2 s for this long, in ms (facts/sax.md 2, Rates: 2-3 min).
    pub stall_after_ms: Option<u64>,
    /// Without a command it balances by its own smart meter; otherwise it rests.
    pub own_meter: bool,
    /// Part of a system of several: reports 3 instead of 2 when on (facts/sax.md 1.1).
    pub connected: bool,
    /// Makes the noise of this battery different from that of others; [`Site`](super::site::Site) sets it.
    pub noise_key: u64,
}

impl BatteryParams {
    /// An ordinary 7.7 kWh unit, connected like this.
    pub fn on(phase: impl Into<Wiring>) -> BatteryParams {
        BatteryParams {
            phase: phase.into(),
            capacity_wh: 7700,
            soc_pm: 400,
            floor_pm: 0,
            max_discharge_w: 4600,
            max_charge_w: 3500,
            dead_ms: 400,
            tau_ms: 300,
            ramp_w_per_s: None,
            tracking_bias_w: 0,
            reading_scale_pm: 1000,
            reading_bias_w: 0,
            reading_noise_w: 5,
            charge_efficiency_pm: 960,
            discharge_efficiency_pm: 960,
            standby_mw: 5000,
            setpoint_timeout_s: 300,
            limits_forget_s: 300,
            accepts_setpoint: true,
            remote_discharge: true,
            stall_after_ms: None,
            own_meter: true,
            connected: false,
            noise_key: 0,
        }
    }

    /// Without lag, dead time, noise and losses: for tests that want plain numbers.
    pub fn ideal(phase: impl Into<Wiring>) -> BatteryParams {
        BatteryParams {
            dead_ms: 0,
            tau_ms: 0,
            reading_noise_w: 0,
            charge_efficiency_pm: 1000,
            discharge_efficiency_pm: 1000,
            standby_mw: 0,
            ..BatteryParams::on(phase)
        }
    }
}

/// Which register banks exist (facts/sax.md 1.0).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Banks {
    /// Unit 64, registers 41 to 48.
    pub basic: bool,
    /// Unit 40, registers 40071 to 40117.
    pub extended: bool,
    /// Unit 100, registers 40000 to 40114.
    pub sunspec: bool,
}

/// What a unit that does not exist does (facts/sax.md 2, Responses).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Absent {
    /// Nothing.
    Silence,
    /// Exception 0x0B, "gateway target failed to respond".
    Exception,
}

/// How register 41 carries the setpoint (facts/sax.md 1.1, conflict A).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding41 {
    /// Two's complement.
    Plain,
    /// With 16384 added, as 47 and 48.
    Offset,
}

/// What a battery says on its Modbus port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SaxParams {
    /// Which banks exist.
    pub banks: Banks,
    /// What absent units do.
    pub absent: Absent,
    /// Encoding of register 41.
    pub encoding_41: Encoding41,
    /// Whether 43 and 44 can be written (facts/sax.md 1.1: only after SAX support unlocked them).
    pub limits_unlocked: bool,
    /// Whether 41 to 44 can be read (facts/sax.md 1.1, notes: depends on the firmware).
    pub reads_back: bool,
    /// First wire address of unit 100: 40000 or 0 (facts/sax.md 1.0, both seen).
    pub sunspec_base: u16,
    /// Replies to FC16 come back with the high byte of the transaction id cleared (facts/sax.md 5.2).
    pub clears_id: bool,
    /// Exceptions to FC06 say length 6 in the MBAP header (facts/sax.md 2, Responses).
    pub exception_length_6: bool,
    /// Time from request to reply over TCP, in ms.
    pub response_ms: u64,
}

impl Default for SaxParams {
    fn default() -> SaxParams {
        SaxParams {
            banks: Banks { basic: true, extended: true, sunspec: true },
            absent: Absent::Silence,
            encoding_41: Encoding41::Plain,
            limits_unlocked: true,
            reads_back: true,
            sunspec_base: 40000,
            clears_id: true,
            exception_length_6: true,
            response_ms: 0,
        }
    }
}
