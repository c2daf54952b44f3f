//! What the threads of the Modbus server ask of the control thread: every write goes through it, one answer to each.
//!
//! Reads never come here: they are answered from the published [`Image`](super::image::Image).

use crossbeam_channel::Sender;
use serde::{Deserialize, Serialize};

use crate::balancer::Settings;

/// What is wanted, and where the answer goes.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What.
    pub ask: Ask,
    /// Room for one answer; the asker waits at it for a limited time.
    pub reply: Sender<Answer>,
}

/// What can be wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ask {
    /// Registers are to be written, all of them or none.
    Write {
        /// First register, as on the wire.
        address: u16,
        /// At least one.
        values: Vec<u16>,
    },
    /// These settings are on the disk, and are to be put in force; `None`: those of the configuration.
    Apply(Option<Saved>),
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Done; the published registers show it.
    Done,
    /// The Modbus exception with this code; nothing has changed.
    Refused(u8),
    /// Checked, and worth it: these settings are to be saved first, and then asked to be applied. `None`: the file is to be removed.
    Save(Option<Saved>),
}

/// What register 1091 saves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    /// Registers 1010 to 1022; `None` without a load balancer: what nobody chose must not win over a `[load_balancer]` that comes later.
    pub settings: Option<Settings>,
    /// Register 1090: our unit id, 1 to 247.
    pub address: u8,
}

impl Saved {
    /// Whether it may be put in force, wherever it comes from.
    pub fn is_sound(&self) -> bool {
        let sound = |s: &Settings| {
            let waits = [s.alarm.wait_s, s.upper.wait_s, s.lower.wait_s, s.fallback_time_s];
            (1..=3).contains(&s.phases) && waits.iter().all(|wait_s| *wait_s <= 254) && s.fallback_time_s > 0 && s.fault().is_none()
        };
        (1..=247).contains(&self.address) && self.settings.as_ref().is_none_or(sound)
    }
}
