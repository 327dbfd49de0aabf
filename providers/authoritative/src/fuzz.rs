//! Fuzz targets: mutated datagrams, TCP streams and master files.
//!
//! `tests/fuzz/run` runs them for a time. Without it each runs over a few hundred inputs, as any other test. The corpus is in
//! `tests/fuzz/corpus`, a directory for each target; an input that fails is written there, and stays as a test.

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, fs};

use arc_swap::ArcSwap;
use daymark_connections::Activity;
use daymark_decision::{Basis, Order};
use hickory_proto::op::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use crate::counters::{DnsTransport, ResponseCounters};
use crate::dnssec::DenialOfExistence;
use crate::rate_limit::{RateLimitSettings, ResponseRateLimit};
use crate::responder::tests::{answer, properties, query, served, signing};
use crate::responder::{Responder, ServedState};
use crate::settings::{MasterFile, Nameserver, ZoneSettings};
use crate::tcp;
use crate::zone::Zone;

/// The inputs of a run that has no time.
const FEW_INPUTS: u64 = 300;
/// The longest input in bytes.
const MAX_BYTES: usize = 4096;

/// The directory of a target's corpus.
fn corpus(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus").join(target)
}

/// A number in the environment.
fn setting(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|error| panic!("{name}: {error}")))
}

/// Tries every input of the corpus, then mutations of them, for `FUZZ_SECONDS` or `FUZZ_INPUTS`.
fn fuzz(target: &str, seeds: Vec<Vec<u8>>, attempt: impl Fn(&[u8])) {
    let entries = fs::read_dir(corpus(target)).into_iter().flatten();
    let found = entries.map(|entry| fs::read(entry.unwrap().path()).unwrap());
    let seeds: Vec<Vec<u8>> = found.chain(seeds).collect();
    let seed = setting("FUZZ_SEED").unwrap_or_else(|| fastrand::u64(..));
    let mut rng = fastrand::Rng::with_seed(seed);
    let end = setting("FUZZ_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let inputs = setting("FUZZ_INPUTS").unwrap_or(if end.is_some() { u64::MAX } else { FEW_INPUTS });
    let mut count = 0;
    let attempt = |input: &[u8]| {
        let caught = panic::catch_unwind(AssertUnwindSafe(|| attempt(input)));
        if let Err(failure) = caught {
            let path = corpus(target).join(format!("failed-{seed:016x}"));
            fs::write(&path, input).unwrap();
            eprintln!("{target}: FUZZ_SEED={seed}; the input that failed is {}", path.display());
            panic::resume_unwind(failure);
        }
    };
    for input in &seeds {
        attempt(input);
    }
    while count < inputs && end.is_none_or(|end| count % 64 != 0 || Instant::now() < end) {
        attempt(&mutated(&seeds, &mut rng));
        count += 1;
    }
    println!("fuzz: {target}: {} inputs of the corpus and {count} mutations, without a failure", seeds.len());
}

/// A mutation of an input, sometimes with a part of another one.
fn mutated(seeds: &[Vec<u8>], rng: &mut fastrand::Rng) -> Vec<u8> {
    let mut input = seeds[rng.usize(..seeds.len())].clone();
    for _ in 0..=rng.usize(..6) {
        let at = rng.usize(..=input.len());
        let end = rng.usize(at..=input.len().min(at + 40));
        match rng.u8(..8) {
            0 => input.truncate(at),
            1 => input.insert(at, rng.u8(..)),
            2 => input.extend_from_within(at..end),
            3 => drop(input.drain(at..end)),
            4 => {
                let other = &seeds[rng.usize(..seeds.len())];
                let from = rng.usize(..=other.len());
                let part = other[from..rng.usize(from..=other.len().min(from + 60))].to_vec();
                input.splice(at..end, part);
            }
            5 => input[at..end].reverse(),
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = if rng.bool() { rng.u8(..) } else { *byte ^ (1 << rng.u8(..8)) };
                }
            }
        }
    }
    input.truncate(MAX_BYTES);
    input
}

/// An unsigned zone and two signed ones. Their pool has one address, so that table and engine have the same order.
fn states() -> [ServedState; 3] {
    [None, Some(DenialOfExistence::Nsec), Some(DenialOfExistence::Nsec3)].map(|denial| {
        let answer = answer(&["192.0.2.1".parse().unwrap()], Order::Rotated, 8, Basis::Ready);
        served(answer, denial.map(signing))
    })
}

