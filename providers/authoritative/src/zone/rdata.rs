//! Reads the data of records. The `domain` crate knows the forms of most types; the rest are lists of fields or have a module.
//!
//! The data goes to hickory as bytes. Types that hickory does not know, or would write otherwise, stay bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use domain::base::iana::Rtype;
use domain::base::name::ParsedName;
use domain::base::rdata::{ComposeRecordData, ParseRecordData};
use domain::base::scan::Scanner;
use domain::dep::octseq::Parser;
use domain::rdata::ZoneRecordData;
use domain::rdata::dnssec::RtypeBitmap;
use domain::utils::{base16, base64};
use hickory_proto::rr::rdata::NULL;
use hickory_proto::rr::{RData, RecordType};
use hickory_proto::serialize::binary::{BinDecoder, BinEncodable, BinEncoder, NameEncoding, Restrict};

use crate::zone::lexer::FileToken;
use crate::zone::mnemonics::{ALGORITHMS, CERTIFICATES, DIGESTS, Mnemonic};
use crate::zone::presentation::{ScannedName, duration, octets};
use crate::zone::scanner::{DataScanner, ScanError, U16_EXPECTED, scan_text, value};
use crate::zone::syntax::SyntaxError;
use crate::zone::{location, svcb};

/// A field of the data of a type.
#[derive(Clone, Copy)]
enum Field {
    U8,
    U16,
    U32,
    /// 32 bits of seconds, with units if wanted.
    Duration,
    Name,
    Ipv4,
    Ipv6,
    /// A text of at most 255 bytes.
    Text,
    /// One text or more, to the end.
    Texts,
    /// Bytes without a length, to the end of the data.
    Octets,
    /// Hexadecimal digits, to the end.
    Hex,
    /// Base64, to the end.
    Base64,
    /// Types of records, to the end.
    Types,
    /// A number of 8 bits or its word.
    Word8(&'static [Mnemonic]),
    /// A number of 16 bits or its word.
    Word16(&'static [Mnemonic]),
    /// Bytes in hexadecimal digits, with a separator between groups of digits.
    Groups {
        bytes: usize,
        digits: usize,
        separator: char,
    },
}

/// The fields of the usual types, and of those that `domain` does not read or reads otherwise than BIND (SOA: durations with units;
/// DS: words for numbers).
fn fields(rtype: Rtype) -> Option<&'static [Field]> {
    use Field::{
        Base64, Duration, Groups, Hex, Ipv4, Ipv6, Name, Octets, Text, Texts, Types, U8, U16, U32, Word8, Word16,
    };
    Some(match rtype {
        Rtype::A => &[Ipv4],
        Rtype::AAAA => &[Ipv6],
        Rtype::NS | Rtype::CNAME | Rtype::PTR => &[Name],
        Rtype::SRV => &[U16, U16, U16, Name],
        Rtype::SOA => &[Name, Name, U32, Duration, Duration, Duration, Duration],
        Rtype::MX | Rtype::AFSDB | Rtype::RT | Rtype::KX | Rtype::LP => &[U16, Name],
        Rtype::PX => &[U16, Name, Name],
        Rtype::TXT | Rtype::SPF | Rtype::NINFO | Rtype::AVC | Rtype::ISDN => &[Texts],
        Rtype::X25 => &[Text],
        Rtype::GPOS => &[Text, Text, Text],
        Rtype::URI => &[U16, U16, Octets],
        Rtype::SMIMEA => &[U8, U8, U8, Hex],
        Rtype::CERT => &[Word16(CERTIFICATES), U16, Word8(ALGORITHMS), Base64],
        Rtype::DS | Rtype::CDS | Rtype::DLV => &[U16, Word8(ALGORITHMS), Word8(DIGESTS), Hex],
        Rtype::DNSKEY | Rtype::CDNSKEY => &[U16, U8, Word8(ALGORITHMS), Base64],
        Rtype::CSYNC => &[U32, U16, Types],
        Rtype::DHCID => &[Base64],
        Rtype::L32 => &[U16, Ipv4],
        Rtype::NID | Rtype::L64 => &[U16, Groups { bytes: 8, digits: 4, separator: ':' }],
        Rtype::EUI48 => &[Groups { bytes: 6, digits: 2, separator: '-' }],
        Rtype::EUI64 => &[Groups { bytes: 8, digits: 2, separator: '-' }],
        _ => return None,
    })
}

/// The types with texts in their data. Elsewhere quotation marks are an error, as in BIND.
fn has_texts(rtype: Rtype) -> bool {
    let texts =
        |fields: &[Field]| fields.iter().any(|field| matches!(field, Field::Text | Field::Texts | Field::Octets));
    matches!(rtype, Rtype::CAA | Rtype::HINFO | Rtype::NAPTR | Rtype::SVCB | Rtype::HTTPS)
        || fields(rtype).is_some_and(texts)
}

/// An error of the data, and the line of the token that has it.
pub(super) struct DataFault {
    pub(super) line: usize,
    pub(super) error: SyntaxError,
}

/// Reads the data of a record. `end_line` is the line of errors behind the last token.
pub(super) fn read(
    rtype: Rtype,
    tokens: &[FileToken<'_>],
    origin: &ScannedName,
    end_line: usize,
) -> Result<RData, DataFault> {
    let mut scanner = DataScanner::new(tokens, origin);
    let result = scan(rtype, &mut scanner);
    let line = match &result {
        Err(ScanError::Syntax(SyntaxError::EndsEarly)) => end_line,
        _ => scanner.last().map_or(end_line, |token| token.line),
    };
    result.map_err(|error| {
        let error = match error {
            ScanError::Cause("decimal number overflow") => {
                SyntaxError::InvalidData { rtype: rtype.to_string(), cause: "a number is too large for its field" }
            }
            ScanError::Cause(cause) => SyntaxError::InvalidData { rtype: rtype.to_string(), cause },
            ScanError::Syntax(error) => error,
        };
        DataFault { line, error }
    })
}

fn scan(rtype: Rtype, scanner: &mut DataScanner<'_>) -> Result<RData, ScanError> {
    let record_type = RecordType::from(rtype.to_int());
    if scanner.scan_opt_unknown_marker()? {
        let wire = opaque(scanner)?;
        let is_valid = is_data_of(rtype, &wire);
        let data = validated(record_type, &wire).filter(|_| is_valid);
        return data.ok_or_else(|| SyntaxError::InvalidBytes(rtype.to_string()).into());
    }
    if let Some(token) = scanner.tokens().iter().find(|token| token.is_quoted && !has_texts(rtype)) {
        return Err(SyntaxError::Quoted(token.shown()).into());
    }
    if let Some(token) = scanner.peek().filter(|token| rtype == Rtype::NS && is_address(token)) {
        let expected = "the name of a server; a name is allowed here, and its address in an A or AAAA record";
        return Err(SyntaxError::InvalidValue { found: token.shown(), expected }.into());
    }
    let mut wire = Vec::new();
    match (rtype, fields(rtype)) {
        (Rtype::LOC, _) => location::scan(scanner, &mut wire)?,
        (Rtype::SVCB | Rtype::HTTPS, _) => svcb::scan(scanner, &mut wire)?,
        (_, Some(fields)) => fields.iter().try_for_each(|&field| scan_field(field, scanner, &mut wire))?,
        (_, None) => {
            let data = ZoneRecordData::scan(rtype, scanner).map_err(|error| match error {
                ScanError::Cause("unknown record type with concrete data") => {
                    SyntaxError::OpaqueType(rtype.to_string()).into()
                }
                error => error,
            })?;
            data.compose_rdata(&mut wire).map_err(|_| SyntaxError::LongData)?;
        }
    }
    if scanner.continues() {
        return Err(SyntaxError::TooMany(scanner.token()?.shown()).into());
    }
    if matches!(rtype, Rtype::DS | Rtype::CDS) && !has_digest_length(&wire) {
        return Err(ScanError::Cause("the digest does not have the length of its type"));
    }
    if wire.len() > usize::from(u16::MAX) {
        return Err(SyntaxError::LongData.into());
    }
    Ok(validated(record_type, &wire).unwrap_or_else(|| unknown(record_type, wire)))
}

/// Returns `true` if a token is an IP address, which would be read as a name.
fn is_address(token: &FileToken<'_>) -> bool {
    let text = str::from_utf8(token.raw).unwrap_or_default();
    text.strip_suffix('.').unwrap_or(text).parse::<IpAddr>().is_ok()
}

/// Returns `true` if the digest of a DS record has the length of its type (RFC 4034, 4509 and 6605).
fn has_digest_length(wire: &[u8]) -> bool {
    match wire {
        [_, _, _, 1, digest @ ..] => digest.len() == 20,
        [_, _, _, 2 | 3, digest @ ..] => digest.len() == 32,
        [_, _, _, 4, digest @ ..] => digest.len() == 48,
        _ => true,
    }
}

/// Returns `true` if bytes are data of a type, without pointers to names elsewhere. Bytes of a type that `domain` does not know are.
fn is_data_of(rtype: Rtype, wire: &[u8]) -> bool {
    match rtype {
        Rtype::LOC if wire.len() != 16 => return false,
        Rtype::TXT | Rtype::SPF if wire.is_empty() => return false,
        _ => {}
    }
    let mut parser = Parser::from_ref(wire);
    let data = ZoneRecordData::<&[u8], ParsedName<&[u8]>>::parse_rdata(rtype, &mut parser);
    let mut written = Vec::with_capacity(wire.len());
    match data {
        Ok(Some(data)) => data.compose_rdata(&mut written).is_ok() && written == wire,
        Ok(None) | Err(_) => false,
    }
}

/// The data in the form of hickory. It stays bytes if hickory would write other bytes. `None`: it is not of this type.
fn validated(rtype: RecordType, wire: &[u8]) -> Option<RData> {
    let mut decoder = BinDecoder::new(wire);
    let length = Restrict::new(u16::try_from(wire.len()).ok()?);
    let data = RData::read(&mut decoder, rtype, length).ok().filter(|_| decoder.is_empty())?;
    let mut written = Vec::with_capacity(wire.len());
    let mut encoder = BinEncoder::new(&mut written);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    let is_same = data.emit(&mut encoder).is_ok() && written == wire;
    Some(if is_same { data } else { unknown(rtype, wire.to_vec()) })
}

fn unknown(code: RecordType, wire: Vec<u8>) -> RData {
    RData::Unknown { code, rdata: NULL::with(wire) }
}

/// The bytes behind `\#` (RFC 3597, section 5).
fn opaque(scanner: &mut DataScanner<'_>) -> Result<Vec<u8>, ScanError> {
    let length: u16 = value(scanner, U16_EXPECTED)?;
    let bytes = scanner.convert_entry(base16::SymbolConverter::new())?;
    if bytes.len() == usize::from(length) {
        return Ok(bytes);
    }
    Err(ScanError::Cause("the length behind \\# is not the number of its bytes"))
}

fn scan_field(field: Field, scanner: &mut DataScanner<'_>, wire: &mut Vec<u8>) -> Result<(), ScanError> {
    match field {
        Field::U8 => wire.push(value(scanner, "a number from 0 to 255")?),
        Field::U16 => wire.extend(value::<u16>(scanner, U16_EXPECTED)?.to_be_bytes()),
        Field::U32 => wire.extend(value::<u32>(scanner, "a number from 0 to 4294967295")?.to_be_bytes()),
        Field::Duration => {
            let token = scanner.token()?;
            let expected = "a duration; seconds are allowed, or units such as 1h30m";
            let seconds = duration(token.raw);
            let seconds = seconds.ok_or(SyntaxError::InvalidValue { found: token.shown(), expected })?;
            wire.extend(seconds.to_be_bytes());
        }
        Field::Name => wire.extend(scanner.scan_name()?.as_slice()),
        Field::Ipv4 => {
            wire.extend(value::<Ipv4Addr>(scanner, "an IPv4 address such as 192.0.2.1")?.octets());
        }
        Field::Ipv6 => {
            wire.extend(value::<Ipv6Addr>(scanner, "an IPv6 address such as 2001:db8::1")?.octets());
        }
        Field::Text => scan_text(scanner, wire)?,
        Field::Texts => {
            scan_text(scanner, wire)?;
            while scanner.continues() {
                scan_text(scanner, wire)?;
            }
        }
        Field::Octets => {
            let token = scanner.token()?;
            if !token.is_quoted {
                let expected = "a text in quotation marks; only such a text is allowed here";
                return Err(SyntaxError::InvalidValue { found: token.shown(), expected }.into());
            }
            wire.extend(octets(token)?);
        }
        Field::Types => wire.extend(RtypeBitmap::scan(scanner)?.as_octets()),
        Field::Word8(words) => {
            let number = scan_word(words, scanner)?;
            wire.push(u8::try_from(number).map_err(|_| ScanError::Cause("a number is above 255"))?);
        }
        Field::Word16(words) => wire.extend(scan_word(words, scanner)?.to_be_bytes()),
        Field::Hex => wire.extend(scanner.convert_entry(base16::SymbolConverter::new())?),
        Field::Base64 => wire.extend(scanner.convert_entry(base64::SymbolConverter::new())?),
        Field::Groups { bytes, digits, separator } => {
            let token = scanner.token()?;
            let expected = "an identifier; hexadecimal digits in groups of the usual size are allowed";
            let value = groups(&token.shown(), bytes, digits, separator);
            wire.extend(value.ok_or(SyntaxError::InvalidValue { found: token.shown(), expected })?);
        }
    }
    Ok(())
}

fn scan_word(words: &[Mnemonic], scanner: &mut DataScanner<'_>) -> Result<u16, ScanError> {
    let known = scanner.peek().and_then(|token| words.iter().find(|mnemonic| token.is(mnemonic.word)));
    match known {
        Some(mnemonic) => scanner.token().map(|_| mnemonic.number),
        None => value(scanner, U16_EXPECTED),
    }
}

/// The bytes of an identifier in groups of hexadecimal digits. A group of an even width may leave out its leading zeros if it is
/// wider than a byte.
fn groups(text: &str, bytes: usize, digits: usize, separator: char) -> Option<Vec<u8>> {
    let mut value = Vec::with_capacity(bytes);
    for group in text.split(separator) {
        let is_sized = if digits == 2 { group.len() == 2 } else { (1..=digits).contains(&group.len()) };
        if !is_sized || !group.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let number = u16::from_str_radix(group, 16).ok()?.to_be_bytes();
        value.extend_from_slice(&number[2 - digits / 2..]);
    }
    (value.len() == bytes).then_some(value)
}
