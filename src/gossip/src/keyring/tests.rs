use daymark_decision::fixtures::assert_is_plain_message;

use super::*;

/// Bytes that rise from `first` by seven each.
fn secret(first: u8) -> Zeroizing<[u8; SECRET_LENGTH]> {
    Zeroizing::new(std::array::from_fn(|place| first.wrapping_add(7 * u8::try_from(place).unwrap())))
}

fn line(first: u8) -> String {
    GossipKey::new(secret(first)).encoded().to_string()
}

fn lines(firsts: std::ops::Range<u8>) -> String {
    firsts.map(|first| line(first) + "\n").collect()
}

fn refusal(text: &str) -> String {
    KeyRing::parse(text).unwrap_err().to_string()
}

#[test]
fn keys_are_read_line_by_line_between_comments_and_blank_lines() {
    let text = format!("# of all hosts\n\n  {} new, since today\r\n\t\n{}\n  # end", line(1), line(2));
    let ring = KeyRing::parse(&text).unwrap();
    let keys: Vec<&[u8]> = ring.keys().map(GossipKey::secret).collect();
    assert_eq!(keys, [secret(1).as_slice(), secret(2).as_slice()]);
    assert_eq!(ring.sealing().secret(), secret(1).as_slice());
    let second = ring.ids().nth(1).unwrap();
    assert_eq!(ring.find(second).unwrap().secret(), secret(2).as_slice());
    assert!(ring.find(KeyId([0; 4])).is_none());
}

#[test]
fn the_id_is_the_start_of_a_hash_of_the_key() {
    // Computed by Python: hashlib.sha256(b"daymark gossip key id" + bytes(range(0, 224, 7))).hexdigest()[:8]
    assert_eq!(GossipKey::new(secret(0)).id().to_string(), "41faffaa");
}

#[test]
fn a_text_without_a_key_is_refused() {
    for text in ["", "\n \n", "# nothing yet"] {
        assert_eq!(refusal(text), "there is no key in it; `daymark keygen` makes one");
    }
}

#[test]
fn a_line_without_a_key_is_refused_by_number_with_what_is_allowed() {
    let wanted = "line 2 does not begin with a key; a key (32 bytes in base64, as `daymark keygen` prints it), a blank \
                  line or a comment after # is allowed";
    let good = line(2);
    let url_safe = BASE64.encode(&[0xfb; SECRET_LENGTH]).replace('+', "-");
    let not_canonical = format!("{}9=", &good[..42]);
    let short = BASE64.encode(&secret(2)[..31]);
    let long = BASE64.encode(&[&secret(2)[..], b"!"].concat());
    let hex = HEXLOWER.encode(secret(2).as_slice());
    for bad in [&good[..43], "password", "ключ", &url_safe, &not_canonical, &short, &long, &hex, &format!("{good}#")]
    {
        assert_eq!(refusal(&format!("{}\n{bad} comment", line(1))), wanted, "{bad}");
    }
}

#[test]
fn a_key_that_is_not_random_is_refused() {
    let wanted = "the key in line 1 is not random, so it can be guessed; `daymark keygen` makes a random one";
    for bad in [[0; SECRET_LENGTH], [0xff; SECRET_LENGTH], *b"correct horse battery staple 123"] {
        assert_eq!(refusal(&BASE64.encode(&bad)), wanted, "{bad:?}");
    }
}

#[test]
fn a_key_that_is_there_twice_is_refused_by_its_id() {
    let id = GossipKey::new(secret(1)).id();
    let wanted = format!("the key in line 4 has the ID {id}, like an earlier one; each key is allowed once");
    assert_eq!(refusal(&format!("{}\n\n{}\n{} again", line(1), line(2), line(1))), wanted);
}

#[test]
fn eight_keys_are_a_ring_and_nine_are_too_many() {
    assert_eq!(KeyRing::parse(&lines(0..8)).unwrap().ids().count(), MAX_KEYS);
    assert_eq!(refusal(&lines(0..9)), "line 9 has one key too many; 8 are allowed, and a rotation needs two");
}

#[test]
fn no_text_that_is_shown_has_a_part_of_a_key() {
    let ring = KeyRing::parse(&lines(1..3)).unwrap();
    let ids: Vec<KeyId> = ring.ids().collect();
    assert_eq!(
        format!("{ring:?}"),
        format!("KeyRing {{ first: GossipKey({}), others: [GossipKey({})] }}", ids[0], ids[1])
    );
    for broken in [lines(1..2) + &lines(1..2), lines(0..9), line(1)[..43].to_owned(), BASE64.encode(&[7; 32])] {
        let error = KeyRing::parse(&broken).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(broken.lines().all(|line| !shown.contains(&line[..8])), "{shown}");
    }
}

/// A sample of the variant after this one. A new variant does not compile until it has its place.
fn next_error(error: &KeyRingError) -> Option<KeyRingError> {
    Some(match error {
        KeyRingError::Empty => KeyRingError::NotAKey { line: 2 },
        KeyRingError::NotAKey { .. } => KeyRingError::NotRandom { line: 2 },
        KeyRingError::NotRandom { .. } => KeyRingError::Twice { line: 2, id: KeyId([1; 4]) },
        KeyRingError::Twice { .. } => KeyRingError::TooMany { line: 2 },
        KeyRingError::TooMany { .. } => return None,
    })
}

#[test]
fn every_error_of_a_key_ring_is_a_sentence() {
    let errors = std::iter::successors(Some(KeyRingError::Empty), next_error);
    for error in errors {
        assert_is_plain_message(&error.to_string());
    }
}
