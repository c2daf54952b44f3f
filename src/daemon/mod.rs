//! The shell around the core: tasks that own devices, the threads that run them, and the watchdog over all of them.
//!
//! ```text
//!   battery threads ─┐  Event   ┌──────────────────┐  Instruction (newest wins, expires)
//!   charger threads ─┤          │                  ├──────────────► battery threads, charger threads
//!   BMS threads     ─┼─────────►│  control thread  │  Asked, Answer
//!   meter thread    ─┤          │                  │◄─────────────► threads of the Modbus server: TCP, its clients, RTU
//!                    │          └────────┬─────────┘
//!      beats of all  ▼                   ▼ Document, Image
//!             watchdog thread       status socket thread          main: signals, start, stop
//!                                    memory thread: what was learned, to disk
//!                                    comm-log thread: faults of all links, to disk
//!                                    LED thread: the load balancer's state, blinking
//!                                    systemd thread: the state in one line
//! ```
//! Tasks ([`battery`], [`bms`], [`charger`], [`meter`], and a [`director`]: [`control`], or a commissioning) take the time from outside and
//! run in virtual time as well; [`threads`] gives each a thread. Threads share bounded channels, one endpoint per host, and the published
//! document and registers; the one that listens for Modbus clients also sees their connections. Only `main` ends the process.

pub mod apportion;
pub mod bank_choice;
mod bank_in_use;
pub mod banks;
pub mod battery;
pub mod bms;
mod bms_view;
pub mod bms_watch;
pub mod bus_load;
pub mod calm;
pub mod charger;
pub mod clock;
pub mod comm_log;
pub mod control;
pub mod director;
pub mod endpoint;
pub mod forward;
pub mod gateway;
pub mod health;
pub mod journal;
mod known;
pub mod led;
pub mod listening;
pub mod memory;
pub mod message;
pub mod meter;
pub mod p1;
pub mod reading;
pub mod responder;
pub mod run;
pub mod schedule;
pub mod servers;
pub mod settings_file;
pub mod slot;
pub mod state_file;
mod status;
pub mod stop_note;
pub mod supervisor;
pub mod threads;
pub mod watchdog;
pub mod wiring;
