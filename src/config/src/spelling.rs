//! Unknown words, and the allowed ones that they were meant for.

use daymark_decision::shortened;

/// The message of an unknown word, with the word it may have been meant for and the allowed ones.
pub(super) fn unknown(noun: &str, word: &str, allowed: &[&str]) -> String {
    let hint = near(word, allowed).map_or(";".to_owned(), |near| format!("; did you mean `{near}`?"));
    format!("unknown {noun} `{}`{hint} allowed are: {}", shortened(word), allowed.join(", "))
}

/// The allowed word that another one was meant for.
pub(super) fn near<'n>(word: &str, allowed: &[&'n str]) -> Option<&'n str> {
    let word = word.to_lowercase();
    let likeness = |known: &str| strsim::normalized_damerau_levenshtein(&known.to_lowercase(), &word);
    let near = allowed.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(near) >= 0.6).then_some(near)
}
