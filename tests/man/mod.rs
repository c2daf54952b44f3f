//! Makes the manual pages; `tests/man_pages.rs` holds them to what this makes.

pub mod markdown;
pub mod page;
pub mod roff;
pub mod usage;
