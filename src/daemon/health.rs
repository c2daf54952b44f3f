//! Says once when something stops working and once when it works again, however often it is tried.

use crate::link::fault::Fault;

/// Faults in a row that are worth a line: a single lost answer is only counted.
const WORTH_A_LINE: u32 = 3;

/// The health of one device or direction.
#[derive(Clone, PartialEq, Debug)]
pub struct Health {
    name: String,
    in_a_row: u32,
    /// Kinds of faults that were said since it worked last; each once, so there are at most seven.
    said: Vec<std::mem::Discriminant<Fault>>,
}

impl Health {
    /// Of the thing with this name.
    pub fn new(name: String) -> Health {
        Health { name, in_a_row: 0, said: Vec::new() }
    }

    /// Notes an outcome.
    pub fn note(&mut self, fault: Option<&Fault>) {
        let Some(fault) = fault else {
            if !self.said.is_empty() {
                log::info!("{}: works again", self.name);
            }
            self.said.clear();
            self.in_a_row = 0;
            return;
        };
        self.in_a_row = self.in_a_row.saturating_add(1);
        let kind = std::mem::discriminant(fault);
        if self.in_a_row >= WORTH_A_LINE && !self.said.contains(&kind) {
            log::warn!("{}: {fault}", self.name);
            self.said.push(kind);
        }
    }
}

/// What a device says about itself that someone should know.
#[derive(Clone, PartialEq, Debug)]
pub struct Notices {
    name: String,
    newest: Vec<String>,
}

impl Notices {
    /// Of the thing with this name.
    pub fn new(name: String) -> Notices {
        Notices { name, newest: Vec::new() }
    }

    /// Notes what it says now.
    pub fn note(&mut self, notices: &[String]) {
        if notices == self.newest {
            return;
        }
        match notices {
            [] => log::info!("{}: reports nothing any more", self.name),
            notices => log::warn!("{}: reports {}", self.name, notices.join(", ")),
        }
        self.newest = notices.to_vec();
    }

    /// How many things it said last.
    pub fn count(&self) -> usize {
        self.newest.len()
    }

    /// What it said last, each with its name.
    pub fn named(&self) -> impl Iterator<Item = String> + '_ {
        self.newest.iter().map(|notice| format!("{}: {notice}", self.name))
    }
}
