//! What only a charger shows: its state, its cable, its errors, and the registers that its firmware does not have.

use super::Image;
use crate::device::charger::{ChargerCode, Connected, States};
use crate::device::profile::Profile;
use crate::device::status::Content;
use crate::plant::charger::ChargerState;
use crate::plant::device::{Device, Serves};
use crate::plant::site::Site;

pub(super) fn put(site: &Site, device: &Device, image: &mut Image) {
    let Serves::Charger(k) = device.params.serves else { return };
    let Some(charger) = site.charger(k) else { return };
    let state = charger.state(site.now_ms());
    put_errors(&device.profile, state, image);
    if let Some(states) = device.profile.charger.as_ref().and_then(|c| c.states.as_ref()) {
        put_state(states, state, charger.car().is_plugged(site.now_ms()), image);
    }
    image.remove(&charger.params().missing);
}

fn put_state(states: &States, state: ChargerState, plugged: bool, image: &mut Image) {
    let quiet = |code: &&ChargerCode| code.connected == Connected::Yes && !code.charging;
    let found = match state {
        ChargerState::Free => states.codes.iter().find(|c| c.connected == Connected::No),
        ChargerState::Charging => states.codes.iter().find(|c| c.charging),
        // The first of them waits for nobody, the last one for us.
        ChargerState::Connected => states.codes.iter().find(quiet),
        ChargerState::Paused => states.codes.iter().rfind(quiet),
        ChargerState::Error => states.codes.iter().find(|c| c.connected == Connected::ByCable),
    };
    image.put(states.address, &[found.map_or(0, |code| code.value.checked_shl(states.shift.into()).unwrap_or(0))]);
    if let Some((address, from)) = states.cable {
        let cable = if plugged { from } else { 0 };
        image.put(address, &[(cable >> 16) as u16, cable as u16]);
    }
}

/// The bit that says that nobody asks.
fn put_errors(profile: &Profile, state: ChargerState, image: &mut Image) {
    for status in profile.statuses.iter().filter(|_| state == ChargerState::Error) {
        let Content::Bits { words, bits, .. } = &status.content else { continue };
        let lost = bits.iter().find(|bit| bit.name.contains("communication lost"));
        let raw = lost.and_then(|bit| 1_u32.checked_shl(u32::try_from(bit.value).ok()?)).unwrap_or(0);
        let both = [(raw >> 16) as u16, raw as u16];
        image.put(status.address, if *words == 2 { &both } else { &both[1..] });
    }
}
