//! Control laws that are common in the field, as directors of the same tasks over the same wire: so that a day can be compared.
//!
//! They know the rating of a battery and what its state, its BMS and its state of charge allow, and nothing else: no fuse, no limit of the
//! site, no schedule, no fail-safe. When the meter or a battery is silent, they go on from what it said last. They are measuring sticks of
//! the simulation and never run a real site.

pub mod aims;
mod director;
pub mod law;

pub use self::director::{Classic, plan_for};
pub use self::law::Kind;
