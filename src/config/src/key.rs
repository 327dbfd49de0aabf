//! One key of the file after reading: absent, faulty, or a value with its location. It knows nothing of the tree.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use super::findings::Location;

/// One key, or one element of a list, after reading. Only the [reader](super::reader) can fill it.
#[derive(Debug, Default)]
pub(super) enum Key<T> {
    /// It is not there.
    #[default]
    Absent,
    /// It is there and wrong, which is reported already.
    Faulty,
    /// It is there.
    Present(Located<T>),
}

/// A value, and its location in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) location: Location,
}

impl<T> Located<T> {
    /// Makes another value of this one, at the same location.
    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Located<U> {
        Located { value: change(self.value), location: self.location }
    }
}

impl<T> Key<T> {
    /// The value, or else a default.
    pub(super) fn or(self, default: T) -> T {
        self.value().unwrap_or(default)
    }

    /// The value.
    pub(super) fn value(self) -> Option<T> {
        self.present().map(|present| present.value)
    }

    /// The value with its location.
    pub(super) fn present(self) -> Option<Located<T>> {
        match self {
            Self::Present(present) => Some(present),
            Self::Absent | Self::Faulty => None,
        }
    }

    /// The location of the value.
    pub(super) fn location(&self) -> Option<Location> {
        match self {
            Self::Present(present) => Some(present.location),
            Self::Absent | Self::Faulty => None,
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Key<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_option(KeyVisitor(PhantomData))
    }
}

struct KeyVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for KeyVisitor<T> {
    type Value = Key<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    /// Called by serde for a field that the mapping lacks.
    fn visit_none<E>(self) -> Result<Key<T>, E> {
        Ok(Key::Absent)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Key<T>, A::Error> {
        let Some(value) = seq.next_element::<T>()? else { return Ok(Key::Faulty) };
        match seq.next_element::<u32>()? {
            Some(index) => Ok(Key::Present(Located { value, location: Location(index) })),
            None => Ok(Key::Faulty),
        }
    }
}
