//! Everything that can go wrong, by number: what, where, and for how long.

use sax_controller::plant::faults::Fault;
use sax_controller::plant::rng::Rng;

use super::site::Roles;

/// A kind of trouble.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A fault of a host.
    Wire(Fault),
    /// The meter itself stands still.
    FreezeMeter,
    /// A battery or charger starts anew and has forgotten everything.
    Reboot,
    /// The wall clock jumps by this, s.
    Clock(i64),
    /// No task works for a while.
    Pause,
    /// The controller is killed and started again; it keeps what it had learned, or not.
    Restart { forgets: bool },
}

pub const KINDS: [Kind; 36] = [
    Kind::Wire(Fault::Silent),
    Kind::Wire(Fault::Delay(300)),
    Kind::Wire(Fault::Delay(6000)),
    Kind::Wire(Fault::Reset),
    Kind::Wire(Fault::Close),
    Kind::Wire(Fault::HalfFrame),
    Kind::Wire(Fault::Garbage),
    Kind::Wire(Fault::WrongId),
    Kind::Wire(Fault::WrongUnit),
    Kind::Wire(Fault::Exception(2)),
    Kind::Wire(Fault::Exception(4)),
    Kind::Wire(Fault::Exception(6)),
    Kind::Wire(Fault::Exception(11)),
    Kind::Wire(Fault::OtherFunction),
    Kind::Wire(Fault::Trickle(20)),
    Kind::Wire(Fault::Refuse),
    Kind::Wire(Fault::WrongLength),
    Kind::Wire(Fault::TrailingBytes),
    Kind::Wire(Fault::ShortByOne),
    Kind::Wire(Fault::FrozenMeter),
    Kind::Wire(Fault::FrozenRegisters),
    Kind::Wire(Fault::AbsurdValues),
    Kind::Wire(Fault::NotANumber),
    Kind::Wire(Fault::SignFlip),
    Kind::Wire(Fault::Jumps),
    Kind::Wire(Fault::Stolen),
    Kind::Wire(Fault::LoseReply { permille: 400 }),
    Kind::Wire(Fault::LoseRequest { permille: 400 }),
    Kind::Wire(Fault::BitError { permille: 500 }),
    Kind::Wire(Fault::StaleReplay),
    Kind::FreezeMeter,
    Kind::Reboot,
    Kind::Clock(3600),
    Kind::Clock(-3600),
    Kind::Pause,
    Kind::Restart { forgets: true },
];

/// One trouble of a run.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Trouble {
    pub kind: Kind,
    /// Of a wire fault: where. Of a reboot: whose.
    pub host: usize,
    pub from_ms: u64,
    pub until_ms: u64,
}

impl Trouble {
    pub fn lasts_ms(&self) -> u64 {
        self.until_ms - self.from_ms
    }

    /// Nothing usable comes from its host while it lasts: neither a value nor an acknowledgement.
    pub fn cuts_off(&self, roles: &Roles) -> bool {
        let Kind::Wire(fault) = self.kind else { return self.kind == Kind::Reboot };
        match fault {
            Fault::Silent | Fault::Refuse | Fault::Reset | Fault::Close | Fault::Stolen | Fault::HalfFrame | Fault::Garbage => true,
            _ if roles.is_p1 && self.host == roles.meter => false,
            Fault::WrongId
            | Fault::WrongUnit
            | Fault::Exception(_)
            | Fault::WrongLength
            | Fault::TrailingBytes
            | Fault::ShortByOne
            | Fault::StaleReplay
            | Fault::Delay(6000..) => true,
            _ => false,
        }
    }

    /// What comes from its host cannot be believed, and shows it: no number, or one that cannot be.
    pub fn is_absurd(&self, roles: &Roles) -> bool {
        match self.kind {
            Kind::Wire(Fault::NotANumber) => true,
            Kind::Wire(Fault::AbsurdValues) => !(roles.is_p1 && self.host == roles.meter),
            _ => false,
        }
    }

    /// The values of its host are wrong, and nothing shows it at once.
    pub fn lies(&self) -> bool {
        use Fault::{AbsurdValues, FrozenMeter, FrozenRegisters, Jumps, NotANumber, SignFlip};
        matches!(self.kind, Kind::FreezeMeter)
            || matches!(self.kind, Kind::Wire(AbsurdValues | FrozenMeter | FrozenRegisters | Jumps | NotANumber | SignFlip))
    }
}

/// The plan of a run: one kind alone, two at the same time, or many in random order.
pub fn plan(number: u64, roles: &Roles) -> (Vec<Trouble>, bool) {
    let mut rng = Rng::new(number, "storm troubles");
    let mut troubles = Vec::new();
    // Some begin before the controller has seen anything.
    let first_ms = if rng.chance(150) { 0 } else { rng.range(90_000, 130_000) as u64 };
    let alone = number % 3 == 0;
    let count = match number % 3 {
        0 => 1,
        1 => 2,
        _ => 3 + rng.below(6),
    };
    let mut from_ms = first_ms;
    for n in 0..count {
        let kind = if alone { KINDS[(number / 3) as usize % KINDS.len()] } else { KINDS[rng.below(KINDS.len() as u32) as usize] };
        let hosts = roles.hosts();
        let host = match kind {
            // A frozen meter is one of the meter.
            Kind::Wire(Fault::FrozenMeter) if !roles.is_p1 => roles.meter,
            Kind::Reboot => rng.below((roles.batteries.len() + roles.chargers.len()) as u32) as usize,
            Kind::Wire(_) if rng.chance(300) => roles.meter,
            _ => hosts[rng.below(hosts.len() as u32) as usize],
        };
        // One delay of a host replaces another.
        let delays = |t: &&Trouble| t.host == host && matches!(t.kind, Kind::Wire(Fault::Delay(_)));
        let kind = match kind {
            Kind::Wire(Fault::Delay(_)) => troubles.iter().find(delays).map_or(kind, |t| t.kind),
            _ => kind,
        };
        let begins_ms = from_ms / 100 * 100;
        troubles.push(Trouble { kind, host, from_ms: begins_ms, until_ms: begins_ms + length_ms(&mut rng) });
        from_ms += if number % 3 == 1 && n == 0 { rng.range(0, 20_000) as u64 } else { rng.range(1_000, 90_000) as u64 };
    }
    (troubles, alone)
}

/// From 0.3 s to ten minutes, as often below five seconds as above a minute.
fn length_ms(rng: &mut Rng) -> u64 {
    let (low, high) =
        [(300, 1500), (1500, 5000), (5000, 20_000), (20_000, 70_000), (70_000, 150_000), (150_000, 600_000)][rng.below(6) as usize];
    rng.range(low, high) as u64 / 100 * 100
}
