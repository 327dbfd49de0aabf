use std::net::IpAddr;

use daymark_decision::fixtures::pool_name;
use daymark_decision::{Answer, Basis, Family, Order};
use daymark_provider::contract;
use proptest::prelude::*;

use super::*;
use crate::dnssec::{DenialOfExistence, DnssecKey, KeyRole, SigningSettings, ZoneKey};
use crate::settings::{Nameserver, ServerIdentity, ZoneSettings};

const POOL: &str = "lb.example.org";
/// Seconds since the Unix epoch.
const NOW: u64 = 1_795_910_400;

pub(crate) fn properties() -> Properties {
    let identity = ServerIdentity { name: "dns-1".to_owned(), version: "daymark".to_owned(), nsid: true, chaos: true };
    Properties { identity: Arc::new(identity), keepalive: 100 }
}

pub(crate) fn served(answer: Answer, signing: Option<SigningSettings>) -> ServedState {
    let nameservers = vec![Nameserver { name: "ns.example.net".to_owned(), addresses: Vec::new() }];
    let settings = ZoneSettings { signing, ..ZoneSettings::for_pool(&pool_name(POOL), &nameservers) };
    let zone = Arc::new(Zone::build(&settings).unwrap());
    ServedState::new(&[zone], Some(&Decision { answers: vec![answer], generation: 7 }), &properties(), NOW)
}

/// The signing of a zone with one key.
pub(crate) fn signing(denial: DenialOfExistence) -> SigningSettings {
    let key = DnssecKey::from_pem(&DnssecKey::generate_pem().unwrap()).unwrap();
    SigningSettings { keys: vec![ZoneKey { key, role: KeyRole::Combined, is_active: true }], denial }
}

/// A zone without a key, or with one and either proof.
fn signings() -> impl Strategy<Value = Option<SigningSettings>> {
    let denial = prop_oneof![Just(DenialOfExistence::Nsec), Just(DenialOfExistence::Nsec3)];
    proptest::option::of(denial.prop_map(signing))
}

pub(crate) fn answer(addresses: &[IpAddr], order: Order, max_answers: u16, basis: Basis) -> Answer {
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let mut answer = contract::decision(&pool_name(POOL), 7, &addresses).answers.remove(0);
    answer.order = order;
    answer.max_answers = max_answers;
    answer.bases = [Family::Ipv4, Family::Ipv6].map(|family| (family, basis)).into_iter().collect();
    for (index, member) in answer.members.iter_mut().enumerate() {
        member.weight = u16::try_from(index % 3 + 1).unwrap();
    }
    answer
}

/// The response without its order: everything but the address records, then these sorted.
fn unordered(response: &[u8], rtype: u16) -> (Vec<u8>, Vec<Vec<u8>>) {
    let question = HEADER_AND_QUESTION;
    let bytes = match rtype {
        1 => 16,
        28 => 28,
        _ => return (response.to_vec(), Vec::new()),
    };
    let is_address = |block: &&[u8]| block.len() == bytes && block[..4] == [0xc0, 12, 0, u8::try_from(rtype).unwrap()];
    let mut blocks: Vec<Vec<u8>> =
        response[question..].chunks(bytes).take_while(is_address).map(<[u8]>::to_vec).collect();
    let rest = [&response[..question], &response[question + blocks.len() * bytes..]].concat();
    blocks.sort();
    (rest, blocks)
}

/// The bytes of the header, of the name of the pool, and of its type and class.
const HEADER_AND_QUESTION: usize = 12 + 16 + 4;

pub(crate) fn query(id: u16, flags: u16, upper: u32, rtype: u16, opt: Option<(u16, bool)>) -> Vec<u8> {
    let counts = [0, 1, 0, 0, 0, 0, 0, u8::from(opt.is_some())];
    let mut name = b"\x02lb\x07example\x03org\0".to_vec();
    for (index, byte) in name.iter_mut().enumerate() {
        if upper >> index & 1 == 1 {
            byte.make_ascii_uppercase();
        }
    }
    let mut query =
        [&id.to_be_bytes()[..], &flags.to_be_bytes(), &counts, &name, &rtype.to_be_bytes(), &[0, 1]].concat();
    if let Some((payload, dnssec_ok)) = opt {
        let [high, low] = payload.to_be_bytes();
        query.extend([0, 0, 41, high, low, 0, 0, if dnssec_ok { 0x80 } else { 0 }, 0, 0, 0]);
    }
    query
}

