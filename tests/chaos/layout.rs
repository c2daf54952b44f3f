//! What a run is made of: one of four sites, with its configuration, and the things of it that can break. Follows from the number alone.

use std::path::Path;

use sax_controller::plant::rng::Rng;

/// Which devices there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Variant {
    /// Three SAX batteries with the meter behind the first one, and a wallbox over TCP.
    Sax,
    /// A meter and a wallbox on one serial bus, two SAX batteries.
    Bus,
    /// A P1 meter on a serial port, three SAX batteries and a wallbox.
    P1,
    /// A three-phase battery with its management system, and a meter over TCP.
    Bms,
}

/// What can break on its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Thing {
    /// What the journal calls it; a fault of it must be named as one of these.
    pub names: &'static [&'static str],
    /// Its key in the table of addresses.
    pub key: &'static str,
    pub is_serial: bool,
    pub is_telegrams: bool,
    /// Number of the battery whose power or limits stand behind it.
    pub battery: Option<usize>,
    pub is_meter: bool,
    pub is_bms: bool,
    pub is_charger: bool,
}

/// One site.
#[derive(Clone, Debug)]
pub struct Layout {
    pub number: u64,
    pub variant: Variant,
    pub poll_ms: u64,
    /// State of charge at the start in 0.1 %.
    pub soc_pm: Vec<u16>,
    /// Whether systemd's watchdog is played.
    pub watchdog: bool,
    /// Whether the wall clock of the controller can be set.
    pub clock: bool,
}

/// What the configuration says of each battery.
pub const MAX_CHARGE_W: i64 = 3000;
pub const MAX_DISCHARGE_W: i64 = 4000;
/// The battery with a management system; its inverter could do more than its cells are said to bear.
pub const BMS_CHARGE_W: i64 = 9000;
pub const BMS_DISCHARGE_W: i64 = 9000;
pub const CELLS_W: i64 = 5000;
pub const MIN_SOC_PM: u16 = 100;
pub const MAX_SOC_PM: u16 = 900;
pub const FUSE_W: i64 = 25 * 230;

const THING: Thing =
    Thing { names: &[], key: "", is_serial: false, is_telegrams: false, battery: None, is_meter: false, is_bms: false, is_charger: false };
const METER: &[&str] = &["meter", "site: hold", "site: ramp", "site: fallback"];

impl Layout {
    pub fn of(number: u64) -> Layout {
        let mut rng = Rng::new(number, "layout");
        let variant = [Variant::Sax, Variant::Bus, Variant::P1, Variant::Bms][rng.below(4) as usize];
        let batteries = if variant == Variant::Bms { 1 } else { 3 - usize::from(variant == Variant::Bus) };
        let mut soc_pm = vec![400; batteries];
        if batteries > 1 {
            // One of them may be nearly empty or nearly full, as the owner sees it.
            soc_pm[1] = [400, 90, 940][rng.below(3) as usize];
        }
        let poll_ms = [300, 500, 700, 1000][rng.below(4) as usize];
        Layout { number, variant, poll_ms, soc_pm, watchdog: rng.chance(500), clock: rng.chance(400) }
    }

    /// Whether each phase is held for itself.
    pub fn per_phase(&self) -> bool {
        self.variant != Variant::Bms
    }

    pub fn ratings(&self) -> (i64, i64) {
        if self.variant == Variant::Bms { (BMS_CHARGE_W, BMS_DISCHARGE_W) } else { (MAX_CHARGE_W, MAX_DISCHARGE_W) }
    }

    /// What it may be told at most, as rating, state of charge and BMS have it: charge and discharge in W.
    pub fn allowed(&self, soc_pm: u16) -> (i64, i64) {
        let (charge, discharge) = self.ratings();
        if self.variant == Variant::Bms {
            // The simulated management system allows a fifth more than its cells' rating.
            return (CELLS_W * 6 / 5 + 50, CELLS_W * 6 / 5 + 50);
        }
        (if soc_pm >= MAX_SOC_PM + 5 { 0 } else { charge }, if soc_pm + 5 <= MIN_SOC_PM { 0 } else { discharge })
    }

