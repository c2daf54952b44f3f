//! Our own registers: what a write means, and what stands in them.
//!
//! **Answers for** one list ([`list`]) from which the image, the rules of writing and the table in the README come; the settings that are
//! staged until 1091; the remote command with its heartbeat. A request is executed whole or not at all.
//!
//! **Never** reads a clock, a socket or a file: what is to be saved is handed out, and is in force only when that has come back.

pub mod list;
pub mod remote;
pub mod row;
pub mod setting;
pub mod table;
pub mod view;

use self::list::LIST;
use self::remote::RemoteCommand;
use self::row::{Row, Target};
use self::setting::unless_the_same;
use self::view::{BalancerView, BatteryView, SiteView, View};
use super::ask::{Answer, Ask, Saved};
use super::image::{ILLEGAL_ADDRESS, Image};
use crate::balancer::Balancer;
use crate::control::demand::Remote;
use crate::units::{Span, Time};

/// Exception "illegal function".
pub const ILLEGAL_FUNCTION: u8 = 1;
/// Exception "illegal data value".
pub const ILLEGAL_VALUE: u8 = 3;

/// What clients have set, and what they may set.
#[derive(Clone, PartialEq, Debug)]
pub struct Registers {
    configured: Saved,
    /// What the next 1091 saves and applies; reads back at once.
    staged: Saved,
    /// What was staged when 1091 was decided about last: what has changed since is for the next one.
    offered: Option<Saved>,
    /// Our unit id in force.
    unit: u8,
    /// Nothing is ever commanded, so nobody may think that he commands.
    observes: bool,
    remote: RemoteCommand,
}

/// What one request is to change, before any of it is.
#[derive(Default)]
struct Changes {
    override_ma: Option<u16>,
    staged: Option<Saved>,
    save: bool,
    restore: bool,
    values: Option<Remote>,
    heartbeat: Option<u16>,
}

impl Registers {
    /// As the configuration has it.
    pub fn new(configured: Saved, observes: bool, heartbeat_timeout: Span) -> Registers {
        Registers {
            configured,
            staged: configured,
            offered: None,
            unit: configured.address,
            observes,
            remote: RemoteCommand::new(heartbeat_timeout),
        }
    }

    /// Decides about what a client wants. `balancer`: where there is a load balancer.
    pub fn decide(&mut self, ask: &Ask, balancer: Option<&mut Balancer>, now: Time) -> Answer {
        self.look(now);
        match ask {
            Ask::Write { address, values } => match self.write(*address, values, balancer, now) {
                Ok(answer) => answer,
                Err(code) => Answer::Refused(code),
            },
            Ask::Apply(Some(saved)) if !saved.is_sound() => Answer::Refused(ILLEGAL_VALUE),
            Ask::Apply(saved) => {
                self.apply(*saved, balancer);
                Answer::Done
            }
        }
    }

    /// The registers, for clients.
    pub fn image(&self, balancer: Option<&Balancer>, site: &SiteView, batteries: &[BatteryView]) -> Image {
        let shown = |b: &Balancer| BalancerView { override_ma: b.override_ma().into(), limit_ma: b.limit_ma().into(), state: b.state() };
        View { unit: self.unit, balancer: balancer.map(shown).zip(self.staged.settings), site, batteries, remote: &self.remote }.image()
    }

    /// Whether this is the request that saves or restores settings: only one of these is decided about at a time.
    pub fn saves(ask: &Ask) -> bool {
        let Ask::Write { address, values } = ask else { return false };
        let written = usize::from(*address)..usize::from(*address) + values.len();
        let saves = |row: &Row| row.write.as_ref().is_some_and(|write| matches!(write.target, Target::Save | Target::Restore));
        LIST.iter().any(|row| saves(row) && written.contains(&row.address.into()))
    }

    /// What another controller asks for.
    pub fn remote(&self) -> &RemoteCommand {
        &self.remote
    }

    /// Forgets what no longer counts at `now`.
    pub fn look(&mut self, now: Time) {
        self.remote.look(now);
    }

    /// Puts in force what was saved; `None`: what the configuration says, and no override either.
    fn apply(&mut self, saved: Option<Saved>, balancer: Option<&mut Balancer>) {
        let in_force = saved.unwrap_or(self.configured);
        self.unit = in_force.address;
        let settings = in_force.settings.or(self.configured.settings);
        let staged = std::mem::replace(&mut self.staged, Saved { settings, ..in_force });
        // Saving takes its time, and another client may have written meanwhile: what it was told is staged stays so.
        if let Some(offered) = self.offered.take().filter(|_| saved.is_some()) {
            if staged.settings != offered.settings {
                self.staged.settings = staged.settings;
            }
            if staged.address != offered.address {
                self.staged.address = staged.address;
            }
        }
        let Some(balancer) = balancer else { return };
        if let Some(settings) = settings {
            balancer.apply(settings);
        }
        if saved.is_none() {
            balancer.set_override(None);
        }
    }

