//! Our own registers in the control task: what they show, what clients ask for, and what another controller demands of the site.

use super::ControlTask;
use crate::config::Config;
use crate::daemon::wiring::Plan;
use crate::serve::ask::{Answer, Asked};
use crate::serve::image::Image;
use crate::units::Time;

/// `[server]` at work.
pub(super) struct Registers {
    /// Asked and decided, but not answered yet: the answer follows the registers that show it.
    answers: Vec<(Asked, Answer)>,
}

impl Registers {
    /// As the configuration has it; `None` without a `[server]`.
    pub(super) fn of(config: &Config, plan: &Plan) -> Option<Registers> {
        let _ = plan;
        config.server.as_ref().map(|_| Registers { answers: Vec::new() })
    }
}

impl ControlTask {
    /// A client of our Modbus server wants something.
    pub fn asked(&mut self, asked: Asked, now: Time) {
        let _ = now;
        if let Some(registers) = &mut self.registers {
            registers.answers.push((asked, Answer::Refused(1)));
        }
    }

    /// The registers at `now`.
    pub fn image(&self, now: Time) -> Option<Image> {
        let _ = now;
        self.registers.as_ref().map(|_| Image::default())
    }

    /// Answers what was asked.
    pub fn answer(&mut self) {
        if let Some(registers) = &mut self.registers {
            for (asked, answer) in registers.answers.drain(..) {
                let _ = asked.reply.try_send(answer);
            }
        }
    }

    /// What another controller asks for holds while its heartbeat does.
    pub(super) fn look_at_remote(&mut self, now: Time) {
        let _ = now;
    }
}
