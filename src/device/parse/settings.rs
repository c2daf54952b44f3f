//! `[[setting]]`, and the places of a profile that refer to settings.

use super::DECIMALS;
use crate::config::nearest;
use crate::config::reader::{At, Section};
use crate::device::profile::Block;
use crate::device::setting::{Chosen, Only, Range, Setting};

/// Most that a number of a setting may be, in millionths.
const MOST: i64 = 1_000_000_000_000_000;

/// What other parts of a profile refer to.
pub(super) struct Names<'p> {
    /// `[[setting]]`
    pub settings: &'p [Setting],
    /// `[[block]]`
    pub blocks: &'p [Block],
    /// `word_order`
    pub low_word_first: bool,
}

pub(super) fn read(root: &mut Section<'_>) -> Vec<Setting> {
    let mut settings: Vec<Setting> = Vec::new();
    for section in root.sections("setting").unwrap_or_default() {
        let at = section.at();
        let Some(setting) = one(section) else { continue };
        if settings.iter().any(|s| s.name == setting.name) {
            root.add(at, "setting", format!("\"{}\" is there twice.", setting.name));
        }
        settings.push(setting);
    }
    settings
}

fn one(mut s: Section<'_>) -> Option<Setting> {
    let name = s.required("name", Section::string);
    if let Some(name) = name.as_ref().filter(|n| !is_key(&n.value)) {
        s.add(name.at, "name", "must be of the letters a to z, digits and \"_\", at most 40.");
    }
    let title = s.required("title", Section::string);
    let (range, default) = if s.has("choices") { words(&mut s)? } else { number(&mut s)? };
    s.finish();
    Some(Setting { name: name?.value, title: title?.value, range, default })
}

fn number(s: &mut Section<'_>) -> Option<(Range, Option<Chosen>)> {
    let decimals = s.integer("decimals", 0..=DECIMALS).map_or(DECIMALS, |d| d.value);
    let unit = 10_i64.pow(DECIMALS - decimals);
    let limits = -MOST / unit..=MOST / unit;
    let min = s.required("min", |s, k| s.decimal(k, decimals, limits.clone()));
    let max = s.required("max", |s, k| s.decimal(k, decimals, limits));
    let (min, max) = (min?, max?);
    if min.value > max.value {
        s.add(min.at, "min", "the least value is above the largest one.");
        return None;
    }
    let default = s.decimal("default", decimals, min.value..=max.value).map(|d| Chosen::Number(d.value * unit));
    Some((Range::Number { min: min.value * unit, max: max.value * unit, decimals }, default))
}

fn words(s: &mut Section<'_>) -> Option<(Range, Option<Chosen>)> {
    let mut words = Vec::new();
    for mut choice in s.sections("choices").unwrap_or_default() {
        let name = choice.required("name", Section::string);
        let value = choice.decimal("value", DECIMALS, -MOST..=MOST).map_or(0, |v| v.value);
        choice.finish();
        words.push((name?.value, value));
    }
    let known: Vec<_> = words.iter().map(|(word, _)| (word.as_str(), word.clone())).collect();
    let default = s.choice("default", &known).map(|d| Chosen::Word(d.value));
    Some((Range::Words(words), default))
}

fn is_key(name: &str) -> bool {
    !name.is_empty() && name.len() <= 40 && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

impl Names<'_> {
    /// The keys `needs` and `when`.
    pub fn only(&self, s: &mut Section<'_>) -> Only {
        let all: Vec<_> = self.settings.iter().map(|setting| (setting.name.as_str(), setting.name.clone())).collect();
        let needs = s.choice("needs", &all).map(|name| name.value);
        let mut when = Vec::new();
        if let Some(mut table) = s.section("when") {
            for setting in self.settings {
                let Range::Words(words) = &setting.range else { continue };
                let words: Vec<_> = words.iter().map(|(word, _)| (word.as_str(), word.clone())).collect();
                when.extend(table.choice(&setting.name, &words).map(|word| (setting.name.clone(), word.value)));
            }
            table.finish();
        }
        Only { needs, when }
    }

    /// A key that names a setting whose number is used here. One without a default may be named only where it is needed anyway.
    pub fn number(&self, s: &mut Section<'_>, key: &str, within: &[&Only]) -> Option<String> {
        let all: Vec<_> = self.settings.iter().map(|setting| (setting.name.as_str(), setting.name.clone())).collect();
        let name = s.choice(key, &all)?;
        self.must_be_given(s, key, name.at, &name.value, within);
        Some(name.value)
    }

    /// The key `factors`: settings whose numbers are multiplied.
    pub fn factors(&self, s: &mut Section<'_>, scale_millionths: i64, may_be_zero: bool, within: &[&Only]) -> Vec<String> {
        let mut factors = Vec::new();
        let mut extremes = (i128::from(scale_millionths), i128::from(scale_millionths));
        let mut at = s.at();
        for name in s.strings("factors").unwrap_or_default() {
            at = name.at;
            let Some(setting) = self.find(&name.value) else {
                let known = self.settings.iter().map(|s| s.name.as_str());
                let help = nearest(&name.value, known).map_or(String::new(), |meant| format!("Did you mean \"{meant}\"?"));
                s.add_with_help(name.at, "factors", format!("\"{}\" is not a [[setting]] of this profile.", name.value), help);
                continue;
            };
            self.must_be_given(s, "factors", name.at, &name.value, within);
            let (least, most) = magnitudes(&setting.range);
            extremes = (extremes.0.saturating_mul(least.into()) / 1_000_000, extremes.1.saturating_mul(most.into()) / 1_000_000);
            factors.push(name.value);
        }
        if extremes.1.unsigned_abs() > u128::from(1_000_000_000_000_000_000_u64) {
            s.add(at, "factors", "with the largest settings the scale becomes too large.");
        }
        if !may_be_zero && extremes.0 == 0 {
            s.add(at, "factors", "with the smallest settings the scale becomes 0, and nothing can be commanded.");
        }
        factors
    }

    /// The numbers that a setting can be, in millionths.
    pub fn range(&self, name: &str) -> Option<(i64, i64)> {
        match &self.find(name)?.range {
            Range::Number { min, max, .. } => Some((*min, *max)),
            Range::Words(words) => Some((words.iter().map(|w| w.1).min()?, words.iter().map(|w| w.1).max()?)),
        }
    }

    /// Whether these registers are read.
    pub fn is_read(&self, address: u16, words: u16) -> bool {
        self.blocks.iter().any(|b| b.holds(address, words))
    }

    fn find(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().find(|s| s.name == name)
    }

    fn must_be_given(&self, s: &Section<'_>, key: &str, at: At, name: &str, within: &[&Only]) {
        let has_default = self.find(name).is_none_or(|setting| setting.default.is_some());
        if !has_default && !within.iter().any(|only| only.needs.as_deref() == Some(name)) {
            let message = format!("\"{name}\" has no default, so this can exist only where it is given.");
            s.add_with_help(at, key, message, format!("It needs a line needs = \"{name}\"."));
        }
    }
}

/// Least and largest magnitude.
fn magnitudes(range: &Range) -> (i64, i64) {
    match range {
        Range::Number { min, max, .. } => {
            let least = if *min <= 0 && *max >= 0 { 0 } else { min.abs().min(max.abs()) };
            (least, min.abs().max(max.abs()))
        }
        Range::Words(words) => {
            let all = || words.iter().map(|(_, n)| n.abs());
            (all().min().unwrap_or(0), all().max().unwrap_or(0))
        }
    }
}
