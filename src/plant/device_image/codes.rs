//! Which codes and bits a simulated device shows, by what they allow and by their names.

use crate::device::profile::Code;
use crate::device::status::{Content, Status};

/// What a device is like at the moment, in one word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mood {
    Charging,
    Discharging,
    Idle,
    Off,
}

/// The registers of a status.
pub(super) fn status_words(status: &Status, mood: Mood) -> Vec<u16> {
    match &status.content {
        Content::Codes { codes, other } => {
            // Where only troubles have names, a value without a name is none.
            let unnamed = (1..=i64::from(u16::MAX)).find(|n| codes.iter().all(|c| c.value != *n)).filter(|_| other.is_none());
            let all_bad = codes.iter().all(|c| !is_healthy(c)) && mood != Mood::Off;
            vec![unnamed.filter(|_| all_bad && !codes.is_empty()).or_else(|| pick(codes, mood)).unwrap_or(0) as u16]
        }
        Content::Bits { words, bits, needs_any, .. } => {
            let needed: Vec<Code> = bits.iter().filter(|b| needs_any.iter().any(|n| i64::from(*n) == b.value)).cloned().collect();
            let set = pick(&needed, mood).map_or(0_u32, |bit| 1_u32.checked_shl(bit as u32).unwrap_or(0));
            if *words == 2 { vec![(set >> 16) as u16, set as u16] } else { vec![set as u16] }
        }
        Content::Number { kind, .. } => vec![0; usize::from(kind.words())],
    }
}

fn is_healthy(code: &Code) -> bool {
    code.charge && code.discharge && !code.alarm
}

/// The code that fits best: it allows what a healthy device allows, and its name says what the device does.
pub(super) fn pick(codes: &[Code], mood: Mood) -> Option<i64> {
    let score = |code: &&Code| {
        let name = code.name.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
        let (charging, discharging) = (has(&["charg"]) && !has(&["discharg"]), has(&["discharg"]));
        let trouble = has(&["fault", "fail", "not passed", "error"]) && !name.starts_with("no ");
        let fits = match mood {
            Mood::Charging => charging,
            Mood::Discharging => discharging,
            Mood::Idle => has(&["ready", "standby", "idle", "hold", "normal", "none", "connected"]) && !has(&["disconnected", "not "]),
            Mood::Off => return i32::from(!code.charge && !code.discharge) * 4,
        };
        // Where nothing fits, better what says nothing about charging.
        i32::from(is_healthy(code)) * 8 - i32::from(trouble) * 4 + i32::from(fits) * 2 + i32::from(!charging && !discharging)
    };
    // The first of those that fit equally well.
    let best = codes.iter().map(|c| score(&c)).max()?;
    codes.iter().find(|c| score(c) == best).map(|c| c.value)
}
