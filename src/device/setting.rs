//! Settings of a profile: what the configuration may say about one device of its kind (`settings = { ct_ratio = 40 }`), and the profile
//! that comes of it.

mod shift;

use super::bms::Group;
use super::charger::ChargerParts;
use super::encode::words;
use super::profile::{Code, FixedWrite, Limits, Point, Profile, Register, Setpoint};
use super::status::{Content, Status};

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

/// When a part of a profile exists.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Only {
    /// Only where this setting is given, or has a default.
    pub needs: Option<String>,
    /// Only where each of these settings is this word.
    pub when: Vec<(String, String)>,
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
    /// This profile under these settings; what they leave open has its default. What the settings say does not exist is not there.
    pub fn with_settings(&self, settings: &Settings) -> Profile {
        Resolver { profile: self, settings }.profile()
    }

    /// This profile with all its registers moved by so many addresses; what leaves the address space is dropped.
    pub fn shifted(&self, by: i32) -> Profile {
        shift::shifted(self, by)
    }
}

/// Settings in force: those given, and the defaults.
struct Resolver<'p> {
    profile: &'p Profile,
    settings: &'p Settings,
}

impl Resolver<'_> {
    fn profile(&self) -> Profile {
        let mut p = self.profile.clone();
        p.points = p.points.into_iter().filter_map(|point| self.point(point)).collect();
        p.statuses = p.statuses.into_iter().filter_map(|status| self.status(status)).collect();
        p.start = p.start.into_iter().filter_map(|write| self.write(write, p.low_word_first)).collect();
        p.release = p.release.into_iter().filter_map(|write| self.write(write, p.low_word_first)).collect();
        p.setpoint = p.setpoint.and_then(|s| Some(Setpoint { register: self.register(s.register)?, ..s }));
        p.limits = p
            .limits
            .and_then(|l| Some(Limits { charge: self.register(l.charge)?, discharge: self.register(l.discharge)?, refresh: l.refresh }));
        if let Some(bms) = &mut p.bms {
            bms.group = bms.group.take().and_then(|group| self.group(group));
            p.blocks.extend(bms.group.iter().flat_map(Group::blocks));
        }
        p.charger = p.charger.and_then(|charger| self.charger(charger, p.low_word_first));
        let base = p.register_base.take().and_then(|name| self.whole(&name)).unwrap_or(0);
        p.settings.clear();
        if base == 0 { p } else { p.shifted(i32::try_from(-base).unwrap_or(i32::MAX)) }
    }

    fn point(&self, mut point: Point) -> Option<Point> {
        if !self.holds(&point.only) {
            return None;
        }
        point.scale_millionths = self.scale(point.scale_millionths, &point.factors)?;
        if let Some(name) = point.zero_from.take() {
            point.offset = point.offset.checked_sub(self.whole(&name)?)?;
        }
        point.factors.clear();
        point.only = Only::default();
        point.codes = point.codes.into_iter().filter_map(|code| self.code(code)).collect();
        Some(point)
    }

    fn status(&self, mut status: Status) -> Option<Status> {
        if !self.holds(&status.only) {
            return None;
        }
        status.only = Only::default();
        let resolved = |codes: &mut Vec<Code>| *codes = std::mem::take(codes).into_iter().filter_map(|code| self.code(code)).collect();
        match &mut status.content {
            Content::Codes { codes, .. } => resolved(codes),
            Content::Bits { bits, .. } => resolved(bits),
            Content::Number { .. } => {}
        }
        Some(status)
    }

    fn code(&self, mut code: Code) -> Option<Code> {
        if !self.holds(&code.only) {
            return None;
        }
        if let Some(name) = code.value_from.take() {
            code.value = self.whole(&name)?;
        }
        code.only = Only::default();
        Some(code)
    }

    fn write(&self, mut fixed: FixedWrite, low_word_first: bool) -> Option<FixedWrite> {
        if !self.holds(&fixed.only) {
            return None;
        }
        if let Some(name) = fixed.value_from.take() {
            fixed.write.words = words(fixed.kind, self.whole(&name)?, low_word_first);
        }
        fixed.only = Only::default();
        Some(fixed)
    }

    fn register(&self, mut register: Register) -> Option<Register> {
        register.scale_millionths = self.scale(register.scale_millionths, &register.factors).filter(|scale| *scale != 0)?;
        register.factors.clear();
        Some(register)
    }

    fn group(&self, mut group: Group) -> Option<Group> {
        let [base, stride, count] = std::mem::take(&mut group.from);
        for (name, into) in [(base, &mut group.base), (stride, &mut group.stride), (count, &mut group.count)] {
            if let Some(name) = name {
                *into = u16::try_from(self.whole(&name)?).ok()?;
            }
        }
        Some(group)
    }

    fn charger(&self, mut charger: ChargerParts, low_word_first: bool) -> Option<ChargerParts> {
        charger.limit = self.register(charger.limit)?;
        charger.timeout = charger.timeout.and_then(|write| self.write(write, low_word_first));
        charger.fallback = charger.fallback.and_then(|register| self.register(register));
        if let Some(name) = charger.most_from.take() {
            // Millionths of an ampere.
            charger.most_ma = u32::try_from(self.millionths(&name)? / 1000).ok();
        }
        Some(charger)
    }

    fn holds(&self, only: &Only) -> bool {
        let given = only.needs.as_ref().is_none_or(|name| self.chosen(name).is_some());
        given && only.when.iter().all(|(name, word)| matches!(self.chosen(name), Some(Chosen::Word(chosen)) if chosen == word))
    }

    /// A scale in millionths, multiplied by all these settings; `None` where one is not given, or where the product is too large.
    fn scale(&self, scale_millionths: i64, factors: &[String]) -> Option<i64> {
        let mut scale = i128::from(scale_millionths);
        for name in factors {
            scale = scale.checked_mul(i128::from(self.millionths(name)?))? / 1_000_000;
        }
        i64::try_from(scale).ok()
    }

    /// The number of a setting, rounded to a whole one.
    fn whole(&self, name: &str) -> Option<i64> {
        let millionths = self.millionths(name)?;
        Some((millionths.saturating_abs().saturating_add(500_000) / 1_000_000) * millionths.signum())
    }

    fn millionths(&self, name: &str) -> Option<i64> {
        let setting = self.profile.settings.iter().find(|s| s.name == name)?;
        match (self.chosen(name)?, &setting.range) {
            (Chosen::Number(n), _) => Some(*n),
            (Chosen::Word(word), Range::Words(words)) => words.iter().find(|(known, _)| known == word).map(|(_, n)| *n),
            (Chosen::Word(_), Range::Number { .. }) => None,
        }
    }

    fn chosen(&self, name: &str) -> Option<&Chosen> {
        let given = self.settings.iter().find(|(given, _)| given == name).map(|(_, chosen)| chosen);
        given.or_else(|| self.profile.settings.iter().find(|s| s.name == name)?.default.as_ref())
    }
}
