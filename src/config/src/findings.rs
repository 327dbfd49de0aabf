//! The errors and warnings of a configuration, each with its location. It does not know the keys of Daymark.

use std::collections::BTreeMap;
use std::fmt;

use daymark_decision::escaped;
use daymark_yaml::FilePosition;
use thiserror::Error;

/// One error or warning: where it is, what is wrong, and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file; `None`: the configuration came from flags.
    pub file: Option<String>,
    /// The position in the file, if there is one.
    pub position: Option<FilePosition>,
    /// The path of the key, such as `pools[0].port`, or the flag; empty: the file as a whole.
    pub key: String,
    /// The error and what is allowed, in one line.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
        }
        if let Some(FilePosition { line, column }) = self.position {
            write!(f, "{line}:{column}:")?;
        }
        if self.file.is_some() || self.position.is_some() {
            f.write_str(" ")?;
        }
        let key = if self.key.is_empty() { "the file" } else { &self.key };
        write!(f, "{key}: {}", escaped(&self.message))
    }
}

/// Everything that is wrong in a configuration, in the order of the file. The operator mends the file; nothing of it was
/// used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}", .0.iter().map(Finding::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigErrors(pub Vec<Finding>);

/// A key that was read: what findings about it refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Location(pub(super) u32);

/// The path of a key that was read, and its position in the file.
#[derive(Clone, Debug, Default)]
struct ReadKey {
    key: String,
    position: Option<FilePosition>,
}

/// The result of a configuration without errors.
pub(super) struct Passed {
    /// The warnings, in the order of the file.
    pub(super) warnings: Vec<Finding>,
    pub(super) locations: Locations,
}

/// Collects what is found, and remembers the locations that were read.
#[derive(Debug)]
pub(super) struct Findings {
    file: Option<String>,
    locations: Vec<ReadKey>,
    errors: Vec<Finding>,
    warnings: Vec<Finding>,
}

impl Findings {
    /// Nothing found yet in a file of this name.
    pub(super) fn new(file: Option<&str>) -> Self {
        Self { file: file.map(str::to_owned), locations: Vec::new(), errors: Vec::new(), warnings: Vec::new() }
    }

    /// Remembers a location.
    pub(super) fn location(&mut self, key: String, position: Option<FilePosition>) -> Location {
        self.locations.push(ReadKey { key, position });
        // The tree is bounded far below `u32::MAX` nodes.
        Location(u32::try_from(self.locations.len() - 1).unwrap_or(u32::MAX))
    }

    /// Something is wrong at this location.
    pub(super) fn error(&mut self, location: Location, message: impl Into<String>) {
        let finding = self.finding(location, message.into());
        self.errors.push(finding);
    }

    /// Something is doubtful at this location.
    pub(super) fn warn(&mut self, location: Location, message: impl Into<String>) {
        let finding = self.finding(location, message.into());
        self.warnings.push(finding);
    }

    /// A key that must be there is not.
    pub(super) fn missing(&mut self, parent: Location, key: &str, message: &str) {
        let mut finding = self.finding(parent, format!("is missing; {message}"));
        finding.key = join(&finding.key, key);
        self.errors.push(finding);
    }

    /// Something is wrong at a location that was not read.
    pub(super) fn error_at(&mut self, key: String, position: Option<FilePosition>, message: String) {
        self.errors.push(Finding { file: self.file.clone(), position, key, message });
    }

    /// The location in words, for a message about another location.
    pub(super) fn describe(&self, location: Location) -> String {
        match self.lookup(location) {
            ReadKey { key, position: Some(position) } => format!("{key} on line {}", position.line),
            ReadKey { key, position: None } => key,
        }
    }

    /// The warnings and the locations that were read, or else every error; both findings in the order of the file.
    pub(super) fn finish(mut self) -> Result<Passed, ConfigErrors> {
        self.errors.sort_by_key(|finding| finding.position);
        self.warnings.sort_by_key(|finding| finding.position);
        if !self.errors.is_empty() {
            return Err(ConfigErrors(self.errors));
        }
        let locations = self.locations.into_iter().map(|read| (read.key, read.position)).collect();
        Ok(Passed { warnings: self.warnings, locations: Locations { file: self.file, locations } })
    }

    fn finding(&self, location: Location, message: String) -> Finding {
        let ReadKey { key, position } = self.lookup(location);
        Finding { file: self.file.clone(), position, key, message }
    }

    fn lookup(&self, Location(index): Location) -> ReadKey {
        usize::try_from(index).ok().and_then(|index| self.locations.get(index)).cloned().unwrap_or_default()
    }
}

/// The locations of the keys of a configuration, for errors that show only in use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Locations {
    file: Option<String>,
    locations: BTreeMap<String, Option<FilePosition>>,
}

impl Locations {
    /// Something is wrong at the key of this path, which the command line calls `flag`.
    pub(super) fn finding(&self, key: &str, flag: &str, message: String) -> Finding {
        let key = if self.file.is_some() { key } else { flag };
        let position = self.locations.get(key).copied().flatten();
        Finding { file: self.file.clone(), position, key: key.to_owned(), message }
    }
}

/// The path of a key inside another.
pub(super) fn join(parent: &str, key: &str) -> String {
    if parent.is_empty() { key.to_owned() } else { format!("{parent}.{key}") }
}