    fn write(&mut self, address: u16, values: &[u16], balancer: Option<&mut Balancer>, now: Time) -> Result<Answer, u8> {
        let changes = self.changes(address, values)?;
        match (changes.save, changes.restore) {
            (true, true) => return Err(ILLEGAL_VALUE),
            (false, true) => return Ok(Answer::Save(None)),
            (true, false) => {
                // Staged only when it is saved: until then nothing has changed.
                let saved = changes.staged.unwrap_or(self.staged);
                if !saved.is_sound() {
                    return Err(ILLEGAL_VALUE);
                }
                self.offered = Some(self.staged);
                return Ok(Answer::Save(Some(saved)));
            }
            (false, false) => {}
        }
        if let Some((written, balancer)) = changes.override_ma.zip(balancer) {
            balancer.set_override(Some(unless_the_same(balancer.override_ma(), written)));
        }
        self.staged = changes.staged.unwrap_or(self.staged);
        if changes.values.is_some() || changes.heartbeat.is_some() {
            self.remote.write(changes.values, changes.heartbeat, now);
        }
        Ok(Answer::Done)
    }

    /// What this request is to change, or the code of the exception.
    fn changes(&self, address: u16, values: &[u16]) -> Result<Changes, u8> {
        if values.is_empty() {
            return Err(ILLEGAL_VALUE);
        }
        let mut rows = Vec::new();
        for offset in 0..values.len() {
            let register = u16::try_from(usize::from(address) + offset).map_err(|_| ILLEGAL_ADDRESS)?;
            let row = self.writable(register).ok_or(ILLEGAL_ADDRESS)?;
            if register == row.address || offset == 0 {
                rows.push((row, register - row.address));
            }
        }
        if self.observes && rows.iter().any(|(row, _)| row.write.as_ref().is_some_and(|w| w.target.is_remote())) {
            return Err(ILLEGAL_FUNCTION);
        }
        let (mut changes, mut rest) = (Changes::default(), values);
        for (row, within) in rows {
            let (contents, behind) = whole(row, within, rest).ok_or(ILLEGAL_VALUE)?;
            self.change(row, contents, &mut changes)?;
            rest = behind;
        }
        Ok(changes)
    }

    /// The line of the list for a register that can be written.
    fn writable(&self, register: u16) -> Option<&'static Row> {
        let row = LIST.get(LIST.partition_point(|row| row.address <= register).checked_sub(1)?)?;
        let exists = !row.needs_balancer() || self.configured.settings.is_some();
        (exists && row.write.is_some() && register - row.address < row.form.words()).then_some(row)
    }

    fn change(&self, row: &Row, contents: u32, changes: &mut Changes) -> Result<(), u8> {
        let write = row.write.as_ref().ok_or(ILLEGAL_ADDRESS)?;
        let number = write.accept(row.form, contents).ok_or(ILLEGAL_VALUE)?;
        let word = contents as u16;
        match write.target {
            Target::Override => changes.override_ma = Some(word),
            Target::Setting(setting) => {
                let staged = changes.staged.get_or_insert(self.staged);
                if let Some(settings) = &mut staged.settings {
                    setting.set(settings, word);
                }
            }
            Target::Address => changes.staged.get_or_insert(self.staged).address = u8::try_from(word).map_err(|_| ILLEGAL_VALUE)?,
            Target::Save => changes.save = true,
            Target::Restore => changes.restore = true,
            Target::Setpoint => self.values(changes).setpoint_w = number,
            Target::ChargeLimit => self.values(changes).charge_limit_w = number,
            Target::DischargeLimit => self.values(changes).discharge_limit_w = number,
            Target::Heartbeat => changes.heartbeat = Some(word),
        }
        Ok(())
    }

    /// The remote values as this request leaves them.
    fn values<'a>(&self, changes: &'a mut Changes) -> &'a mut Remote {
        changes.values.get_or_insert(self.remote.values())
    }
}

/// The value that begins with the words, and the words behind it; `None` where only a half of it is there.
fn whole<'a>(row: &Row, within: u16, words: &'a [u16]) -> Option<(u32, &'a [u16])> {
    match (row.form.words(), within, words) {
        (1, 0, [word, rest @ ..]) => Some(((*word).into(), rest)),
        (2, 0, [high, low, rest @ ..]) => Some((u32::from(*high) << 16 | u32::from(*low), rest)),
        _ => None,
    }
}
