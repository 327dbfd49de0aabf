//! The name of a question, in wire format.

/// A name that was read from a query, in lower case.
pub(crate) struct WireName {
    wire: [u8; WireName::MAX_BYTES],
    length: usize,
}

impl WireName {
    /// The limit of RFC 1035, section 2.3.4.
    const MAX_BYTES: usize = 255;

    /// Reads the name at the start of `bytes`. Returns `None` if there is no valid name.
    ///
    /// A compression pointer is not valid: the name of the question is the first of the message, so it has nothing to point to.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut name = Self { wire: [0; Self::MAX_BYTES], length: 0 };
        loop {
            let length = *bytes.get(name.length)?;
            let end = name.length + 1 + usize::from(length);
            let copy = name.wire.get_mut(name.length..end)?;
            copy.copy_from_slice(bytes.get(name.length..end)?);
            // This leaves the length byte as it is: a label has at most 63 bytes, and 63 is less than `A`.
            copy.make_ascii_lowercase();
            name.length = end;
            match length {
                0 => return Some(name),
                1..=63 => {}
                _ => return None,
            }
        }
    }

    /// The wire format, including the root label.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.wire[..self.length]
    }

    /// The length of the wire format in bytes.
    pub(crate) fn len(&self) -> usize {
        self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_in_lower_case_and_ends_with_the_root_label() {
        let name = WireName::read(b"\x02Lb\x07Kube-CP\x03com\0and more").unwrap();
        assert_eq!(name.as_bytes(), b"\x02lb\x07kube-cp\x03com\0");
        assert_eq!(name.len(), 16);
    }

    #[test]
    fn the_longest_names_are_read_and_longer_ones_are_not() {
        let most_labels = [[1, b'a'].repeat(127), vec![0]].concat();
        assert_eq!(WireName::read(&most_labels).unwrap().len(), 255);
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
