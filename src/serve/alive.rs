//! How a thread that serves shows that it lives, to whoever watches over it.

/// Takes the signs of life of one thread.
pub trait Alive {
    /// The thread lives, and waits for nobody.
    fn beat(&self);

    /// From here to the next beat the thread may take any time: it waits for somebody else who is watched, or who must not matter.
    fn rest(&self);
}

/// Nobody watches.
impl Alive for () {
    fn beat(&self) {}

    fn rest(&self) {}
}
