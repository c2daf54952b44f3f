//! What the controller tells others: the status document and the socket that serves it. It only ever writes; nobody can command through it.

pub mod document;
pub mod socket;
