//! What one charger is told of its share of the limit: paused below its least current, and neither paused nor resumed too soon, so that its
//! contactor does not chatter. And how much a charger may come back with, so that it is not thrown out again at once.
//!
//! Never exceeds the share but by the least current, and that only for `min_run` and where nothing forces the pause. Pure.

use super::Settings;
use crate::units::{Span, Time};

/// A charger that was told to go on may take this long to draw current (facts/p1-load-balancer.md 2.3: 10 to 30 s).
pub const STARTS_WITHIN: Span = Span::from_s(45);
/// Kept free of what a paused charger could draw, mA: otherwise the noise of the meter alone would be above the upper limit afterwards.
const SPARE_MA: u32 = 500;
/// The room is a multiple of this, mA: a charger need not be told of every watt in the house.
const ROOM_STEP_MA: u32 = 500;

/// The figures of a charger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    /// It charges with no less, mA (IEC 61851-1: 6 A).
    pub min_current_ma: u32,
    /// A pause lasts no less.
    pub min_pause: Span,
    /// Only what is forced ends charging earlier than this after its start.
    pub min_run: Span,
}

/// What a charger was told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    /// Nothing, since then; `None`: since before we were there.
    Paused {
        /// Since when.
        since: Option<Time>,
    },
    /// This current.
    Runs {
        /// Since when it is told any.
        since: Time,
        /// The most it may draw, mA.
        limit_ma: u32,
    },
}

/// The gate of one charger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gate {
    rules: Rules,
    told: Told,
}

impl Gate {
    /// A charger that was not told anything yet.
    pub fn new(rules: Rules) -> Gate {
        Gate { rules, told: Told::Paused { since: None } }
    }

    /// What it is told for this share of the limit, mA; 0 pauses it. `forced`: a share below its least current pauses it at once.
    pub fn pass(&mut self, share_ma: u32, forced: bool, now: Time) -> u32 {
        let enough = share_ma >= self.rules.min_current_ma && share_ma > 0;
        self.told = match self.told {
            Told::Paused { .. } if enough && self.pause_left(now) == Span::ZERO => Told::Runs { since: now, limit_ma: share_ma },
            Told::Runs { since, .. } if enough => Told::Runs { since, limit_ma: share_ma },
            Told::Runs { since, .. } if !forced && now.since(since) < self.rules.min_run => {
                Told::Runs { since, limit_ma: self.rules.min_current_ma }
            }
            Told::Runs { .. } => Told::Paused { since: Some(now) },
            paused @ Told::Paused { .. } => paused,
        };
        self.limit_ma()
    }

    /// What it was told last.
    pub fn told(&self) -> Told {
        self.told
    }

    /// The same as a current, mA; 0: paused.
    pub fn limit_ma(&self) -> u32 {
        match self.told {
            Told::Paused { .. } => 0,
            Told::Runs { limit_ma, .. } => limit_ma,
        }
    }

    /// How long it still stays paused at least; zero where it is not paused.
    pub fn pause_left(&self, now: Time) -> Span {
        match self.told {
            Told::Paused { since: Some(since) } => self.rules.min_pause.less(now.since(since)),
            Told::Paused { since: None } | Told::Runs { .. } => Span::ZERO,
        }
    }

    /// For how long it is still not paused but by force; zero where it is paused.
    pub fn run_left(&self, now: Time) -> Span {
        match self.told {
            Told::Paused { .. } => Span::ZERO,
            Told::Runs { since, .. } => self.rules.min_run.less(now.since(since)),
        }
    }

    /// Its least current, mA.
    pub fn min_current_ma(&self) -> u32 {
        self.rules.min_current_ma
    }

    /// Whether it may be drawing current: not where it is paused, where it `draws` none by its own newest word, or has said nothing since it
    /// was told to go on, which it may need a while for.
    pub fn may_draw(&self, draws: Option<bool>, now: Time) -> bool {
        match self.told {
            Told::Paused { .. } => false,
            Told::Runs { since, .. } => draws.unwrap_or_else(|| now.since(since) >= STARTS_WITHIN),
        }
    }
}

/// How far the limit may rise, mA: with what the house takes beside it, it must not go beyond the upper limit. Only where `all_paused` the
/// limit falls to that too; one that draws, or is about to, is not stopped by it.
pub fn ceiling(settings: &Settings, house_ma: u32, all_paused: bool, limit_ma: u32) -> u32 {
    let room_ma = settings.upper.limit_ma.saturating_sub(house_ma).saturating_sub(SPARE_MA);
    let room_ma = room_ma - room_ma % ROOM_STEP_MA;
    if all_paused { room_ma } else { room_ma.max(limit_ma) }
}
