//! "Did you mean": the word of a list that a mistyped word stands for.

use std::cmp::Reverse;

/// Longer words are nobody's typing mistake, and comparing takes quadratic time.
const LONGEST: usize = 32;
/// A shared beginning of fewer letters says nothing.
const SHORTEST_BEGINNING: usize = 3;

/// The nearest of `words`, compared without regard to case; `None` when nothing is near.
pub(super) fn nearest<'w>(wrong: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    if wrong.len() > LONGEST {
        return None;
    }
    let wrong = wrong.to_lowercase();
    words
        .into_iter()
        .filter_map(|word| Some((distance(&wrong, word)?, word)))
        .min_by_key(|&(distance, word)| (distance, Reverse(shared_beginning(&wrong, word))))
        .map(|(_, word)| word)
}

fn shared_beginning(one: &str, other: &str) -> usize {
    one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count()
}

/// The number of slips between two words; `None` when they are too many to be slips.
fn distance(wrong: &str, word: &str) -> Option<usize> {
    let slips = strsim::damerau_levenshtein(wrong, word);
    let shorter = wrong.len().min(word.len());
    if slips <= (shorter / 3).clamp(1, 3) {
        return Some(slips);
    }
    let begins = wrong.starts_with(word) || word.starts_with(wrong);
    (begins && shorter >= SHORTEST_BEGINNING).then_some(slips)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PLATFORM_TYPES;

    #[test]
    fn slips_and_beginnings_are_recognised_and_other_words_are_not() {
        let nearest = |wrong| nearest(wrong, PLATFORM_TYPES.iter().copied());
        assert_eq!(nearest("pyton"), Some("python"));
        assert_eq!(nearest("Python"), Some("python"));
        assert_eq!(nearest("node"), Some("nodejs"));
        assert_eq!(nearest("postgres"), Some("postgresql"));
        assert_eq!(nearest("python3"), Some("python"));
        assert_eq!(nearest("sqlite"), None);
        assert_eq!(nearest(""), None);
        assert_eq!(nearest(&"python".repeat(1000)), None);
    }
}