fn addresses() -> impl Strategy<Value = Vec<IpAddr>> {
    let ipv4 = (1..=40_u8).prop_map(|last| IpAddr::from([192, 0, 2, last]));
    let ipv6 = (1..=40_u16).prop_map(|last| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]));
    proptest::collection::btree_set(prop_oneof![ipv4, ipv6], 1..40).prop_map(|set| set.into_iter().collect())
}

proptest! {
    /// The fast path says what the engine says, byte for byte but for the order of the addresses.
    #[test]
    fn the_table_answers_as_the_engine_does(
        addresses in addresses(),
        is_weighted: bool,
        max_answers in 1..50_u16,
        is_stale: bool,
        id: u16,
        recursion_desired: bool,
        upper: u32,
        rtype in prop_oneof![Just(1_u16), Just(28), Just(65), Just(16), Just(255)],
        opt in proptest::option::of((prop_oneof![Just(0_u16), Just(512), Just(1232), Just(u16::MAX), 512..1300_u16], any::<bool>())),
        is_tcp: bool,
        signing in signings(),
    ) {
        let order = if is_weighted { Order::Weighted } else { Order::Rotated };
        let basis = if is_stale { Basis::LastKnownGood } else { Basis::Ready };
        let is_signed = signing.is_some() && opt.is_some_and(|(_, dnssec_ok)| dnssec_ok);
        let served = served(answer(&addresses, order, max_answers, basis), signing);
        let query = query(id, if recursion_desired { 0x0100 } else { 0 }, upper, rtype, opt);
        let transport = if is_tcp { DnsTransport::Tcp } else { DnsTransport::Udp };
        let (mut fast, mut full) = (Vec::new(), Vec::new());
        prop_assert_eq!(served.engine.respond(&query, transport, &mut full), Some(ResponseCode::NoError));
        if served.table.respond(&query, transport, &mut fast) {
            let (fast_rest, fast_blocks) = unordered(&fast, rtype);
            let (full_rest, full_blocks) = unordered(&full, rtype);
            prop_assert_eq!(fast_blocks.len(), full_blocks.len());
            let in_family = addresses.iter().filter(|address| address.is_ipv4() == (rtype == 1)).count();
            let has_all = usize::from(max_answers) >= in_family;
            if is_signed && !has_all && !full_blocks.is_empty() {
                // Each choice of addresses has a signature of its own.
                let is_said = (0..128).any(|index| {
                    let engine = DnsEngine::new(&served.zones, Draw::From(index));
                    EngineResponder { engine, properties: properties() }.respond(&query, transport, &mut full);
                    full == fast
                });
                prop_assert!(is_said, "{fast:?}");
            } else {
                prop_assert_eq!(fast_rest, full_rest);
            }
            if has_all {
                prop_assert_eq!(fast_blocks, full_blocks);
            }
        } else {
            // With signatures, the sections that are not needed may not fit.
            let is_truncated = full[2] & 2 != 0 || is_signed && !is_tcp;
            prop_assert!(is_truncated || matches!(rtype, 16 | 255), "only a response that does not fit is declined");
        }
    }

    /// The engine answers all that the table answers, and nothing makes either of them panic.
    #[test]
    fn no_mutation_of_a_query_tells_the_two_apart(
        rtype in prop_oneof![Just(1_u16), Just(65)],
        opt in proptest::option::of((any::<u16>(), any::<bool>())),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in proptest::option::of(any::<prop::sample::Index>()),
        more in proptest::collection::vec(any::<u8>(), 0..12),
        signing in signings(),
    ) {
        let served = served(answer(&["192.0.2.1".parse().unwrap()], Order::Rotated, 8, Basis::Ready), signing);
        let mut query = [query(0x1234, 0x0100, 0, rtype, opt), more].concat();
        for (at, byte) in edits {
            let at = at.index(query.len());
            query[at] = byte;
        }
        if let Some(cut) = cut {
            query.truncate(cut.index(query.len()));
        }
        for transport in [DnsTransport::Udp, DnsTransport::Tcp] {
            let (mut fast, mut full) = (Vec::new(), Vec::new());
            let code = served.engine.respond(&query, transport, &mut full);
            if served.table.respond(&query, transport, &mut fast) {
                prop_assert_eq!(code, Some(ResponseCode::NoError));
                prop_assert_eq!(&fast, &full, "one address has one order");
            }
        }
    }
}
