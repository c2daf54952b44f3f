//! The control core: readings and time go in, a decision per battery comes out.
//!
//! **Answers for**: the net-load estimate ([`estimate`]) and what can be learned while running ([`learner`]); what each battery may do now
//! ([`capability`], [`bms`]); what the phases are asked for ([`balance`]), the limits of the whole site ([`site_limits`]), the bounds of fuse and
//! policy ([`allocate`]), and which batteries of a phase work ([`active`]) and how much of it each does ([`share`]); the limits of batteries
//! that balance by themselves ([`limits_mode`]); the fail-safe ladder ([`ladder`]), frozen meters ([`frozen`]), and saying when a battery
//! does not do what it is told ([`follow`]). [`core::Core`] puts them together.
//!
//! **Never** does I/O, reads a clock, starts a thread, writes a log or allocates in a step. Same inputs, same outputs, bit for bit.
//!
//! Words: the *net load* of a phase is what the house draws there without the batteries (grid + battery). A *sample* is one plausible
//! reading of the meter. The *window* is how old a meter value may be when it arrives. Signs: grid import +, battery discharge +.
//! Contract: `spec/control.md`; the law's reference is `spec/control/law.py`, and `tests/reference_law.rs` compares with it.

pub mod active;
pub mod alarm;
pub mod allocate;
pub mod balance;
pub mod bms;
pub mod capability;
pub mod core;
pub mod decision;
pub mod demand;
pub mod distrust;
pub mod estimate;
pub mod follow;
pub mod frozen;
pub mod guard;
pub mod history;
pub mod input;
pub mod ladder;
pub mod learned;
pub mod learner;
pub mod limits_mode;
pub mod math;
pub mod share;
pub mod site;
pub mod site_limits;