    pub fn things(&self) -> Vec<Thing> {
        let battery = |k: usize| Thing {
            names: [&["battery A"], &["battery B"], &["battery C"]][k],
            key: ["A", "B", "C"][k],
            battery: Some(k),
            ..THING
        };
        let charger = Thing { names: &["charger w"], key: "charger", is_charger: true, ..THING };
        match self.variant {
            Variant::Sax => {
                let master =
                    Thing { names: &["battery A", "meter", "site: hold", "site: ramp", "site: fallback"], is_meter: true, ..battery(0) };
                vec![master, battery(1), battery(2), charger]
            }
            Variant::Bus => {
                let names = &["meter", "charger w", "site: hold", "site: ramp", "site: fallback"];
                vec![Thing { names, key: "bus", is_serial: true, is_meter: true, is_charger: true, ..THING }, battery(0), battery(1)]
            }
            Variant::P1 => {
                let p1 = Thing { names: METER, key: "p1", is_serial: true, is_telegrams: true, is_meter: true, ..THING };
                vec![p1, battery(0), battery(1), battery(2), charger]
            }
            Variant::Bms => vec![
                Thing { names: METER, key: "meter", is_meter: true, ..THING },
                battery(0),
                Thing { names: &["BMS"], key: "bms", battery: Some(0), is_bms: true, ..THING },
            ],
        }
    }

    /// The configuration; `at` gives host and port of each key.
    pub fn text(&self, folder: &Path, at: &dyn Fn(&str) -> (String, u16)) -> String {
        let (poll, folder) = (self.poll_ms, folder.display());
        let tcp = |key: &str| {
            let (host, port) = at(key);
            format!("link.tcp = {{ host = \"{host}\", port = {port} }}\n")
        };
        let balance = if self.per_phase() { "per-phase" } else { "sum" };
        let mut text = format!(
            "[site]\nname = \"Chaos\"\nstrategy = \"self-consumption\"\nbalance = \"{balance}\"\nfuse_a = 25\n\
             [status]\nsocket = \"{folder}/s\"\n[log]\ncomm_log = \"{folder}/disk/comm.log\"\n"
        );
        let bus = format!("link.rtu = {{ port = \"{folder}/bus\", baud = 19200 }}\n");
        let meter_poll = poll.max(if self.variant == Variant::Bus { 700 } else { 0 });
        text += &match self.variant {
            Variant::Sax => format!("[meter]\ndevice = \"sax\"\npoll_ms = {poll}\nphase_poll_ms = {}\n", poll * 2),
            Variant::Bus => format!("[meter]\ndevice = \"acuvim2-float\"\npoll_ms = {meter_poll}\nphase_poll_ms = {meter_poll}\n{bus}"),
            Variant::P1 => format!("[meter]\ndevice = \"p1\"\nlink.serial = {{ port = \"{folder}/p1\" }}\npoll_ms = 1000\n"),
            Variant::Bms => format!("[meter]\ndevice = \"acuvim2-float\"\npoll_ms = {poll}\nphase_poll_ms = {poll}\n{}", tcp("meter")),
        };
        if self.variant == Variant::Bms {
            text += &format!(
                "[[battery]]\nname = \"A\"\ndevice = \"tesla\"\nphase = \"all\"\npoll_ms = {poll}\ncapacity_wh = 20000\n\
                 max_charge_w = {BMS_CHARGE_W}\nmax_discharge_w = {BMS_DISCHARGE_W}\n{}\
                 [battery.bms]\ndevice = \"sunspec-802\"\npoll_ms = 1000\n{}",
                tcp("A"),
                tcp("bms")
            );
            return text;
        }
        for (k, name) in ["A", "B", "C"].iter().enumerate().take(self.soc_pm.len()) {
            let role = if k == 0 { "master" } else { "slave" };
            text += &format!(
                "[[battery]]\nname = \"{name}\"\ndevice = \"sax\"\nrole = \"{role}\"\nphase = \"L{}\"\npoll_ms = {poll}\n\
                 capacity_wh = 7700\nmax_charge_w = {MAX_CHARGE_W}\nmax_discharge_w = {MAX_DISCHARGE_W}\n\
                 min_soc_pct = {}\nmax_soc_pct = {}\n{}",
                k + 1,
                MIN_SOC_PM / 10,
                MAX_SOC_PM / 10,
                tcp(name)
            );
        }
        let link = if self.variant == Variant::Bus { format!("{bus}unit = 2\n") } else { tcp("charger") };
        text + &format!(
            "[load_balancer]\n[[charger]]\nname = \"w\"\ndevice = \"abb-terra-ac\"\npoll_ms = 3000\nfallback_limit_a = 6\n{link}"
        )
    }
}
