//! The data of SVCB and HTTPS records (RFC 9460, section 2.1 and appendix A).

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use domain::base::scan::Scanner;
use domain::utils::base64;

use crate::zone::lexer::FileToken;
use crate::zone::presentation::octets;
use crate::zone::scanner::{DataScanner, ScanError, U16_EXPECTED, value};
use crate::zone::syntax::SyntaxError;

/// The registered keys, each at its number.
const KEYS: [&str; 9] =
    ["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath", "ohttp"];
const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;

/// Appends the data of an SVCB or HTTPS record. Parameters are in the order of their keys.
pub(super) fn scan(scanner: &mut DataScanner<'_>, wire: &mut Vec<u8>) -> Result<(), ScanError> {
    wire.extend(value::<u16>(scanner, U16_EXPECTED)?.to_be_bytes());
    wire.extend(scanner.scan_name()?.as_slice());
    let mut params = BTreeMap::new();
    while scanner.continues() {
        let token = scanner.token()?;
        let end = token.raw.iter().position(|&byte| byte == b'=').unwrap_or(token.raw.len());
        let name = &token.raw[..end];
        let key = key(name).ok_or_else(|| invalid(token, "a parameter; a registered key or keyN is allowed"))?;
        let value = match (scanner.joined(), token.raw.get(end + 1..)) {
            (Some(quoted), Some(b"")) => Some(octets(quoted)?),
            (Some(quoted), _) => return Err(invalid(quoted, "a parameter; a key is needed, and = before a value")),
            (None, Some(raw)) => Some(octets(&FileToken { raw, ..*token })?),
            (None, None) => None,
        };
        let is_generic = name.eq_ignore_ascii_case(format!("key{key}").as_bytes());
        let value = if is_generic { value } else { encode(key, value.as_deref()) };
        let value = match value {
            Some(value) => value,
            None if is_generic => Vec::new(),
            None => return Err(invalid(token, "a parameter with a value of the form of its key (RFC 9460)")),
        };
        if params.insert(key, value).is_some() {
            return Err(invalid(token, "a new parameter; each key is allowed once"));
        }
    }
    check(&params)?;
    for (key, value) in params {
        let length = u16::try_from(value.len()).map_err(|_| SyntaxError::LongData)?;
        wire.extend(key.to_be_bytes());
        wire.extend(length.to_be_bytes());
        wire.extend(value);
    }
    Ok(())
}

fn invalid(token: &FileToken<'_>, expected: &'static str) -> ScanError {
    SyntaxError::InvalidValue { found: token.shown(), expected }.into()
}

/// Checks the rules between parameters (RFC 9460, sections 7.1.1 and 8).
fn check(params: &BTreeMap<u16, Vec<u8>>) -> Result<(), ScanError> {
    if params.contains_key(&NO_DEFAULT_ALPN) && !params.contains_key(&ALPN) {
        return Err(ScanError::Cause("no-default-alpn needs the parameter alpn"));
    }
    let mandatory = params.get(&MANDATORY).map(Vec::as_slice).unwrap_or_default();
    let is_there = |key: &[u8]| key.try_into().is_ok_and(|key| params.contains_key(&u16::from_be_bytes(key)));
    if mandatory.chunks(2).all(is_there) {
        return Ok(());
    }
    Err(ScanError::Cause("each mandatory key needs its parameter"))
}

fn key(name: &[u8]) -> Option<u16> {
    let name = str::from_utf8(name).ok()?.to_ascii_lowercase();
    if let Some(number) = KEYS.iter().position(|key| *key == name) {
        return u16::try_from(number).ok();
    }
    let digits = name.strip_prefix("key")?;
    let number: u16 = digits.parse().ok()?;
    (number.to_string() == digits).then_some(number)
}

/// The bytes of a value in the form of its key. `None`: it does not have this form.
fn encode(key: u16, value: Option<&[u8]>) -> Option<Vec<u8>> {
    match (KEYS.get(usize::from(key)).copied(), value) {
        (Some("no-default-alpn" | "ohttp"), None) => Some(Vec::new()),
        (_, None) | (Some("no-default-alpn" | "ohttp"), Some(_)) => None,
        (Some("mandatory"), Some(value)) => mandatory(value),
        (Some("alpn"), Some(value)) => alpn(value),
        (Some("port"), Some(value)) => parsed(value).map(|port: u16| port.to_be_bytes().to_vec()),
        (Some("ipv4hint"), Some(value)) => list(value, |address: Ipv4Addr| address.octets()),
        (Some("ipv6hint"), Some(value)) => list(value, |address: Ipv6Addr| address.octets()),
        (Some("ech"), Some(value)) => {
            base64::decode(str::from_utf8(value).ok()?).ok().filter(|ech: &Vec<u8>| !ech.is_empty())
        }
        (Some("dohpath"), Some(value)) => {
            let path = str::from_utf8(value).ok()?;
            (path.starts_with('/') && path.contains("{?dns}")).then(|| value.to_vec())
        }
        (_, Some(value)) => Some(value.to_vec()),
    }
}

fn parsed<T: FromStr>(value: &[u8]) -> Option<T> {
    str::from_utf8(value).ok()?.parse().ok()
}

fn list<T: FromStr, const N: usize>(value: &[u8], bytes: impl Fn(T) -> [u8; N]) -> Option<Vec<u8>> {
    let items = value.split(|&byte| byte == b',').map(|item| parsed(item).map(&bytes));
    items.collect::<Option<Vec<[u8; N]>>>().map(|items| items.concat())
}

/// A list of keys, sorted. None may be twice, and `mandatory` itself may not be in it.
fn mandatory(value: &[u8]) -> Option<Vec<u8>> {
    let mut keys = value.split(|&byte| byte == b',').map(key).collect::<Option<Vec<u16>>>()?;
    keys.sort_unstable();
    let is_valid = !keys.contains(&MANDATORY) && keys.windows(2).all(|pair| pair[0] != pair[1]);
    is_valid.then(|| keys.into_iter().flat_map(u16::to_be_bytes).collect())
}

/// A list of protocols. In it a backslash escapes a comma and a backslash (appendix A.1).
fn alpn(value: &[u8]) -> Option<Vec<u8>> {
    let mut items = vec![Vec::new()];
    let mut bytes = value.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b',' => items.push(Vec::new()),
            b'\\' => items.last_mut()?.push(bytes.next()?),
            _ => items.last_mut()?.push(byte),
        }
    }
    let mut wire = Vec::with_capacity(value.len() + 1);
    for item in items {
        wire.push(u8::try_from(item.len()).ok().filter(|&length| length > 0)?);
        wire.extend(item);
    }
    Some(wire)
}
