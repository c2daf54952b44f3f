//! Our own registers in the control task: what clients ask for, and what another controller demands of the site.
//!
//! What the registers show stands in `registers/show.rs`, what a write means in [`crate::serve::registers`].

mod show;

use super::ControlTask;
use crate::config::{Config, Strategy};
use crate::control::demand::Remote;
use crate::daemon::calm::Calm;
use crate::daemon::wiring::Plan;
use crate::serve::ask::{Answer, Ask, Asked, Saved};
use crate::serve::image::Image;
use crate::serve::registers::remote::{RemoteCommand, RemoteState};
use crate::serve::registers::{self, ILLEGAL_VALUE};
use crate::units::Time;

/// More than this is not asked between two answers; what is beyond gets none, which counts as refused.
const ANSWERS_MOST: usize = 256;

/// `[server]` at work.
pub(super) struct Registers {
    own: registers::Registers,
    /// Asked and decided, but not answered yet: the answer follows the registers that show it.
    answers: Vec<(Asked, Answer)>,
    /// Whether a remote command that comes and goes, or one that is dropped, is worth another line.
    active: Calm,
    dropped: Calm,
    /// The log says one of them.
    said: bool,
    /// It was in force before it was dropped.
    counted: bool,
}

impl Registers {
    /// As the configuration has it; `None` without a `[server]`.
    pub(super) fn of(config: &Config, plan: &Plan) -> Option<Registers> {
        let server = config.server.as_ref()?;
        let configured = Saved { settings: config.load_balancer.as_ref().map(|b| b.settings), address: server.address };
        let own = registers::Registers::new(configured, config.site.strategy == Strategy::Observe, plan.heartbeat);
        Some(Registers { own, answers: Vec::new(), active: Calm::default(), dropped: Calm::default(), said: false, counted: false })
    }
}

impl ControlTask {
    /// Starts with settings that were saved before, instead of the configuration's. False where they cannot be put in force.
    pub fn restore(&mut self, saved: Saved) -> bool {
        self.decide(&Ask::Apply(Some(saved)), Time::ZERO) == Some(Answer::Done)
    }

    /// A client of our Modbus server wants something.
    pub fn asked(&mut self, asked: Asked, now: Time) {
        let Some(answer) = self.decide(&asked.ask, now) else { return };
        let Some(registers) = &mut self.registers else { return };
        if registers.answers.len() < ANSWERS_MOST {
            registers.answers.push((asked, answer));
        }
    }

    /// The registers at `now`.
    pub fn image(&self, now: Time) -> Option<Image> {
        let batteries = self.battery_views(now);
        let balancer = self.charging.as_ref().map(|c| &c.balancer);
        Some(self.registers.as_ref()?.own.image(balancer, &self.site_view(now), &batteries))
    }

    /// Answers what was asked.
    pub fn answer(&mut self) {
        if let Some(registers) = &mut self.registers {
            for (asked, answer) in registers.answers.drain(..) {
                let _ = asked.reply.try_send(answer);
            }
        }
    }

    /// What another controller asks for, where one can.
    pub fn remote_command(&self) -> Option<&RemoteCommand> {
        self.registers.as_ref().map(|r| r.own.remote())
    }

    /// What another controller asks for holds while its heartbeat does.
    pub(super) fn look_at_remote(&mut self, now: Time) {
        let Some(registers) = &mut self.registers else { return };
        registers.own.look(now);
        registers.say_remote(now);
        let remote = registers.own.remote().in_force();
        if remote != self.demand.remote {
            self.demand.remote = remote;
            self.core.demand(self.demand);
        }
    }

    fn decide(&mut self, ask: &Ask, now: Time) -> Option<Answer> {
        let balancer = self.charging.as_mut().map(|c| &mut c.balancer);
        // An alarm that comes after the fuse helps nobody; the configuration is not allowed it either.
        let fuse_ma = self.config.site.fuse_ma.unsigned_abs();
        let beyond_fuse = |saved: &Saved| saved.settings.is_some_and(|s| s.alarm.limit_ma > fuse_ma);
        let own = &mut self.registers.as_mut()?.own;
        let answer = match ask {
            Ask::Apply(Some(saved)) if beyond_fuse(saved) => Answer::Refused(ILLEGAL_VALUE),
            _ => match own.decide(ask, balancer, now) {
                Answer::Save(Some(saved)) if beyond_fuse(&saved) => Answer::Refused(ILLEGAL_VALUE),
                answer => answer,
            },
        };
        match (ask, &answer) {
            (Ask::Apply(Some(saved)), Answer::Done) => log::info!("registers: saved settings are in force, unit {}", saved.address),
            (Ask::Apply(None), Answer::Done) => log::info!("registers: the settings of the configuration are in force"),
            _ => {}
        }
        Some(answer)
    }
}

impl Registers {
    /// One line for every change, and fewer where it changes again and again; whoever asks again and again without a heartbeat gets one only.
    fn say_remote(&mut self, now: Time) {
        let remote = self.own.remote();
        let (state, timeout) = (remote.state(), remote.timeout());
        if !matches!(state, RemoteState::Active(_)) {
            self.active.is_over();
        }
        if matches!(state, RemoteState::Active(_) | RemoteState::None) {
            self.dropped.is_over();
            self.counted = state != RemoteState::None;
        }
        match state {
            RemoteState::Waiting(..) => {}
            RemoteState::Active(asked) => {
                if let Some(again) = self.active.holds(now) {
                    log::info!("remote: in force: {}{again}", words(asked));
                    self.said = true;
                }
            }
            // Whether it was said that the command is in force or not.
            RemoteState::Dropped => {
                if let Some(again) = self.dropped.holds(now) {
                    let what = match self.counted {
                        true => "dropped, the heartbeat has not changed for",
                        false => "dropped before it counted, no heartbeat has changed for",
                    };
                    log::warn!("remote: {what} {timeout}{again}");
                    self.said = true;
                }
            }
            RemoteState::None if std::mem::take(&mut self.said) => log::info!("remote: nothing is asked for any more"),
            RemoteState::None => {}
        }
    }
}

/// A remote command for people.
fn words(asked: Remote) -> String {
    let part = |name: &str, watts: Option<i64>| watts.map(|w| format!("{name} {w} W"));
    let parts =
        [part("power", asked.setpoint_w), part("charge at most", asked.charge_limit_w), part("discharge at most", asked.discharge_limit_w)];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
