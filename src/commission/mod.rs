//! Commissioning: moves one battery after the other a little, and finds out from battery and meter whether the configuration is right.
//!
//! **Answers for**: whether a battery follows, its signs, its phase, its dead time and lag, the scale of its reading, its setpoint encoding,
//! the latency of the meter ([`machine::Commission`] puts it together), and for stopping at the first sign of trouble ([`guard`]).
//!
//! **Never** does I/O, reads a clock or starts a thread: events and time go in, instructions and words come out. Never commands more than
//! the probe's power, the ratings, or what the fuse leaves; and never ends without the order to release every battery.
//!
//! Words: a *leg* is one movement from one setpoint to the next. It is *clean* when battery and grid agree about what happened.
//! Signs: grid import +, battery discharge +. Contract: `spec/control.md` 2.2, "Commissioning probe".

pub mod finding;
pub mod guard;
pub mod leg;
mod legs;
pub mod machine;
pub mod record;
pub mod report;
pub mod response;
pub mod setup;
mod stages;
pub mod subject;
pub mod timing;
