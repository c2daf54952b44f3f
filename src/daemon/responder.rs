//! Answers the clients of our Modbus server: reads from the published registers, writes by the control thread, other units by the gateway.
//!
//! **Answers for** who decides what, and that settings are on the disk before they count. **Never** decides itself what may be written or
//! what follows from it, and never makes the control thread wait.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::gateway::Gateway;
use super::settings_file::SettingsFile;
use crate::modbus::pdu::Reply;
use crate::serve::answers::{Answered, Answers, BUSY, FAILURE, NO_TARGET, exception};
use crate::serve::ask::{Answer, Ask, Asked, Saved};
use crate::serve::judge::{Judged, judge};
use crate::serve::registers::{ILLEGAL_VALUE, Registers};
use crate::serve::socket::Published;

/// The control thread answers within milliseconds; after this long it is taken for dead, and nobody knows whether it will still do what it
/// was asked.
const PATIENCE: Duration = Duration::from_secs(2);

/// From one time that settings are saved to the next.
const SAVE_PACE: Duration = Duration::from_millis(250);

/// Answers requests by what the control thread publishes and decides.
#[derive(Clone)]
pub struct Responder {
    /// The registers.
    pub published: Published,
    /// To the control thread.
    pub asked: Sender<Asked>,
    /// Whether anything may be written here.
    pub writable: bool,
    /// Where settings are saved.
    pub file: Option<SharedFile>,
    /// To other units.
    pub gateway: Option<Gateway>,
}

/// The file of the settings, which one client has at a time: from the decision what is to be saved until that is in force, so that of two
/// who save at once the second saves what both have written. Nobody waits for it without end, even while the disk takes for ever.
#[derive(Clone)]
pub struct SharedFile {
    give_back: Sender<Lent>,
    take: Receiver<Lent>,
}

struct Lent {
    file: SettingsFile,
    /// When it was given back last.
    since: Option<Instant>,
    /// Why it could not be saved, as the log says already.
    complaint: Option<String>,
}

impl SharedFile {
    /// For all connections.
    pub fn new(file: SettingsFile) -> SharedFile {
        let (give_back, take) = bounded(1);
        let _ = give_back.try_send(Lent { file, since: None, complaint: None });
        SharedFile { give_back, take }
    }

    /// Has it for the time of `work`; else the code of the exception.
    fn with<T>(&self, work: impl FnOnce(&mut Lent) -> Result<T, u8>) -> Result<T, u8> {
        let mut lent = self.take.recv_timeout(PATIENCE).map_err(|_| BUSY)?;
        // A client that saves without end wears out neither the disk nor the log.
        let early = lent.since.map_or(Duration::ZERO, |since| SAVE_PACE.saturating_sub(since.elapsed()));
        std::thread::sleep(early);
        let done = work(&mut lent);
        lent.since = Some(Instant::now());
        let _ = self.give_back.try_send(lent);
        done
    }
}

impl Lent {
    /// Replaces the file, unless it says so already.
    fn put(&mut self, saved: Option<Saved>) -> Result<(), u8> {
        let outcome = if self.file.read() == Ok(saved) { Ok(()) } else { self.file.put(saved) };
        let complaint = outcome.as_ref().err().map(ToString::to_string);
        if let Some(why) = complaint.as_ref().filter(|why| self.complaint.as_ref() != Some(why)) {
            log::error!("server: a client's settings are not saved, and so not in force: {why}");
        }
        self.complaint = complaint;
        outcome.map_err(|_| FAILURE)
    }
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
            Judged::Ask { ask, done } => match self.decided(ask) {
                Ok(()) => done,
                Err(code) => exception(pdu, code),
            },
        }
    }

    fn decided(&self, ask: Ask) -> Result<(), u8> {
        match &self.file {
            Some(file) if Registers::saves(&ask) => file.with(|lent| self.follow(self.ask(ask, false)?, Some(lent))),
            _ => self.follow(self.ask(ask, false)?, None),
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

    fn follow(&self, answer: Answer, lent: Option<&mut Lent>) -> Result<(), u8> {
        match answer {
            Answer::Done => Ok(()),
            Answer::Refused(code) => Err(code),
            Answer::Save(saved) => self.save(saved, lent),
        }
    }

    /// On the disk first, and then in force: a client that has its answer finds the settings there after any power cut.
    fn save(&self, saved: Option<Saved>, lent: Option<&mut Lent>) -> Result<(), u8> {
        if self.gateway.as_ref().zip(saved).is_some_and(|(gateway, saved)| gateway.has(saved.address)) {
            return Err(ILLEGAL_VALUE);
        }
        let lent = lent.ok_or(FAILURE)?;
        let before = lent.file.held();
        lent.put(saved)?;
        let code = match self.ask(Ask::Apply(saved), true) {
            Ok(Answer::Done) => return Ok(()),
            Ok(Answer::Refused(code)) => code,
            Ok(Answer::Save(_)) | Err(_) => FAILURE,
        };
        log::error!("server: a client's settings are not in force: the control thread does not take them");
        if let Err(error) = lent.file.put(before) {
            log::error!("server: at the next start the settings of {} will be in force: {error}", lent.file.path().display());
        }
        Err(code)
    }
}
