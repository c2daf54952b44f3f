//! What is written to a simulated charger: its limit, its communication timeout, its fallback limit.

use super::{ILLEGAL_ADDRESS, ILLEGAL_FUNCTION, ILLEGAL_VALUE};
use crate::device::charger::ChargerParts;
use crate::device::mirror;
use crate::device::profile::Register;
use crate::plant::charger::{Told, Written};
use crate::plant::site::Site;

/// One number per request, all of its registers at once.
pub(super) fn write(site: &mut Site, k: usize, charger: usize, function: u8, address: u16, values: &[u16]) -> Result<(), u8> {
    let (profile, now_ms) = (site.devices[k].profile.clone(), site.now_ms());
    let Some((parts, charger)) = profile.charger.as_ref().zip(site.charger_mut(charger)) else { return Err(ILLEGAL_FUNCTION) };
    if charger.params().missing.contains(&address) {
        return Err(ILLEGAL_ADDRESS);
    }
    let (takes, what) = meaning(parts, address, values).ok_or(ILLEGAL_ADDRESS)?;
    if takes != function {
        return Err(ILLEGAL_FUNCTION);
    }
    charger.tell(Told { at_ms: now_ms, what: what.ok_or(ILLEGAL_VALUE)? });
    Ok(())
}

/// With which function that address is written, and what these values mean there.
fn meaning(parts: &ChargerParts, address: u16, values: &[u16]) -> Option<(u8, Option<Written>)> {
    let whole = |register: &Register| usize::from(register.kind.words()) == values.len();
    let milliamperes = |r: &Register| mirror::number(r, values).filter(|_| whole(r)).map(|n| mirror::scaled(r, n));
    if address == parts.limit.address {
        return Some((parts.limit.function, milliamperes(&parts.limit).map(Written::LimitMa)));
    }
    if let Some(fallback) = parts.fallback.as_ref().filter(|r| r.address == address) {
        let amperes = milliamperes(fallback).map(|ma| Written::FallbackA(u16::try_from(ma / 1000).unwrap_or(u16::MAX)));
        return Some((fallback.function, amperes));
    }
    let timeout = parts.timeout.as_ref().filter(|t| t.write.address == address)?;
    let seconds = if let [seconds] = values { Some(Written::TimeoutS(*seconds)) } else { None };
    Some((timeout.write.function, seconds))
}
