//! Names as the wire has them, in lower case: what zones are searched by.
//!
//! A name's suffix is a slice of its wire form. So a lookup walks a name without an allocation.

use hickory_proto::rr::Name;

/// A name in wire form and lower case, the root label included.
pub(crate) type Key = Box<[u8]>;

/// The key of a name.
pub(crate) fn key(name: &Name) -> Key {
    let mut wire = Vec::with_capacity(name.len() + 1);
    for label in name {
        // A label of a `Name` has at most 63 bytes (RFC 1035, section 2.3.4).
        wire.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
        wire.extend(label.iter().map(u8::to_ascii_lowercase));
    }
    wire.push(0);
    wire.into()
}

/// A name as a query has it, in lower case.
pub(crate) struct WireName {
    wire: [u8; WireName::MOST_BYTES],
    /// Where each label begins, and then the root label.
    starts: [u8; WireName::MOST_LABELS + 1],
    labels: usize,
}

impl WireName {
    /// RFC 1035, section 2.3.4.
    const MOST_BYTES: usize = 255;
    const MOST_LABELS: usize = 127;

    /// Reads the name at the beginning of `bytes`; `None` where there is none. A compression pointer is none: nothing
    /// stands before the first name of a query that it could point to.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut name = Self { wire: [0; Self::MOST_BYTES], starts: [0; Self::MOST_LABELS + 1], labels: 0 };
        let mut at = 0;
        loop {
            let length = usize::from(*bytes.get(at)?);
            *name.starts.get_mut(name.labels)? = u8::try_from(at).ok()?;
            let end = at + 1 + length;
            let label = bytes.get(at..end)?;
            let copy = name.wire.get_mut(at..end)?;
            copy.copy_from_slice(label);
            // The length byte stays as it is: a label has at most 63 bytes, and 63 is below `A`.
            copy.make_ascii_lowercase();
            match length {
                0 => return Some(name),
                1..=63 => name.labels += 1,
                _ => return None,
            }
            at = end;
        }
    }

    /// How many labels it has, the root label aside.
    pub(crate) fn labels(&self) -> usize {
        self.labels
    }

    /// How many bytes its wire form has.
    pub(crate) fn len(&self) -> usize {
        self.start(0) + 1
    }

    /// Its last labels, as a key.
    ///
    /// # Panics
    /// Where it has fewer labels.
    pub(crate) fn suffix(&self, labels: usize) -> &[u8] {
        &self.wire[self.start(labels)..self.len()]
    }

    /// Where its last labels begin.
    pub(crate) fn start(&self, labels: usize) -> usize {
        usize::from(self.starts[self.labels - labels])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(text: &str) -> WireName {
        WireName::read(&key(&Name::from_ascii(text).unwrap())).unwrap()
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
        let many = [[1, b'a'].repeat(127), vec![0]].concat();
        assert_eq!(WireName::read(&many).unwrap().labels(), 127);
        let long = [[vec![63], vec![b'a'; 63]].concat().repeat(3), vec![61], vec![b'a'; 61], vec![0]].concat();
        assert_eq!(WireName::read(&long).unwrap().len(), 255);
        let too_long = [[vec![63], vec![b'a'; 63]].concat().repeat(3), vec![62], vec![b'a'; 62], vec![0]].concat();
        assert!(WireName::read(&too_long).is_none());
        let too_many = [[1, b'a'].repeat(128), vec![0]].concat();
        assert!(WireName::read(&too_many).is_none());
    }

    #[test]
    fn a_cut_name_a_pointer_and_a_reserved_label_are_no_names() {
        for bytes in [&b""[..], b"\x02", b"\x02lb", b"\xc0\x0c", b"\x40a\0", b"\x80a\0"] {
            assert!(WireName::read(bytes).is_none(), "{bytes:?}");
        }
    }
}
