//! Words whose function comes in a later release: known, and refused.

use super::reader::{Section, Spanned};

/// One of several words; those without a value belong to a later release.
pub(super) fn choice<T: Copy>(section: &mut Section<'_>, key: &str, choices: &[(&str, Option<T>)]) -> Option<Spanned<T>> {
    let word = section.choice(key, choices)?;
    let Some(value) = word.value else {
        section.add(word.at, key, format!("{} is not supported yet.", section.literal(word.at)));
        return None;
    };
    Some(word.map(|_| value))
}
