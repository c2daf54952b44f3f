//! From registers to the samples that the core takes.

use crate::control::input::{BatterySample, PhaseSample};
use crate::device::decode::{Registers, code, value};
use crate::device::profile::Profile;
use crate::device::quantity::Quantity;
use crate::device::status::judge;
use crate::units::Time;

/// What a battery's registers say.
#[derive(Clone, PartialEq, Debug)]
pub struct BatteryValues {
    /// For the core; `None` where power or SoC are unknown.
    pub sample: Option<BatterySample>,
    /// Name of the state.
    pub state: Option<String>,
    /// Conditions the device reports itself.
    pub notices: Vec<String>,
}

/// Decodes a battery. A state that has no name allows nothing; an event without a name is reported and allows everything.
pub fn battery(profile: &Profile, registers: &Registers, taken: Time) -> BatteryValues {
    let state = code(profile, registers, Quantity::State);
    let has_state = profile.point(Quantity::State).is_some();
    let event = code(profile, registers, Quantity::Event);
    let may = |of_code: fn(&crate::device::profile::Code) -> bool| state.map_or(!has_state, of_code) && event.is_none_or(of_code);
    let mut notices: Vec<String> = [state, event].into_iter().flatten().filter(|c| c.alarm).map(|c| c.name.clone()).collect();
    if let (None, Some(number)) = (event, value(profile, registers, Quantity::Event)) {
        notices.push(format!("event {number}"));
    }
    let judgement = judge(profile, registers);
    notices.extend(judgement.notices);
    let sample = || {
        Some(BatterySample {
            taken,
            power_w: value(profile, registers, Quantity::Power)?,
            soc_pm: value(profile, registers, Quantity::Soc)?,
            may_charge: judgement.may_charge && may(|c| c.charge),
            may_discharge: judgement.may_discharge && may(|c| c.discharge),
            charge_available_w: value(profile, registers, Quantity::ChargeAvailable),
            discharge_available_w: value(profile, registers, Quantity::DischargeAvailable),
            temperature_c: value(profile, registers, Quantity::Temperature),
        })
    };
    let unnamed = || value(profile, registers, Quantity::State).map(|v| format!("unknown ({v})"));
    // A device without a state of its own is as its first status register says.
    let first = || judgement.shown.first().map(|(_, said)| said.clone());
    BatteryValues { sample: sample(), state: state.map(|c| c.name.clone()).or_else(unnamed).or_else(first), notices }
}

/// Decodes the phases; `None` where one of the powers is unknown.
pub fn phases(profile: &Profile, registers: &Registers) -> Option<[PhaseSample; 3]> {
    let mut phases = [PhaseSample::default(); 3];
    for (f, phase) in phases.iter_mut().enumerate() {
        phase.power_w = value(profile, registers, Quantity::GridPowerOf(f))?;
        phase.reactive_var = value(profile, registers, Quantity::GridReactiveOf(f)).unwrap_or(0);
        phase.voltage_mv = value(profile, registers, Quantity::GridVoltageOf(f));
        phase.current_ma = value(profile, registers, Quantity::GridCurrentOf(f));
    }
    Some(phases)
}