/// Queries of every kind that a client sends.
fn queries() -> Vec<Vec<u8>> {
    let mut queries = Vec::new();
    for rtype in [1, 2, 6, 28, 43, 48, 65, 250, 251, 252, 255] {
        for opt in [None, Some((1232, false)), Some((4096, true))] {
            queries.push(query(0x1234, 0x0100, 0, rtype, opt));
        }
    }
    let mut below = query(7, 0, 0, 1, Some((512, true)));
    below.splice(12..12, *b"\x03www\x01*");
    queries.push(below);
    let options = [0, 3, 0, 0, 0, 11, 0, 0, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
    let mut with_options = query(8, 0, u32::MAX, 1, Some((1232, false)));
    let length = with_options.len();
    with_options[length - 1] = u8::try_from(options.len()).unwrap();
    queries.push([with_options, options.to_vec()].concat());
    queries
}

#[test]
fn a_mutated_datagram_gets_the_same_response_from_table_and_engine() {
    let states = states();
    fuzz("datagram", queries(), |query| {
        for served in &states {
            let (mut fast, mut full) = (Vec::new(), Vec::new());
            let code = served.engine.respond(query, DnsTransport::Udp, &mut full);
            if served.table.respond(query, DnsTransport::Udp, &mut fast) {
                assert!(code.is_some());
                assert_eq!(fast, full, "one address has one order");
            }
            if code.is_some() {
                assert_eq!(full[..2], query[..2], "the ID");
                assert!(full[2] & 0x80 != 0 && full.len() <= 1232);
                Message::from_vec(&full).expect("the response is a message");
            }
        }
    });
}

#[test]
fn a_mutated_stream_gets_the_response_to_each_of_its_queries() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let served = states().map(Arc::new);
    let responders = served.each_ref().map(|served| Responder {
        served: ArcSwap::new(Arc::clone(served)),
        counters: ResponseCounters::default(),
        rate_limit: ResponseRateLimit::new(RateLimitSettings::default(), Instant::now()),
    });
    let framed = |message: &[u8]| [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat();
    let queries: Vec<Vec<u8>> = queries().iter().map(|query| framed(query)).collect();
    let seeds = queries.iter().cloned().chain(queries.chunks(5).map(<[Vec<u8>]>::concat)).collect();
    fuzz("stream", seeds, |sent| {
        for (served, responder) in served.iter().zip(&responders) {
            let mut expected = Vec::new();
            let mut rest = sent;
            while let Some((length, body)) = rest.split_first_chunk::<2>() {
                let Some(query) = body.get(..usize::from(u16::from_be_bytes(*length))) else { break };
                let mut response = Vec::new();
                if served.respond(query, DnsTransport::Tcp, &mut response).is_none() {
                    break;
                }
                expected.extend(framed(&response));
                rest = &body[query.len()..];
            }
            let received = runtime.block_on(async {
                let (mut near, far) = tokio::io::duplex(1 << 20);
                near.write_all(sent).await.unwrap();
                near.shutdown().await.unwrap();
                let activity = Activity::new(tokio::time::Instant::now());
                // An incomplete query is an error, which closes the connection.
                let _ = tcp::serve_stream(far, responder, &activity, Duration::from_secs(1), &CancellationToken::new())
                    .await;
                let mut received = Vec::new();
                near.read_to_end(&mut received).await.unwrap();
                received
            });
            assert_eq!(received, expected);
        }
    });
}

/// The zone files that are compared with BIND.
fn zone_files() -> Vec<Vec<u8>> {
    let themes = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/zonefiles")).unwrap();
    let themes = themes.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let files = themes.flat_map(|theme| fs::read_dir(theme).unwrap()).map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "zone"))
        .map(|path| fs::read(path).unwrap())
        .collect()
}

#[test]
fn a_mutated_master_file_is_read_or_refused() {
    fuzz("zone", zone_files(), |text| {
        let text = String::from_utf8_lossy(text).into_owned();
        let settings = ZoneSettings {
            apex: "example.com".to_owned(),
            pools: Vec::new(),
            nameservers: vec![Nameserver { name: "ns.example.net".to_owned(), addresses: Vec::new() }],
            master_file: Some(MasterFile { path: PathBuf::from("zone.db"), text, included: BTreeMap::new() }),
            signing: None,
        };
        match Zone::build(&settings) {
            // Whatever is read can be served.
            Ok(zone) => drop(ServedState::new(&[Arc::new(zone)], None, &properties(), 0)),
            Err(errors) => assert!(!errors.to_string().is_empty()),
        }
    });
}
