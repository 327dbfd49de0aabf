//! The positions of values in a file.

use std::fmt;

/// A position in the file; both count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilePosition {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

impl FilePosition {
    /// The position of a slip of the file as a whole.
    pub(crate) const START: Self = Self { line: 1, column: 1 };
}

impl fmt::Display for FilePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// A value with the position of its first character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithPosition<T> {
    /// The value.
    pub value: T,
    /// The position of its first character.
    pub position: FilePosition,
}
