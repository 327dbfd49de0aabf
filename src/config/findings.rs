//! What is wrong or doubtful in a configuration, each with its place. Knows nothing of the keys of Daymark.

use std::collections::BTreeMap;
use std::fmt;

use thiserror::Error;

/// A place in the file; both count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

/// One error or warning: where it is, what is wrong, and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file; `None`: the configuration came from flags.
    pub file: Option<String>,
    /// Where in the file, if it has one place.
    pub position: Option<Position>,
    /// The path of the key, such as `pools[0].port`, or the flag; empty: the file as a whole.
    pub key: String,
    /// What is wrong and what is allowed. One line.
    pub sentence: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
        }
        if let Some(Position { line, column }) = self.position {
            write!(f, "{line}:{column}:")?;
        }
        if self.file.is_some() || self.position.is_some() {
            f.write_str(" ")?;
        }
        let key = if self.key.is_empty() { "the file" } else { &self.key };
        write!(f, "{key}: {}", self.sentence)
    }
}

/// Everything that is wrong in a configuration, in the order of the file. The operator mends the file; nothing of it was
/// used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}", .0.iter().map(Finding::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigErrors(pub Vec<Finding>);

/// A key that was read: what findings about it refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(pub(super) u32);

/// Collects what is found, and remembers the places that were read.
#[derive(Debug)]
pub(super) struct Findings {
    file: Option<String>,
    places: Vec<(String, Option<Position>)>,
    errors: Vec<Finding>,
    warnings: Vec<Finding>,
}

impl Findings {
    /// Nothing found yet in a file of this name.
    pub(super) fn new(file: Option<&str>) -> Self {
        Self { file: file.map(str::to_owned), places: Vec::new(), errors: Vec::new(), warnings: Vec::new() }
    }

    /// Remembers a place.
    pub(super) fn place(&mut self, key: String, position: Option<Position>) -> Place {
        self.places.push((key, position));
        // The tree is bounded far below `u32::MAX` nodes.
        Place(u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX))
    }

    /// Something is wrong at this place.
    pub(super) fn error(&mut self, place: Place, sentence: impl Into<String>) {
        let finding = self.finding(place, sentence.into());
        self.errors.push(finding);
    }

    /// Something is doubtful at this place.
    pub(super) fn warn(&mut self, place: Place, sentence: impl Into<String>) {
        let finding = self.finding(place, sentence.into());
        self.warnings.push(finding);
    }

    /// A key that must be there is not.
    pub(super) fn missing(&mut self, parent: Place, key: &str, sentence: &str) {
        let mut finding = self.finding(parent, format!("is missing; {sentence}"));
        finding.key = join(&finding.key, key);
        self.errors.push(finding);
    }

    /// Something is wrong at a place that was not read.
    pub(super) fn error_at(&mut self, key: String, position: Option<Position>, sentence: String) {
        self.errors.push(Finding { file: self.file.clone(), position, key, sentence });
    }

    /// The place in words, for a sentence about another place.
    pub(super) fn describe(&self, place: Place) -> String {
        match self.lookup(place) {
            (key, Some(position)) => format!("{key} on line {}", position.line),
            (key, None) => key,
        }
    }

    /// The warnings and the places that were read, or else every error; both findings in the order of the file.
    pub(super) fn finish(mut self) -> Result<(Vec<Finding>, Places), ConfigErrors> {
        self.errors.sort_by_key(|finding| finding.position);
        self.warnings.sort_by_key(|finding| finding.position);
        if !self.errors.is_empty() {
            return Err(ConfigErrors(self.errors));
        }
        Ok((self.warnings, Places { file: self.file, places: self.places.into_iter().collect() }))
    }

    fn finding(&self, place: Place, sentence: String) -> Finding {
        let (key, position) = self.lookup(place);
        Finding { file: self.file.clone(), position, key, sentence }
    }

    fn lookup(&self, Place(index): Place) -> (String, Option<Position>) {
        usize::try_from(index).ok().and_then(|index| self.places.get(index)).cloned().unwrap_or_default()
    }
}

/// Where the keys of a configuration are, for what is found out only when it is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    file: Option<String>,
    places: BTreeMap<String, Option<Position>>,
}

impl Places {
    /// Something is wrong at the key of this path, which the command line calls `flag`.
    pub(super) fn finding(&self, key: &str, flag: &str, sentence: String) -> Finding {
        let key = if self.file.is_some() { key } else { flag };
        let position = self.places.get(key).copied().flatten();
        Finding { file: self.file.clone(), position, key: key.to_owned(), sentence }
    }
}

/// The path of a key inside another.
pub(super) fn join(parent: &str, key: &str) -> String {
    if parent.is_empty() { key.to_owned() } else { format!("{parent}.{key}") }
}

/// A text of the file inside a sentence, in quotes.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", short(text))
}

/// A text of the file on one line, and not longer than a line should be.
pub(super) fn short(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut short = text.chars().take(LONGEST).collect::<String>().escape_debug().to_string();
    if text.chars().nth(LONGEST).is_some() {
        short.push('…');
    }
    short
}
