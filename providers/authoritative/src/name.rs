//! Names in wire format and lower case. Zones are searched by them.
//!
//! A suffix of a name is a slice of its wire format, so a search from label to label allocates nothing.

use hickory_proto::rr::Name;

/// A name in wire format and lower case, including the root label. It is the key of maps of names.
pub(crate) type NameKey = Box<[u8]>;

/// The key of a name.
pub(crate) fn name_key(name: &Name) -> NameKey {
    let mut wire = Vec::with_capacity(name.len() + 1);
    for label in name {
        // A label of a `Name` has at most 63 bytes (RFC 1035, section 2.3.4).
        wire.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
        wire.extend(label.iter().map(u8::to_ascii_lowercase));
    }
    wire.push(0);
    wire.into()
}

/// A name that was read from a query, in lower case.
pub(crate) struct WireName {
    wire: [u8; WireName::MAX_BYTES],
    /// The offset of each label, then the offset of the root label.
    starts: [u8; WireName::MAX_LABELS + 1],
    labels: usize,
}

impl WireName {
    /// The limit of RFC 1035, section 2.3.4.
    const MAX_BYTES: usize = 255;
    const MAX_LABELS: usize = 127;

    /// Reads the name at the start of `bytes`. Returns `None` if there is no valid name.
    ///
    /// A compression pointer is not valid: the name of the question is the first of the message, so it has nothing to point to.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut name = Self { wire: [0; Self::MAX_BYTES], starts: [0; Self::MAX_LABELS + 1], labels: 0 };
        let mut at = 0;
        loop {
            let length = usize::from(*bytes.get(at)?);
            *name.starts.get_mut(name.labels)? = u8::try_from(at).ok()?;
            let end = at + 1 + length;
            let label = bytes.get(at..end)?;
            let copy = name.wire.get_mut(at..end)?;
            copy.copy_from_slice(label);
            // This leaves the length byte as it is: a label has at most 63 bytes, and 63 is less than `A`.
            copy.make_ascii_lowercase();
            match length {
                0 => return Some(name),
                1..=63 => name.labels += 1,
                _ => return None,
            }
            at = end;
        }
    }

    /// The number of labels, without the root label.
    pub(crate) fn labels(&self) -> usize {
        self.labels
    }

    /// The length of the wire format in bytes.
    pub(crate) fn len(&self) -> usize {
        self.start(0) + 1
    }

    /// The last `labels` labels, as a key.
    ///
    /// # Panics
    /// If the name has fewer labels.
    pub(crate) fn suffix(&self, labels: usize) -> &[u8] {
        &self.wire[self.start(labels)..self.len()]
    }

    /// The offset at which the last `labels` labels start.
    pub(crate) fn start(&self, labels: usize) -> usize {
        usize::from(self.starts[self.labels - labels])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(text: &str) -> WireName {
        WireName::read(&name_key(&Name::from_ascii(text).unwrap())).unwrap()
    }

    #[test]
    fn a_name_is_in_lower_case_and_its_suffixes_are_keys() {
        let name = wire("LB.Kube-CP.com.");
        assert_eq!((name.labels(), name.len()), (3, 16));
        assert_eq!(name.suffix(3), b"\x02lb\x07kube-cp\x03com\0");
        assert_eq!(name.suffix(1), b"\x03com\0");
        assert_eq!(name.suffix(0), b"\0");
    }

    #[test]
    fn the_longest_names_are_read_and_longer_ones_are_not() {
        let most_labels = [[1, b'a'].repeat(127), vec![0]].concat();
        assert_eq!(WireName::read(&most_labels).unwrap().labels(), 127);
        let longest = [[vec![63], vec![b'a'; 63]].concat().repeat(3), vec![61], vec![b'a'; 61], vec![0]].concat();
        assert_eq!(WireName::read(&longest).unwrap().len(), 255);
        let too_long = [[vec![63], vec![b'a'; 63]].concat().repeat(3), vec![62], vec![b'a'; 62], vec![0]].concat();
        assert!(WireName::read(&too_long).is_none());
        let too_many = [[1, b'a'].repeat(128), vec![0]].concat();
        assert!(WireName::read(&too_many).is_none());
    }

    #[test]
    fn a_truncated_name_a_pointer_and_a_reserved_label_type_are_not_names() {
        for bytes in [&b""[..], b"\x02", b"\x02lb", b"\xc0\x0c", b"\x40a\0", b"\x80a\0"] {
            assert!(WireName::read(bytes).is_none(), "{bytes:?}");
        }
    }
}
