//! Keys whose function comes in a later release: known, checked for type and range, and refused.

use super::reader::{At, Section, Spanned};

/// Notes that the key of the value at this place belongs to a later release.
pub(super) fn refuse_key(section: &Section<'_>, key: &str, at: Option<At>) {
    if let Some(at) = at {
        section.add(at, key, "this key is not supported yet.");
    }
}

/// One of several words; those without a value belong to a later release.
pub(super) fn choice<T: Copy>(section: &mut Section<'_>, key: &str, choices: &[(&str, Option<T>)]) -> Option<Spanned<T>> {
    let word = section.choice(key, choices)?;
    let Some(value) = word.value else {
        section.add(word.at, key, format!("{} is not supported yet.", section.literal(word.at)));
        return None;
    };
    Some(word.map(|_| value))
}
