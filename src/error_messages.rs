//! Goes over the variants of the errors and outcomes that reach a person: none shows a text of `Debug`.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;

use daymark_authoritative::{DnsTransport, SocketError, ZoneError};
use daymark_decision::fixtures::{self, node_name, pool_name};
use daymark_decision::{Family, HostName, Kind, Moment, NodeName, PoolName, Refusal};
use daymark_files::{FileError, SecretFileError, TokenError};
use daymark_gossip::KeyRingError;
use daymark_resolver::LookupFailure;

use crate::manifest::NoManifest;
use crate::state::LockError;

/// The words in camel case that operators know: units, and a kind of Kubernetes.
const KNOWN: [&str; 3] = ["MiB", "KiB", "AuthenticationConfiguration"];

fn path() -> PathBuf {
    PathBuf::from("/etc/daymark/file")
}

fn text() -> String {
    "kube-cp.com".to_owned()
}

fn refusal() -> io::Error {
    io::Error::from_raw_os_error(libc::EIO)
}

fn outcomes() -> Vec<Kind> {
    let mut kinds = fixtures::kinds();
    kinds.push(Kind::LocalError { detail: refusal().to_string() });
    kinds
}

fn refusals() -> Vec<Refusal> {
    let pool = pool_name("lb.example.org");
    let node = node_name("cp-1");
    let last_usable = |family| Refusal::LastUsable { pool: pool.clone(), node: node.clone(), family };
    vec![
        Refusal::Starting { until: Moment::default() },
        Refusal::TooManyChanges,
        Refusal::UnknownPool { pool: text(), known: vec![pool.clone()] },
        Refusal::UnknownNode { pool: pool.clone(), node: text(), known: vec![node.clone()] },
        Refusal::NoOverride { pool: pool.clone(), node: node.clone() },
        Refusal::Expired { until: Moment::default() },
        Refusal::LastUndrained { pool: pool.clone(), node: node.clone() },
        last_usable(None),
        last_usable(Some(Family::Ipv6)),
    ]
}

fn file_errors() -> Vec<FileError> {
    vec![
        FileError::Missing(path()),
        FileError::Unreadable { path: path(), error: refusal() },
        FileError::NotRegular(path()),
        FileError::TooLarge(path()),
        FileError::Pem {
            path: path(),
            error: rustls::pki_types::pem::Error::MissingSectionEnd { end_marker: b"-----END".to_vec() },
        },
        FileError::NoCertificate(path()),
        FileError::NoPrivateKey(path()),
        FileError::EncryptedKey(path()),
        FileError::EmptyToken(path()),
        FileError::NotAToken(path()),
    ]
}

fn secret_errors() -> Vec<SecretFileError<KeyRingError>> {
    vec![
        SecretFileError::Read { path: path(), source: refusal() },
        SecretFileError::NotRegular(path()),
        SecretFileError::Open(path()),
        SecretFileError::TooLong(path()),
        SecretFileError::Content { path: path(), source: KeyRingError::Empty },
    ]
}

fn socket_errors() -> impl Iterator<Item = SocketError> {
    let codes = [libc::EADDRINUSE, libc::EACCES, libc::EADDRNOTAVAIL, libc::EAFNOSUPPORT, libc::EIO];
    let error = |code| {
        let address = ([192, 0, 2, 1], 53).into();
        SocketError::new(address, DnsTransport::Udp, io::Error::from_raw_os_error(code))
    };
    codes.into_iter().map(error)
}

fn zone_errors() -> Vec<ZoneError> {
    let pool = pool_name("lb.example.org");
    vec![
        ZoneError::UnsuitableName { name: text() },
        ZoneError::DuplicateZone(text()),
        ZoneError::DuplicatePool(pool.clone()),
        ZoneError::PoolOutsideZone { zone: text(), pool: pool.clone() },
        ZoneError::PoolDelegated { zone: text(), pool, cut: text() },
        ZoneError::NoNameserver(text()),
        ZoneError::DuplicateNameserver(text()),
        ZoneError::NameserverIsPool { zone: text(), nameserver: text() },
        ZoneError::NameserverWithoutAddress { zone: text(), nameserver: text() },
    ]
}

