//! The positions of values in a file.

pub use daymark_yaml::FilePosition;

/// A value with the position of its first character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithPosition<T> {
    /// The value.
    pub value: T,
    /// The position of its first character.
    pub position: FilePosition,
}
