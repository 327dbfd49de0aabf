//! Reads the static records of a zone from a master file (RFC 1035, section 5).

use hickory_proto::rr::{DNSClass, Name, RData, RecordType};
use hickory_proto::serialize::txt::{ParseError, Parser};

use crate::records::RrSet;
use crate::settings::MasterFile;
use crate::zone::ZoneError;
use crate::zone::error::shown;

/// Every set of records of the file, its SOA included. What cannot be served is an error, all of them at once.
pub(super) fn read(file: &MasterFile, zone: &Name, errors: &mut Vec<ZoneError>) -> Vec<(Name, RrSet)> {
    let sets = match parse(file, zone, &file.text) {
        Ok(sets) => sets,
        Err(cause) => {
            let line = line_of(file, zone, &cause);
            errors.push(ZoneError::Master { path: file.path.clone(), line, cause });
            return Vec::new();
        }
    };
    sets.into_iter().filter(|set| admit(file, zone, set, errors)).map(|(_, name, set)| (name, set)).collect()
}

/// A set with its class and its name.
type Parsed = (DNSClass, Name, RrSet);

fn parse(file: &MasterFile, zone: &Name, text: &str) -> Result<Vec<Parsed>, ParseError> {
    let (_, sets) = Parser::new(text, Some(file.path.clone()), Some(zone.clone())).parse()?;
    let sets = sets.into_values().map(|set| {
        let data: Vec<RData> = set.records_without_rrsigs().map(|record| record.data.clone()).collect();
        (set.dns_class(), set.name().clone(), RrSet { rtype: set.record_type(), ttl: set.ttl(), data })
    });
    Ok(sets.collect())
}

/// The line that the parser stopped at, which it does not tell: the first after which the text up to there fails in the
/// same way. The parser stops at its first error, so from that line on every longer text fails so, and a search by halves
/// finds it. The text up to a line within parentheses fails too, but otherwise.
fn line_of(file: &MasterFile, zone: &Name, error: &ParseError) -> Option<usize> {
    let ends: Vec<usize> = file.text.match_indices('\n').map(|(at, _)| at + 1).chain([file.text.len()]).collect();
    let error = error.to_string();
    let fails = |end: usize| parse(file, zone, &file.text[..end]).is_err_and(|of| of.to_string() == error);
    let before = ends.partition_point(|&end| !fails(end));
    (before < ends.len()).then_some(before + 1)
}

/// Whether a set can be served in the zone.
fn admit(file: &MasterFile, zone: &Name, (class, name, set): &Parsed, errors: &mut Vec<ZoneError>) -> bool {
    let rtype = set.rtype;
    let unfit = |why| ZoneError::RecordUnfit { path: file.path.clone(), name: shown(name), rtype, why };
    let error = match rtype {
        _ if !zone.zone_of(name) => {
            ZoneError::RecordOutside { path: file.path.clone(), zone: shown(zone), name: shown(name), rtype }
        }
        _ if *class != DNSClass::IN => unfit("its class is not IN"),
        RecordType::ANAME => unfit("ANAME is no type of the DNS"),
        RecordType::SOA if name != zone => unfit("only the zone's own name has an SOA record"),
        RecordType::NS if name.is_wildcard() => unfit("a wildcard cannot be delegated (RFC 4592, section 4.2)"),
        _ => return true,
    };
    errors.push(error);
    false
}
