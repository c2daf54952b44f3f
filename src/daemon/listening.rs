//! Ports of our servers. One that another program has, or whose address this machine does not have yet, is no reason to leave the house
//! without control: it is said, it is an alarm, and it is tried again every second, as a serial port is that is not there.

use std::thread;
use std::time::Duration;

use crossbeam_channel::Sender;

use super::clock::{Clock, Monotonic};
use super::message::Event;
use crate::serve::alive::Alive;
use crate::serve::tcp_server::BindError;

/// From one attempt to the next.
const AGAIN: Duration = Duration::from_secs(1);

/// A port, the first attempt to bind it, and how the next ones are made.
pub struct Listening<S, B> {
    first: Result<S, BindError>,
    bind: B,
    events: Sender<Event>,
    clock: Monotonic,
}

impl<S, B: Fn() -> Result<S, BindError>> Listening<S, B> {
    /// Tries it once. What hinders it goes to the control thread.
    pub fn start(bind: B, (events, clock): (Sender<Event>, Monotonic)) -> Listening<S, B> {
        Listening { first: bind(), bind, events, clock }
    }

    /// The bound port, however long that takes.
    pub fn bound(self, alive: &impl Alive) -> S {
        let (mut outcome, mut said, mut since) = (self.first, String::new(), None);
        loop {
            alive.beat();
            let error = match outcome {
                Ok(server) => {
                    if !said.is_empty() {
                        let _ = self.events.try_send(Event::Port(said, None));
                    }
                    return server;
                }
                Err(error) => error,
            };
            let alarm = error.alarm();
            if said != alarm {
                log::warn!("{error} It is tried again every second.");
                let _ = self.events.try_send(Event::Port(std::mem::replace(&mut said, alarm), None));
                since = Some(self.clock.now());
            }
            // Again and again, because the control thread may have had no room for it.
            let _ = self.events.try_send(Event::Port(said.clone(), since));
            thread::sleep(AGAIN);
            outcome = (self.bind)();
        }
    }
}
