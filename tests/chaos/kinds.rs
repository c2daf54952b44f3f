//! Every kind of fault, what it can happen to, and what must be seen of it: one table.

use crate::layout::{Layout, Thing, Variant};

/// A kind of fault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    Silence,
    Delay,
    Reset,
    HalfFrame,
    Garbage,
    WrongId,
    WrongUnit,
    Exception,
    Frozen,
    NotANumber,
    Absurd,
    SignFlip,
    Jumps,
    Trickle,
    Loss,
    Refused,
    Stolen,
    Unplugged,
    Reboot,
    ClockForth,
    ClockBack,
    DevicesStopped,
    Stopped,
    Killed,
    FullDisk,
}

/// Where a kind can happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum At {
    /// A device over TCP or on a bus.
    Modbus,
    /// A device over TCP.
    Tcp,
    /// A meter of any kind.
    Meter,
    /// Everything that is asked.
    Any,
    /// A serial port.
    Serial,
    /// A battery or a charger.
    Restarts,
    /// All devices together.
    Devices,
    /// The controller's process.
    Process,
    /// Its disk.
    Disk,
    /// Its wall clock.
    Clock,
}

/// What a kind must show. The numbers are those of the invariants: 1 no limit is passed, 4 recovery without help, 5 no growth and 7 the
/// process lives hold for every kind, always.
pub struct Duty {
    pub kind: Kind,
    pub name: &'static str,
    /// How the simulated devices call it, and with which figure.
    pub fault: Option<(&'static str, u32, u32)>,
    pub at: At,
    /// 2 and 3: nothing usable comes any more. Within 60 s the fallback is reached, and until it is over no new command follows from it.
    pub loses: bool,
    /// 6: it is seen in the status while it lasts (error counts, age, state or alarm).
    pub seen: bool,
    /// 6: the journal names the thing: at least once, and not line by line.
    pub named: bool,
}

const fn duty(
    kind: Kind,
    name: &'static str,
    fault: Option<(&'static str, u32, u32)>,
    at: At,
    loses: bool,
    seen: bool,
    named: bool,
) -> Duty {
    Duty { kind, name, fault, at, loses, seen, named }
}

const Y: bool = true;
const N: bool = false;

/// The table: what must be shown. A frozen device is found out by what does not move, which may take longer than the fault lasts; a wrong
/// sign and jumps inside of what can be are values like others: the limits hold, and afterwards all is well again.
pub const DUTIES: [Duty; 25] = [
    //                                              fault, from, to                 at            loses seen named
    duty(Kind::Silence, "silence", Some(("silent", 0, 0)), At::Any, Y, Y, Y),
    duty(Kind::Delay, "delay", Some(("delay", 3000, 6000)), At::Modbus, Y, Y, Y),
    duty(Kind::Reset, "reset", Some(("reset", 0, 0)), At::Tcp, Y, Y, Y),
    duty(Kind::HalfFrame, "half frame", Some(("half", 0, 0)), At::Any, Y, Y, Y),
    duty(Kind::Garbage, "garbage", Some(("garbage", 0, 0)), At::Any, Y, Y, Y),
    duty(Kind::WrongId, "wrong id", Some(("id", 0, 0)), At::Tcp, Y, Y, Y),
    duty(Kind::WrongUnit, "wrong unit", Some(("unit", 0, 0)), At::Modbus, Y, Y, Y),
    duty(Kind::Exception, "exception", Some(("exception", 1, 11)), At::Modbus, Y, Y, Y),
    duty(Kind::Frozen, "frozen values", Some(("frozen", 0, 0)), At::Modbus, N, N, N),
    duty(Kind::NotANumber, "not a number", Some(("nan", 0, 0)), At::Meter, Y, Y, Y),
    duty(Kind::Absurd, "absurd values", Some(("absurd", 0, 0)), At::Modbus, Y, Y, Y),
    duty(Kind::SignFlip, "wrong sign", Some(("sign", 0, 0)), At::Meter, N, N, N),
    duty(Kind::Jumps, "jumps", Some(("jumps", 0, 0)), At::Meter, N, N, N),
    duty(Kind::Trickle, "byte trickle", Some(("trickle", 250, 600)), At::Tcp, Y, Y, Y),
    duty(Kind::Loss, "lost replies", Some(("lose", 200, 700)), At::Modbus, N, N, N),
    duty(Kind::Refused, "refused", Some(("refuse", 0, 0)), At::Tcp, Y, Y, Y),
    duty(Kind::Stolen, "stolen", Some(("stolen", 0, 0)), At::Tcp, Y, Y, Y),
    duty(Kind::Unplugged, "unplugged", Some(("refuse", 0, 0)), At::Serial, Y, Y, Y),
    duty(Kind::Reboot, "reboot", None, At::Restarts, N, N, N),
    duty(Kind::ClockForth, "clock +1 h", None, At::Clock, N, N, N),
    duty(Kind::ClockBack, "clock -1 h", None, At::Clock, N, N, N),
    duty(Kind::DevicesStopped, "devices stopped", None, At::Devices, N, Y, Y),
    duty(Kind::Stopped, "stopped", None, At::Process, N, N, N),
    duty(Kind::Killed, "killed", None, At::Process, N, N, N),
    duty(Kind::FullDisk, "full disk", None, At::Disk, N, N, N),
];

impl Kind {
    pub fn duty(self) -> &'static Duty {
        &DUTIES[self as usize]
    }

    /// The things of a site that this can happen to; `None` stands for what is no device.
    pub fn places(self, layout: &Layout) -> Vec<Option<Thing>> {
        let things = layout.things().into_iter();
        let fits = |t: &Thing| match self.duty().at {
            At::Any => true,
            At::Modbus => !t.is_telegrams,
            At::Tcp => !t.is_serial,
            At::Meter => t.is_meter,
            At::Serial => t.is_serial,
            At::Restarts => t.battery.is_some() && !t.is_bms || t.key == "charger",
            At::Devices | At::Process | At::Disk | At::Clock => false,
        };
        match self.duty().at {
            At::Devices | At::Process | At::Disk => vec![None],
            At::Clock => {
                if layout.clock {
                    vec![None]
                } else {
                    Vec::new()
                }
            }
            // The simulated P1 port has no frozen or trickling telegrams.
            _ => things.filter(fits).filter(|_| self != Kind::SignFlip || layout.variant != Variant::Bms).map(Some).collect(),
        }
    }
}
