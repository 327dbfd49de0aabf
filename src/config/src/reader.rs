//! A serde deserializer over the [tree](super::tree) that reports every error instead of stopping at the first: each
//! [`Key`] is a boundary, behind which an error is recorded and the key marked as faulty. Knows nothing of what the keys
//! mean.

use std::cell::RefCell;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

use super::findings::{Findings, Location, join};
use super::key::Key;
use super::spelling::{near, unknown};
use daymark_decision::quoted;
use daymark_yaml::{YamlEntry, YamlNode, YamlValue};

/// The key that says which kind a mapping is of.
const TAG: &str = "type";

/// The variants of an enum that differ in the shape of the text of the file.
pub(super) const SHAPES: [&str; 2] = ["list", "mapping"];

/// Reads a whole tree into a raw type.
pub(super) fn read<'de, T: Deserialize<'de>>(tree: &'de YamlNode, findings: &RefCell<Findings>) -> Key<T> {
    let root = Reader { node: tree, key: tree.label.clone().unwrap_or_default(), tagged: false, findings };
    // A boundary returns no error; it records it.
    Key::deserialize(root).unwrap_or(Key::Faulty)
}

/// An error with what is allowed.
#[derive(Debug)]
struct ReaderError(String);

impl fmt::Display for ReaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ReaderError {}

impl de::Error for ReaderError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let is = match unexpected {
            Unexpected::Bool(value) => format!("is the boolean {value}"),
            Unexpected::Unsigned(value) => format!("is the number {value}"),
            Unexpected::Signed(value) => format!("is the number {value}"),
            Unexpected::Float(value) => format!("is the number {value}"),
            Unexpected::Str(value) => format!("is the text {}", quoted(value)),
            Unexpected::Unit => "is empty".to_owned(),
            Unexpected::Seq => "is a list".to_owned(),
            Unexpected::Map => "is a mapping".to_owned(),
            other => format!("is a {other}"),
        };
        Self(format!("{is}; {expected} is allowed"))
    }
}

/// One node, read by serde.
#[derive(Clone)]
struct Reader<'de, 'f> {
    node: &'de YamlNode,
    key: String,
    /// The mapping has its kind in [`TAG`], read already.
    tagged: bool,
    findings: &'f RefCell<Findings>,
}

impl<'de> Reader<'de, '_> {
    fn child(&self, key: String, node: &'de YamlNode) -> Self {
        let key = node.label.clone().unwrap_or(key);
        Self { node, key, tagged: false, findings: self.findings }
    }

    fn wrong_type<T>(&self, allowed: &str) -> Result<T, ReaderError> {
        Err(de::Error::invalid_type(unexpected(&self.node.value), &allowed))
    }

    /// The entries with their keys, each once; the others are reported. A misspelt key is read as the one that it was
    /// meant for, so that nothing reports that as missing.
    fn known<'n>(&self, entries: &'de [YamlEntry], fields: &[&'n str]) -> Vec<KnownEntry<'n, 'de>> {
        let allowed: Vec<&str> = self.tagged.then_some(TAG).into_iter().chain(fields.iter().copied()).collect();
        let mut known: Vec<KnownEntry<'_, '_>> = Vec::new();
        let mut misspelt = Vec::new();
        for entry in entries {
            let Some(key) = allowed.iter().find(|key| **key == entry.key) else {
                let message = unknown("key", &entry.key, &allowed);
                self.findings.borrow_mut().error_at(self.key.clone(), entry.position, message);
                misspelt.extend(near(&entry.key, &allowed).map(|key| KnownEntry { key, entry }));
                continue;
            };
            let Some(first) = known.iter().find(|other| other.key == *key) else {
                known.push(KnownEntry { key, entry });
                continue;
            };
            let line = first.entry.position.map(|position| format!(", first on line {}", position.line));
            let message = format!("is given twice{}; once is allowed", line.unwrap_or_default());
            self.findings.borrow_mut().error_at(join(&self.key, &entry.key), entry.position, message);
        }
        for meant in misspelt {
            if known.iter().all(|other| other.key != meant.key) {
                known.push(meant);
            }
        }
        known.retain(|known| !(self.tagged && known.key == TAG));
        known
    }
}

/// An entry of a mapping under the key that it was meant for.
#[derive(Clone, Copy)]
struct KnownEntry<'n, 'de> {
    key: &'n str,
    entry: &'de YamlEntry,
}

fn unexpected(value: &YamlValue) -> Unexpected<'_> {
    match value {
        YamlValue::Empty => Unexpected::Unit,
        YamlValue::Bool(value) => Unexpected::Bool(*value),
        YamlValue::Whole(value) => match (u64::try_from(*value), i64::try_from(*value)) {
            (Ok(value), _) => Unexpected::Unsigned(value),
            (_, Ok(value)) => Unexpected::Signed(value),
            _ => Unexpected::Other("number beyond all bounds"),
        },
        YamlValue::Fraction(value) => Unexpected::Float(*value),
        YamlValue::Text(value) => Unexpected::Str(value),
        YamlValue::List(_) => Unexpected::Seq,
        YamlValue::Map(_) => Unexpected::Map,
    }
}

