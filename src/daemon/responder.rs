//! Answers the clients of our Modbus server: reads from the published registers, writes by the control thread, other units by the gateway.
//!
//! **Answers for** who decides what, and that settings are on the disk before they count. **Never** decides itself what may be written or
//! what follows from it, and never makes the control thread wait.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError, bounded};

use super::gateway::Gateway;
use super::settings_file::SettingsFile;
use crate::modbus::pdu::Reply;
use crate::serve::answers::{Answered, Answers, BUSY, FAILURE, NO_TARGET, exception};
use crate::serve::ask::{Answer, Ask, Asked, Saved};
use crate::serve::judge::{Judged, judge};
use crate::serve::registers::ILLEGAL_VALUE;
use crate::serve::socket::Published;

/// The control thread answers within milliseconds; after this long it is taken for dead, and nobody knows whether it will still do what it
/// was asked.
const PATIENCE: Duration = Duration::from_secs(2);

/// Answers requests by what the control thread publishes and decides.
#[derive(Clone)]
pub struct Responder {
    /// The registers.
    pub published: Published,
    /// To the control thread.
    pub asked: Sender<Asked>,
    /// Whether anything may be written here.
    pub writable: bool,
    /// Where settings are saved; one at a time.
    pub file: Option<Arc<Mutex<SettingsFile>>>,
    /// To other units.
    pub gateway: Option<Gateway>,
}

impl Answers for Responder {
    fn answer(&self, unit: u8, pdu: &[u8]) -> Answered {
        let own = self.published.unit();
        if own == Some(unit) {
            return Answered::Reply(self.own(pdu));
        }
        match self.gateway.as_ref().filter(|gateway| gateway.has(unit)) {
            Some(gateway) => gateway.pass(unit, pdu, self.writable),
            // Before there are registers nobody knows which unit is ours.
            None => Answered::Nobody(if own.is_some() { NO_TARGET } else { FAILURE }),
        }
    }
}

impl Responder {
    fn own(&self, pdu: &[u8]) -> Reply {
        // None: the control thread has not spoken for seconds.
        let Some(image) = self.published.image() else { return exception(pdu, FAILURE) };
        match judge(&image, self.writable, pdu) {
            Judged::Reply(reply) => reply,
            Judged::Ask { ask, done } => match self.ask(ask, false).and_then(|answer| self.follow(answer)) {
                Ok(()) => done,
                Err(code) => exception(pdu, code),
            },
        }
    }

    /// What the control thread says; else the code of the exception. `patient`: waits for room too.
    fn ask(&self, ask: Ask, patient: bool) -> Result<Answer, u8> {
        let (reply, answer) = bounded(1);
        let asked = Asked { ask, reply };
        if patient {
            self.asked.send_timeout(asked, PATIENCE).map_err(|_| FAILURE)?;
        } else {
            self.asked.try_send(asked).map_err(|error| if matches!(error, TrySendError::Full(_)) { BUSY } else { FAILURE })?;
        }
        answer.recv_timeout(PATIENCE).map_err(|_| FAILURE)
    }

    fn follow(&self, answer: Answer) -> Result<(), u8> {
        match answer {
            Answer::Done => Ok(()),
            Answer::Refused(code) => Err(code),
            Answer::Save(saved) => self.save(saved),
        }
    }

    /// On the disk first, and then in force: a client that has its answer finds the settings there after any power cut.
    fn save(&self, saved: Option<Saved>) -> Result<(), u8> {
        if self.gateway.as_ref().zip(saved).is_some_and(|(gateway, saved)| gateway.has(saved.address)) {
            return Err(ILLEGAL_VALUE);
        }
        let Some(file) = &self.file else { return Err(FAILURE) };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        let before = file.held();
        if let Err(error) = file.put(saved) {
            log::error!("server: a client's settings are not saved, and so not in force: {error}");
            return Err(FAILURE);
        }
        let code = match self.ask(Ask::Apply(saved), true) {
            Ok(Answer::Done) => return Ok(()),
            Ok(Answer::Refused(code)) => code,
            Ok(Answer::Save(_)) | Err(_) => FAILURE,
        };
        log::error!("server: a client's settings are not in force: the control thread does not take them");
        if let Err(error) = file.put(before) {
            log::error!("server: at the next start the settings of {} will be in force: {error}", file.path().display());
        }
        Err(code)
    }
}
