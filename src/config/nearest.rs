//! The known word that somebody probably meant.

/// Longer words than this are not compared.
const LONGEST_WORD: usize = 64;

/// The candidate nearest to `word`, if one is near enough to be meant.
pub(crate) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let limit = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (if lacks_unit(word, candidate) { 1 } else { distance(word, candidate) }, candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Whether the candidate is the word with its unit behind it: `fuse` and `fuse_a`.
fn lacks_unit(word: &str, candidate: &str) -> bool {
    !word.is_empty() && candidate.strip_prefix(word).is_some_and(|rest| rest.starts_with('_') && !rest[1..].contains('_'))
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from one word to the other; case, `-` and `_` count nothing.
pub(super) fn distance(left: &str, right: &str) -> usize {
    let plain = |word: &str| -> Vec<char> { word.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect() };
    let (left, right) = (plain(left), plain(right));
    if left.len() > LONGEST_WORD || right.len() > LONGEST_WORD {
        return usize::MAX;
    }
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for i in 0..=left.len() {
        for j in 0..=right.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(left[i - 1] != right[j - 1]);
                let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                    best = best.min(rows[i - 2][j - 2] + 1);
                }
                best
            };
        }
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_are_understood_and_other_words_are_not() {
        let known = ["max_charge_w", "max_discharge_w", "poll_ms", "L1"];
        let meant = ["max_charg_w", "MAX-CHARGE-W", "pol_ms", "pollm_s", "l1", "something", ""].map(|word| nearest(word, known));
        assert_eq!(meant, [Some("max_charge_w"), Some("max_charge_w"), Some("poll_ms"), Some("poll_ms"), Some("L1"), None, None]);
        assert_eq!(["max_charge", "poll", "max"].map(|word| nearest(word, known)), [Some("max_charge_w"), Some("poll_ms"), None]);
        assert_eq!(nearest(&"x".repeat(10_000), known), None);
    }
}