impl<'de> Deserializer<'de> for Reader<'de, '_> {
    type Error = ReaderError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReaderError> {
        match unexpected(&self.node.value) {
            Unexpected::Bool(value) => visitor.visit_bool(value),
            Unexpected::Unsigned(value) => visitor.visit_u64(value),
            Unexpected::Signed(value) => visitor.visit_i64(value),
            Unexpected::Str(value) => visitor.visit_str(value),
            other => Err(de::Error::invalid_type(other, &visitor)),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReaderError> {
        match self.node.value {
            YamlValue::Bool(value) => visitor.visit_bool(value),
            _ => self.wrong_type("true or false"),
        }
    }

    /// The boundary: a [`Key`] is read as its value, if that is good, and its location.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReaderError> {
        visitor.visit_seq(Boundary { reader: self, location: None })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReaderError> {
        match &self.node.value {
            YamlValue::List(list) => {
                visitor.visit_seq(Elements { rest: list.iter().enumerate(), reader: self.clone() })
            }
            _ => self.wrong_type("a list"),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReaderError> {
        let YamlValue::Map(entries) = &self.node.value else {
            return self.wrong_type(&format!("a mapping with keys among {}", fields.join(", ")));
        };
        let known = self.known(entries, fields);
        visitor.visit_map(Entries { rest: known.into_iter(), current: None, reader: self })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReaderError> {
        if variants == SHAPES {
            let tag = match &self.node.value {
                YamlValue::List(_) => SHAPES[0],
                YamlValue::Map(_) => SHAPES[1],
                _ => return self.wrong_type("a list or a mapping"),
            };
            return visitor.visit_enum(Tagged { tag, reader: self });
        }
        let list = variants.join(", ");
        let YamlValue::Map(entries) = &self.node.value else {
            return self.wrong_type(&format!("a mapping with the key {TAG}, one of {list},"));
        };
        let Some(tag) = entries.iter().find(|entry| entry.key == TAG) else {
            return Err(ReaderError(format!("has no `{TAG}`; allowed are: {list}")));
        };
        let location = self.findings.borrow_mut().location(join(&self.key, TAG), tag.node.position);
        let message = match &tag.node.value {
            YamlValue::Text(text) if variants.contains(&text.as_str()) => {
                return visitor.visit_enum(Tagged { tag: text, reader: Reader { tagged: true, ..self } });
            }
            YamlValue::Text(text) => unknown(TAG, text, variants),
            _ => format!("is not text; allowed are: {list}"),
        };
        // The location is that of the tag, which is not the location of the boundary that would record it.
        self.findings.borrow_mut().error(location, message);
        // The keys beside a misspelt kind are read as of the kind that was meant, so that their errors are reported too.
        let meant = match &tag.node.value {
            YamlValue::Text(text) => near(text, variants),
            _ => None,
        };
        match meant {
            Some(tag) => visitor.visit_enum(Tagged { tag, reader: Reader { tagged: true, ..self } }),
            None => Err(ReaderError::silent()),
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct
        tuple tuple_struct map identifier ignored_any
    }
}

impl ReaderError {
    /// The empty message of an error that is recorded already.
    fn silent() -> Self {
        Self(String::new())
    }
}

struct Boundary<'de, 'f> {
    reader: Reader<'de, 'f>,
    location: Option<Location>,
}

impl<'de> SeqAccess<'de> for Boundary<'de, '_> {
    type Error = ReaderError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ReaderError> {
        if let Some(Location(index)) = self.location {
            return seed.deserialize(index.into_deserializer()).map(Some);
        }
        let reader = self.reader.clone();
        let findings = reader.findings;
        let location = findings.borrow_mut().location(reader.key.clone(), reader.node.position);
        self.location = Some(location);
        match seed.deserialize(reader) {
            Ok(value) => Ok(Some(value)),
            Err(ReaderError(message)) => {
                if !message.is_empty() {
                    findings.borrow_mut().error(location, message);
                }
                Ok(None)
            }
        }
    }
}

struct Elements<'de, 'f, I> {
    rest: I,
    reader: Reader<'de, 'f>,
}

impl<'de, I: Iterator<Item = (usize, &'de YamlNode)>> SeqAccess<'de> for Elements<'de, '_, I> {
    type Error = ReaderError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ReaderError> {
        let Some((index, node)) = self.rest.next() else { return Ok(None) };
        let key = format!("{}[{index}]", self.reader.key);
        seed.deserialize(self.reader.child(key, node)).map(Some)
    }
}

struct Entries<'de, 'f, I> {
    rest: I,
    current: Option<KnownEntry<'static, 'de>>,
    reader: Reader<'de, 'f>,
}

impl<'de, I: Iterator<Item = KnownEntry<'static, 'de>>> MapAccess<'de> for Entries<'de, '_, I> {
    type Error = ReaderError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ReaderError> {
        self.current = self.rest.next();
        let Some(KnownEntry { key, .. }) = self.current else { return Ok(None) };
        seed.deserialize(key.into_deserializer()).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, ReaderError> {
        let Some(KnownEntry { key, entry }) = self.current else { return Err(de::Error::custom("has no value")) };
        seed.deserialize(self.reader.child(join(&self.reader.key, key), &entry.node))
    }
}

struct Tagged<'de, 'f> {
    tag: &'de str,
    reader: Reader<'de, 'f>,
}

impl<'de, 'f> de::EnumAccess<'de> for Tagged<'de, 'f> {
    type Error = ReaderError;
    type Variant = Content<'de, 'f>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), ReaderError> {
        Ok((seed.deserialize(self.tag.into_deserializer())?, Content(self.reader)))
    }
}

struct Content<'de, 'f>(Reader<'de, 'f>);

impl<'de> de::VariantAccess<'de> for Content<'de, '_> {
    type Error = ReaderError;

    fn unit_variant(self) -> Result<(), ReaderError> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, ReaderError> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, ReaderError> {
        self.0.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReaderError> {
        self.0.deserialize_struct("", fields, visitor)
    }
}
