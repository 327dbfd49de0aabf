use data_encoding::{BASE64, HEXLOWER};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

const CLUSTER: &str = "lb.kube-cp.com";
const TO: &str = "dns-2";

/// The line of a key file for the key whose bytes rise from `first` by seven each.
fn line(first: u8) -> String {
    let secret: [u8; 32] = std::array::from_fn(|place| first.wrapping_add(7 * u8::try_from(place).unwrap()));
    BASE64.encode(&secret)
}

fn ring(firsts: &[u8]) -> KeyRing {
    KeyRing::parse(&firsts.iter().map(|&first| line(first) + "\n").collect::<String>()).unwrap()
}

fn random() -> [u8; RANDOM_LENGTH] {
    std::array::from_fn(|place| 0x80 + u8::try_from(place).unwrap())
}

fn sealed(plaintext: &[u8]) -> Vec<u8> {
    seal(&ring(&[0]), CLUSTER, TO, plaintext, random())
}

fn opened(datagram: &[u8]) -> Result<Vec<u8>, OpenError> {
    open(&ring(&[0]), CLUSTER, TO, datagram)
}

/// Computed by Python 3 with the package `cryptography` 48: `HKDFExpand` with SHA-256 over the key, label and first half,
/// then `ChaCha20Poly1305`; the key ID by `hashlib`. If this changes, the datagram needs a new version.
#[test]
fn the_form_of_a_datagram_is_fixed() {
    let wanted = concat!(
        "01",
        "41faffaa",
        "808182838485868788898a8b8c8d8e8f9091929394959697",
        "07f90aa603b2405dd4b1c09b4a73232d4413",
        "030845f3606e07b9b0973c4cf267308d",
    );
    let datagram = sealed(b"dns-1: all is well");
    assert_eq!(HEXLOWER.encode(&datagram), wanted);
    assert_eq!(opened(&datagram).unwrap(), b"dns-1: all is well");
}

#[test]
fn other_random_bytes_in_either_half_change_the_ciphertext() {
    let text = |datagram: &[u8]| datagram[HEAD + RANDOM_LENGTH..].to_vec();
    let mut seen = vec![text(&sealed(b"the same"))];
    for place in [0, DIVERSIFIER - 1, DIVERSIFIER, RANDOM_LENGTH - 1] {
        let mut random = random();
        random[place] ^= 1;
        seen.push(text(&seal(&ring(&[0]), CLUSTER, TO, b"the same", random)));
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 5);
}

#[test]
fn a_datagram_that_cannot_be_opened_is_refused_with_the_reason() {
    let refusal = |datagram: &[u8]| opened(datagram).unwrap_err().to_string();
    let whole = sealed(b"");
    assert_eq!(whole.len(), OVERHEAD);
    for length in 0..OVERHEAD {
        let wanted = format!("the datagram has {length} bytes; a sealed one has 45 or more");
        assert_eq!(refusal(&whole[..length]), wanted);
    }
    assert_eq!(refusal(b"\x02"), "the datagram has version 2, but this Daymark knows version 1");
    let other = seal(&ring(&[1]), CLUSTER, TO, b"", random());
    let id = ring(&[1]).ids().next().unwrap();
    assert_eq!(
        refusal(&other),
        format!("the datagram is sealed with the key {id}, which is not in this host's key file")
    );
    let mut forged = whole;
    forged[OVERHEAD - 1] ^= 1;
    let wanted = "the datagram is forged or damaged, or meant for another cluster or another host";
    assert_eq!(refusal(&forged), wanted);
}

#[test]
fn a_datagram_with_the_id_of_another_key_is_forged() {
    let mut other = seal(&ring(&[1]), CLUSTER, TO, b"", random());
    other[1..HEAD].copy_from_slice(&ring(&[0]).sealing().id().bytes());
    assert_eq!(opened(&other), Err(OpenError::Forged));
}

#[test]
fn a_datagram_is_for_one_host_of_one_cluster() {
    let datagram = seal(&ring(&[0]), "ab", "cd", b"text", random());
    let at = |cluster, own| open(&ring(&[0]), cluster, own, &datagram);
    assert_eq!(at("ab", "cd").unwrap(), b"text");
    for (cluster, own) in
        [("ab", "ce"), ("aa", "cd"), ("abc", "d"), ("a", "bcd"), ("abcd", ""), ("", "abcd"), ("cd", "ab")]
    {
        assert_eq!(at(cluster, own), Err(OpenError::Forged), "{cluster} {own}");
    }
}

#[test]
fn a_rotation_never_cuts_two_hosts_off_whatever_their_order() {
    // The old key is 0 and the new one 1.
    let steps = [ring(&[0]), ring(&[0, 1]), ring(&[1, 0]), ring(&[1])];
    let opens =
        |from: &KeyRing, to: &KeyRing| open(to, CLUSTER, TO, &seal(from, CLUSTER, TO, b"text", random())).is_ok();
    for two in steps.windows(2) {
        // While a step is under way, each host has done it or has not.
        for (from, to) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            assert!(opens(&two[from], &two[to]), "{:?} {:?}", two[from], two[to]);
        }
    }
    for (from, to) in [(2, 0), (1, 3), (0, 3), (3, 0)] {
        assert!(!opens(&steps[from], &steps[to]), "a host that skips a step is cut off: {from} {to}");
    }
}

proptest! {
    #[test]
    fn what_is_sealed_opens(
        plaintext in vec(any::<u8>(), 0..2000),
        (cluster, to) in (".*", ".*"),
        random: [u8; RANDOM_LENGTH],
        first: u8,
    ) {
        let datagram = seal(&ring(&[first]), &cluster, &to, &plaintext, random);
        prop_assert_eq!(datagram.len(), plaintext.len() + OVERHEAD);
        let both = ring(&[first.wrapping_add(1), first]);
        prop_assert_eq!(open(&both, &cluster, &to, &datagram).unwrap(), plaintext);
    }

    #[test]
    fn a_flipped_bit_a_cut_and_an_addition_are_noticed(
        plaintext in vec(any::<u8>(), 0..200),
        (place, bit) in (any::<Index>(), 0..8),
        cut: Index,
        more in vec(any::<u8>(), 1..50),
    ) {
        let datagram = sealed(&plaintext);
        let mut flipped = datagram.clone();
        flipped[place.index(datagram.len())] ^= 1_u8 << bit;
        prop_assert!(opened(&flipped).is_err());
        prop_assert!(opened(&datagram[..cut.index(datagram.len())]).is_err());
        prop_assert!(opened(&[&datagram[..], &more].concat()).is_err());
        prop_assert!(opened(&[&more[..], &datagram].concat()).is_err());
    }

    #[test]
    fn another_cluster_or_another_host_opens_nothing(
        (cluster, to) in ("[a-c]{0,4}", "[a-c]{0,4}"),
        (other_cluster, other) in ("[a-c]{0,4}", "[a-c]{0,4}"),
    ) {
        prop_assume!((&cluster, &to) != (&other_cluster, &other));
        let datagram = seal(&ring(&[0]), &cluster, &to, b"text", random());
        prop_assert_eq!(open(&ring(&[0]), &other_cluster, &other, &datagram), Err(OpenError::Forged));
    }

    #[test]
    fn noise_is_refused_without_a_panic(noise in vec(any::<u8>(), 0..200), is_versioned: bool) {
        let noise = if is_versioned { [&[VERSION], &ring(&[0]).sealing().id().bytes()[..], &noise].concat() } else { noise };
        prop_assert!(opened(&noise).is_err());
    }
}
