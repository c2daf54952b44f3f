//! A channel that holds one value: the newest. The producer never blocks, and a late consumer never sees an old value.

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

/// The producer's end.
#[derive(Clone)]
pub struct Slot<T> {
    sender: Sender<T>,
    drain: Receiver<T>,
}

/// An empty slot and the consumer's end.
pub fn slot<T>() -> (Slot<T>, Receiver<T>) {
    let (sender, receiver) = bounded(1);
    (Slot { sender, drain: receiver.clone() }, receiver)
}

impl<T> Slot<T> {
    /// Replaces what is in the slot. With a second producer at the same moment one of the two values wins.
    pub fn put(&self, value: T) {
        let mut value = value;
        for _ in 0..4 {
            match self.sender.try_send(value) {
                Ok(()) | Err(TrySendError::Disconnected(_)) => return,
                Err(TrySendError::Full(back)) => {
                    let _ = self.drain.try_recv();
                    value = back;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_value_wins() {
        let (slot, receiver) = slot();
        (1..=5).for_each(|v| slot.put(v));
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [5]);
    }
}
