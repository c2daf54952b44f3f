//! What may be written in `controller.toml`, and what it must mean.

pub mod findings;
mod nearest;
mod number;
pub mod reader;
mod syntax;
mod tree;
