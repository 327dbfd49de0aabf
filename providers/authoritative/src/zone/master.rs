//! Reads the static records of a zone from a master file (RFC 1035, section 5).

use hickory_proto::rr::{DNSClass, Name, RData, RecordType};
use hickory_proto::serialize::txt::{ParseError, Parser};

use crate::rrset::RrSet;
use crate::settings::MasterFile;
use crate::zone::ZoneError;
use crate::zone::error::display_name;
use crate::zone::include::{self, IncludeFault, SourceLine};

/// An `RRset` of a master file.
pub(super) struct FileRrSet {
    class: DNSClass,
    pub(super) name: Name,
    pub(super) set: RrSet,
}

/// Reads every `RRset` of the file, including its SOA. Appends an error for each that cannot be served.
pub(super) fn read(file: &MasterFile, zone: &Name, errors: &mut Vec<ZoneError>) -> Vec<FileRrSet> {
    let expanded = match include::expand(file) {
        Ok(expanded) => expanded,
        Err(IncludeFault { at: SourceLine { path, line }, error }) => {
            errors.push(ZoneError::Include { path: path.to_owned(), line, cause: error });
            return Vec::new();
        }
    };
    let mut sets = match parse(&expanded.text, zone) {
        Ok(sets) => sets,
        Err(cause) => {
            let source = line_of(&expanded.text, zone, &cause).and_then(|line| expanded.source(line));
            let path = source.map_or(file.path.as_path(), |source| source.path).to_owned();
            errors.push(ZoneError::Syntax { path, line: source.map(|source| source.line), cause });
            return Vec::new();
        }
    };
    sets.retain(|set| check(file, zone, set).map_err(|error| errors.push(error)).is_ok());
    sets
}

fn parse(text: &str, zone: &Name) -> Result<Vec<FileRrSet>, ParseError> {
    // Without a path the parser reads no other file.
    let (_, sets) = Parser::new(text, None, Some(zone.clone())).parse()?;
    let sets = sets.into_values().map(|set| {
        let data: Vec<RData> = set.records_without_rrsigs().map(|record| record.data.clone()).collect();
        FileRrSet {
            class: set.dns_class(),
            name: set.name().clone(),
            set: RrSet { rtype: set.record_type(), ttl: set.ttl(), data },
        }
    });
    Ok(sets.collect())
}

/// Finds the line of an error, which the parser does not report.
///
/// The parser stops at its first error. So every prefix of the text that includes the line fails with the same error, and a
/// binary search finds the shortest such prefix. A prefix that ends within parentheses fails too, but with another error.
fn line_of(text: &str, zone: &Name, error: &ParseError) -> Option<usize> {
    let line_ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at + 1).chain([text.len()]).collect();
    let message = error.to_string();
    let lines_before = line_ends.partition_point(|&end| {
        let prefix = parse(&text[..end], zone);
        prefix.is_ok() || prefix.is_err_and(|error| error.to_string() != message)
    });
    (lines_before < line_ends.len()).then_some(lines_before + 1)
}

/// Checks that an `RRset` can be served in the zone.
fn check(file: &MasterFile, zone: &Name, record: &FileRrSet) -> Result<(), ZoneError> {
    let rtype = record.set.rtype;
    let name = display_name(&record.name);
    if !zone.zone_of(&record.name) {
        return Err(ZoneError::RecordOutsideZone { path: file.path.clone(), zone: display_name(zone), name, rtype });
    }
    let reason = match rtype {
        _ if record.class != DNSClass::IN => "its class must be IN",
        RecordType::ANAME => "ANAME is not a DNS record type",
        RecordType::SOA if record.name != *zone => "only the zone's own name has an SOA record",
        RecordType::NS if record.name.is_wildcard() => "a wildcard cannot be delegated (RFC 4592, section 4.2)",
        _ => return Ok(()),
    };
    Err(ZoneError::UnsupportedRecord { path: file.path.clone(), name, rtype, reason })
}
