//! `settings = { ... }` of a device: what its profile lets the configuration set.

use super::devices::DeviceFacts;
use super::number::fixed_to_text;
use super::reader::Section;
use crate::device::setting::{Chosen, Range, Settings};

/// Reads the key `settings` of a device. Only what the file says is returned; the profile knows the defaults. Where the device is not
/// known, nothing can be said about its settings.
pub(super) fn read(section: &mut Section<'_>, facts: Option<&DeviceFacts>) -> Settings {
    let Some(mut given) = section.section_as("settings", "settings = { ct_ratio = 40 }") else { return Settings::new() };
    let Some(facts) = facts else { return Settings::new() };
    if facts.settings.is_empty() {
        section.add(given.at(), "settings", "this device has no settings.");
        return Settings::new();
    }
    let mut settings = Settings::new();
    // Several banks of one device may share a setting.
    for (k, setting) in facts.settings.iter().enumerate() {
        if facts.settings.iter().take(k).any(|earlier| earlier.name == setting.name) {
            continue;
        }
        let chosen = match &setting.range {
            Range::Number { min, max, decimals } => {
                let unit = 10_i64.pow(6 - (*decimals).min(6));
                let number = given.decimal(&setting.name, *decimals, *min / unit..=*max / unit);
                number.map(|n| Chosen::Number(n.value.saturating_mul(unit)))
            }
            Range::Words(words) => {
                let words: Vec<_> = words.iter().map(|(word, _)| (word.as_str(), word.clone())).collect();
                given.choice(&setting.name, &words).map(|word| Chosen::Word(word.value))
            }
        };
        settings.extend(chosen.map(|chosen| (setting.name.clone(), chosen)));
    }
    given.finish();
    settings
}

/// The value of the key `settings`, as TOML; `None` where nothing is set.
pub(super) fn to_toml(settings: &Settings) -> Option<String> {
    let one = |(name, chosen): &(String, Chosen)| match chosen {
        Chosen::Number(millionths) => format!("{name} = {}", fixed_to_text(*millionths, 6)),
        Chosen::Word(word) => format!("{name} = \"{word}\""),
    };
    let all: Vec<_> = settings.iter().map(one).collect();
    (!all.is_empty()).then(|| format!("{{ {} }}", all.join(", ")))
}