fn lookup_failures() -> Vec<LookupFailure> {
    vec![
        LookupFailure::MalformedName,
        LookupFailure::NoSuchName,
        LookupFailure::NoAddresses,
        LookupFailure::Timeout,
        LookupFailure::NoConnections,
        LookupFailure::Network(refusal().to_string()),
        LookupFailure::Refused,
        LookupFailure::ServerFailure,
        LookupFailure::ResponseCode(9),
        LookupFailure::InvalidResponse,
        LookupFailure::Busy,
        LookupFailure::Other,
    ]
}

/// The texts of the errors that have few variants.
fn others() -> Vec<String> {
    let line = 2;
    let keys = [
        KeyRingError::Empty,
        KeyRingError::NotAKey { line },
        KeyRingError::NotRandom { line },
        KeyRingError::TooMany { line },
    ];
    let manifests =
        [NoManifest::Variable(0), NoManifest::Relative(path()), NoManifest::Hiding(path()), NoManifest::Image(text())];
    let locks = [LockError::InUse { dir: path(), by: text() }, LockError::Failed { dir: path(), source: refusal() }];
    let names = [
        HostName::new("a\u{7f}\"b").unwrap_err(),
        PoolName::new("a_b").unwrap_err(),
        PoolName::new("192.0.2.1").unwrap_err(),
        NodeName::new("it's a \"b\"").unwrap_err(),
    ];
    let durations = ["", "5", "5x", "1ms", "9999h"].map(|text| daymark_config::duration(text).unwrap_err());
    let mut texts = messages(keys);
    texts.extend(messages(durations));
    texts.extend(messages(manifests));
    texts.extend(messages(locks));
    texts.extend(messages(names));
    texts.extend(messages([TokenError::Empty, TokenError::NotAWord]));
    texts
}

fn messages(errors: impl IntoIterator<Item: Display>) -> Vec<String> {
    errors.into_iter().map(|error| error.to_string()).collect()
}

/// The first sign of `Debug` in a message: braces, escaped quotes, or a name in camel case, as of a type or a variant.
fn debug_in(message: &str) -> Option<String> {
    let is_camel = |word: &&str| {
        let follows_lower = word.chars().zip(word.chars().skip(1));
        word.starts_with(|c: char| c.is_ascii_uppercase())
            && !KNOWN.contains(word)
            && follows_lower.into_iter().any(|(one, next)| one.is_ascii_lowercase() && next.is_ascii_uppercase())
    };
    let signs = ["{ ", "\\\"", "\\'", "Some(", "None", "Error(", "Err("];
    let sign = signs.iter().find(|sign| message.contains(**sign)).map(|sign| (*sign).to_owned());
    sign.or_else(|| message.split(|c: char| !c.is_ascii_alphanumeric()).find(is_camel).map(str::to_owned))
}

#[test]
fn no_message_of_an_error_or_an_outcome_shows_a_text_of_debug() {
    let mut all = messages(outcomes());
    all.extend(messages(refusals()));
    all.extend(messages(file_errors()));
    all.extend(messages(secret_errors()));
    all.extend(messages(socket_errors()));
    all.extend(messages(zone_errors()));
    all.extend(messages(lookup_failures()));
    all.extend(others());
    for message in all {
        assert!(!message.is_empty());
        assert_eq!(debug_in(&message), None, "{message}");
    }
}

#[test]
fn a_text_of_debug_is_recognised() {
    for text in
        ["Other(OtherError(CaUsedAsEndEntity))", "UnsupportedSignatureAlgorithmContext { id: 1 }", "a \\\"b\\\""]
    {
        assert!(debug_in(text).is_some(), "{text}");
    }
}
