//! Any text as a device profile: it is refused with findings that stand in the text, or it is a device that can be polled and commanded under any
//! of its settings with any words in its registers. What is read is within the quantity's range or unknown, and what is written carries no more
//! than was commanded.

use sax_controller::daemon::reading;
use sax_controller::device::decode::{Registers, value};
use sax_controller::device::encode::{self, Context};
use sax_controller::device::parse::{Device, parse};
use sax_controller::device::profile::{Block, Kind, Profile, RawWrite, Register};
use sax_controller::device::quantity::Quantity;
use sax_controller::device::setting::{Chosen, Range, Settings};
use sax_controller::device::status::judge;
use sax_controller::device::{bms, charger, mirror, plan};
use sax_controller::units::Time;

use super::bytes::Bytes;
use super::config::in_place;

/// What stands between the text and the words.
const END: &[u8] = b"\n#####\n";

pub fn run(input: &[u8]) {
    let at = input.windows(END.len()).position(|window| window == END);
    let (text, words) = at.map_or((input, &[][..]), |at| (&input[..at], &input[at + END.len()..]));
    let Ok(text) = std::str::from_utf8(text) else { return };
    match parse(text) {
        Err(findings) => in_place(text, &findings),
        Ok(Device::Profile(profile)) => used(&profile, &mut Bytes(words)),
        Ok(Device::Choice(_) | Device::Telegrams(_)) => {}
    }
}

fn used(profile: &Profile, words: &mut Bytes<'_>) {
    let settings: Settings = profile.settings.iter().filter_map(|s| Some((s.name.clone(), chosen(&s.range, words)?))).collect();
    let profile = profile.with_settings(&settings);
    let mut asked = plan::requests(&profile, |_| true);
    asked.extend(plan::battery_requests(&profile));
    asked.extend(plan::bms_requests(&profile));
    asked.extend(plan::charger_requests(&profile));
    let mut registers = Registers::default();
    for block in asked {
        let inside = |b: &Block| b.function == block.function && b.holds(block.address, block.count);
        assert!((1..=125).contains(&block.count) && profile.blocks.iter().any(inside), "{block:?} lies in no block");
        if !words.chance(5) {
            registers.add(&block, (0..block.count).map(|_| word(words)).collect());
        }
    }
    read(&profile, &registers);
    written(&profile, &registers, words);
}

fn chosen(range: &Range, words: &mut Bytes<'_>) -> Option<Chosen> {
    if words.chance(64) {
        return None;
    }
    Some(match range {
        Range::Number { min, max, .. } => Chosen::Number(words.one(&[*min, *max, min / 2 + max / 2, 1_000_000.clamp(*min, *max)])),
        Range::Words(all) if !all.is_empty() => Chosen::Word(all[words.below(all.len())].0.clone()),
        Range::Words(_) => return None,
    })
}

/// Any word; often one that is the end of something, or part of a float that is no number.
fn word(words: &mut Bytes<'_>) -> u16 {
    match words.u8() {
        n @ 0..160 => u16::from(n),
        n @ 160..200 => [0, 1, 0x7fff, 0x8000, 0xffff, 0x7f80, 0x7fc0, 0xff80, 0xfff6, 0x4b18][usize::from(n) % 10],
        _ => words.u16(),
    }
}

fn read(profile: &Profile, registers: &Registers) {
    for (_, quantity) in Quantity::names() {
        let value = value(profile, registers, quantity);
        assert!(value.is_none_or(|value| quantity.is_plausible(value)), "{quantity:?} {value:?}");
        assert!(value.is_none() || has(profile, quantity), "{quantity:?} out of nothing");
        for point in profile.points.iter().filter(|p| p.quantity == quantity && p.kind == Kind::F32).take(1) {
            let [high, low] = [0, 1].map(|n| registers.get(point.address.saturating_add(n)).unwrap_or(0));
            let (high, low) = if profile.low_word_first { (low, high) } else { (high, low) };
            let is_number = f32::from_bits(u32::from(high) << 16 | u32::from(low)).is_finite();
            assert!(value.is_none() || is_number, "{quantity:?} {value:?} out of no number");
        }
    }
    let values = reading::battery(profile, registers, Time::ZERO);
    if let Some(sample) = values.sample {
        assert!((0..=1000).contains(&sample.soc_pm), "{sample:?}");
        let judged = judge(profile, registers);
        assert!((judged.may_charge || !sample.may_charge) && (judged.may_discharge || !sample.may_discharge), "{sample:?} {judged:?}");
    }
    let says = bms::read(profile, registers);
    let limits = [says.charge_limit_ma, says.discharge_limit_ma];
    assert!(limits.iter().flatten().all(|ma| *ma >= 0) && says.soc_pm.is_none_or(|soc| (0..=1000).contains(&soc)), "{says:?}");
    let says = charger::read(profile, registers);
    assert!(says.current_ma.iter().chain([&says.limit_ma, &says.most_ma]).flatten().all(|ma| *ma <= 1_000_000), "{says:?}");
    let _ = (reading::phases(profile, registers), reading::known(profile, registers), registers.print(profile, |_| true));
}

fn has(profile: &Profile, quantity: Quantity) -> bool {
    profile.point(quantity).is_some() || (quantity == Quantity::Soc && profile.point(Quantity::StoredEnergy).is_some())
}

fn written(profile: &Profile, registers: &Registers, words: &mut Bytes<'_>) {
    let any = words.i64();
    let watts = words.one(&[0, 1, -1, 3500, -4600, 1_000_000, i64::MAX, i64::MIN, any]);
    if let Some(setpoint) = &profile.setpoint {
        assert!(encode::step_w(setpoint) >= 1);
        let offset = setpoint.encodings.first().map_or(0, |e| e.1);
        let mut context = Context { offset, ..Context::default() };
        context.learn(profile, registers);
        if let Some(write) = encode::setpoint(setpoint, watts, &context) {
            fits(&setpoint.register, &write);
        }
    }
    let limits = profile.limits.iter().flat_map(|l| [&l.charge, &l.discharge]);
    for register in limits {
        if let Some(write) = encode::limit(register, watts) {
            fits(register, &write);
            let amounts_to = mirror::number(register, write.words.as_slice()).map_or(0, |number| mirror::scaled(register, number));
            let tame = register.min <= 0 && register.scale_millionths > 0;
            assert!(!tame || amounts_to <= watts.max(0), "a limit of {watts} W was told as {amounts_to} W by {register:?}");
        }
    }
    if let Some(charger) = &profile.charger {
        let ma = u32::from(words.u16());
        let told = [charger.limit_write(ma), charger.fallback_write(ma)];
        for (register, (write, _)) in
            [Some(&charger.limit), charger.fallback.as_ref()].into_iter().flatten().zip(told.into_iter().flatten())
        {
            fits(register, &write);
        }
        let _ = (charger.timeout(), charger.longest_poll());
    }
    for taken in mirror::start(profile).into_iter().chain(mirror::release(profile)) {
        assert!((1..=4).contains(&taken.words.len()) && [6, 16].contains(&taken.function), "{taken:?}");
    }
}

fn fits(register: &Register, write: &RawWrite) {
    assert_eq!((write.address, write.function), (register.address, register.function));
    assert_eq!(write.words.as_slice().len(), usize::from(register.kind.words()));
    if register.kind == Kind::F32 {
        let number = mirror::number(register, write.words.as_slice());
        assert!(number.is_some(), "no number is written: {write:?}");
    }
}
