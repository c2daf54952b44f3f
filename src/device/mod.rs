//! Devices as data: profiles say which registers hold what, one driver executes them.
//!
//! **Answers for**: the profile language ([`profile`], [`parse`]), the profiles that ship and those of `/etc/sax/devices` ([`library`]),
//! which registers to ask for ([`plan`]), values out of registers ([`decode`], [`status`], [`bms`]), what a configuration may set
//! ([`setting`]), where a SunSpec model is ([`sunspec`]), registers out of commands ([`encode`]), and when a write may go out ([`budget`],
//! [`writer`]). **Never** knows a device by name: a quirk that data cannot say is a named switch of a profile.

pub mod bms;
pub mod budget;
pub mod charger;
pub mod decode;
pub mod encode;
pub mod library;
pub mod mirror;
pub mod parse;
pub mod plan;
pub mod profile;
pub mod quantity;
pub mod setting;
pub mod status;
pub mod sunspec;
pub mod writer;
