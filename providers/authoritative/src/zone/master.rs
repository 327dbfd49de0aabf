//! Reads the static records of a zone from a master file (RFC 1035, section 5), as BIND reads it.
//!
//! The rules of owner, TTL, class and origin are here. [`rdata`] reads the data of each type.

use std::mem;

use domain::base::Name as DomainName;
use domain::base::iana::Rtype;
use hickory_proto::rr::{Name, RData, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, BinEncodable};

use crate::settings::MasterFile;
use crate::zone::ZoneError;
use crate::zone::error::display_name;
use crate::zone::generate::{self, Range};
use crate::zone::include::{IncludeError, Inclusions, file_name};
use crate::zone::lexer::{FileEntry, FileToken, Lexer};
use crate::zone::presentation::{self, ScannedName, duration};
use crate::zone::rdata;
use crate::zone::record_sets::{Added, FileRrSet, RecordSets};
use crate::zone::syntax::SyntaxError;

/// The most errors that are reported of one file. A wrong origin makes one of every record.
const MAX_ERRORS: usize = 100;

/// Reads every `RRset` of the file, including its SOA. Appends an error for each that cannot be served.
pub(super) fn read(file: &MasterFile, zone: &Name, errors: &mut Vec<ZoneError>) -> Vec<FileRrSet> {
    let mut reader = MasterFileReader {
        zone,
        inclusions: Inclusions::new(file),
        origin: scanned_name(zone),
        owner: None,
        default_ttl: None,
        last_ttl: None,
        run: 0,
        sets: RecordSets::default(),
        errors,
    };
    match reader.read_file(&file.text) {
        Ok(()) => reader.sets.sets,
        Err(error) => {
            errors.push(error);
            Vec::new()
        }
    }
}

/// A reading under way.
struct MasterFileReader<'a, 'e> {
    zone: &'a Name,
    inclusions: Inclusions<'a>,
    /// The origin of relative names.
    origin: ScannedName,
    /// The owner of the last record.
    owner: Option<ScannedName>,
    /// The TTL of `$TTL`, or the minimum of an SOA record without a TTL.
    default_ttl: Option<u32>,
    /// The TTL of the last record. Records have it if there is no default.
    last_ttl: Option<u32>,
    /// The number of the present run of records with the same owner.
    run: usize,
    sets: RecordSets,
    errors: &'e mut Vec<ZoneError>,
}

/// A record that is about to be added.
struct FileRecord {
    owner: ScannedName,
    ttl: u32,
    rtype: RecordType,
    data: RData,
    line: usize,
}

/// The error of one entry.
enum EntryFault {
    Syntax {
        line: usize,
        error: SyntaxError,
    },
    Include {
        line: usize,
        error: IncludeError,
    },
    /// The error of an included file, complete.
    Included(ZoneError),
}

impl<'a> MasterFileReader<'a, '_> {
    fn read_file(&mut self, text: &'a str) -> Result<(), ZoneError> {
        let path = self.inclusions.current();
        if text.starts_with('\u{feff}') {
            return Err(ZoneError::Syntax { path: path.to_owned(), line: 1, cause: SyntaxError::ByteOrderMark });
        }
        let mut lexer = Lexer::new(text);
        loop {
            let entry = lexer.next_entry().map_err(|fault| EntryFault::Syntax { line: fault.line, error: fault.error });
            let read = match entry {
                Ok(Some(entry)) => self.read_entry(&entry),
                Ok(None) => return Ok(()),
                Err(fault) => Err(fault),
            };
            read.map_err(|fault| match fault {
                EntryFault::Syntax { line, error } => ZoneError::Syntax { path: path.to_owned(), line, cause: error },
                EntryFault::Include { line, error } => ZoneError::Include { path: path.to_owned(), line, cause: error },
                EntryFault::Included(error) => error,
            })?;
        }
    }

    fn read_entry(&mut self, entry: &FileEntry<'a>) -> Result<(), EntryFault> {
        let first = entry.tokens[0];
        let line = first.line;
        let fault = |error| EntryFault::Syntax { line, error };
        if entry.starts_blank {
            let owner = self.owner.clone().ok_or_else(|| fault(SyntaxError::NoOwner))?;
            return self.read_record(owner, &entry.tokens, entry.end_line);
        }
        if first.raw.starts_with(b"$") {
            return self.read_directive(entry);
        }
        let owner = presentation::name(&first, &self.origin).map_err(fault)?;
        if self.owner.as_ref() != Some(&owner) {
            self.run += 1;
        }
        self.owner = Some(owner.clone());
        self.read_record(owner, &entry.tokens[1..], entry.end_line)
    }

    fn read_directive(&mut self, entry: &FileEntry<'a>) -> Result<(), EntryFault> {
        let [directive, arguments @ ..] = &entry.tokens[..] else { return Ok(()) };
        let line = entry.end_line;
        let ends_early = || EntryFault::Syntax { line, error: SyntaxError::EndsEarly };
        let argument = arguments.first();
        if directive.is("$INCLUDE") {
            return self.include(arguments, directive.line);
        }
        if directive.is("$GENERATE") {
            return self.generate(arguments, entry);
        }
        let at = |token: &FileToken<'_>| token.line;
        if directive.is("$DATE") {
            // A comment of BIND: the time at which it wrote the file.
            argument.ok_or_else(ends_early)?;
        } else if directive.is("$ORIGIN") {
            let token = argument.ok_or_else(ends_early)?;
            let name = presentation::name(token, &self.origin);
            self.origin = name.map_err(|error| EntryFault::Syntax { line: at(token), error })?;
        } else if directive.is("$TTL") {
            let token = argument.ok_or_else(ends_early)?;
            self.default_ttl = Some(ttl(token)?.ok_or_else(|| invalid_ttl(token))?);
        } else {
            let error = SyntaxError::UnknownDirective(directive.shown());
            return Err(EntryFault::Syntax { line: directive.line, error });
        }
        match arguments.get(1) {
            Some(token) => Err(EntryFault::Syntax { line: at(token), error: SyntaxError::TooMany(token.shown()) }),
            None => Ok(()),
        }
    }

    /// Reads an included file. Its origin and its owner end with it; its TTL does not.
    fn include(&mut self, arguments: &[FileToken<'a>], line: usize) -> Result<(), EntryFault> {
        let include_fault = |error| EntryFault::Include { line, error };
        let (name, origin) = match arguments {
            [name] => (name, None),
            [name, origin] => (name, Some(origin)),
            _ => return Err(include_fault(IncludeError::Malformed)),
        };
        let name = file_name(name).ok_or_else(|| include_fault(IncludeError::Malformed))?;
        let origin = match origin {
            Some(origin) => presentation::name(origin, &self.origin)
                .map_err(|error| EntryFault::Syntax { line: arguments[1].line, error })?,
            None => self.origin.clone(),
        };
        let text = self.inclusions.open(name).map_err(include_fault)?;
        let outer_origin = mem::replace(&mut self.origin, origin);
        let outer_owner = self.owner.clone();
        self.run += 1;
        self.read_file(text).map_err(EntryFault::Included)?;
        self.run += 1;
        self.inclusions.close();
        self.origin = outer_origin;
        self.owner = outer_owner;
        Ok(())
    }

    /// Reads the records of a `$GENERATE` line: a range, a template of the owner, TTL and class if wanted, a type and a template of
    /// the data.
    fn generate(&mut self, arguments: &[FileToken<'a>], entry: &FileEntry<'a>) -> Result<(), EntryFault> {
        let line = entry.end_line;
        let fault = |error| EntryFault::Syntax { line, error };
        let [range, owner, rest @ ..] = arguments else { return Err(fault(SyntaxError::EndsEarly)) };
        let header = RecordHeader::read(rest, line)?;
        let data = match &rest[header.length..] {
            [data] => data,
            [] => return Err(fault(SyntaxError::EndsEarly)),
            [_, more, ..] => return Err(fault(SyntaxError::TooMany(more.shown()))),
        };
        let numbers = Range::parse(range.raw).ok_or_else(|| fault(SyntaxError::InvalidRange(range.shown())))?.numbers();
        let header: String = rest[..header.length].iter().map(|token| token.shown() + " ").collect();
        for number in numbers {
            let expand = |token: &FileToken<'_>| {
                let template = token.shown();
                let expanded = generate::expand(&template, number);
                expanded.ok_or_else(|| fault(SyntaxError::InvalidTemplate(template)))
            };
            let text = format!("{} {header}{}", expand(owner)?, expand(data)?);
            let added = self.inclusions.add_bytes(text.len());
            added.ok_or(EntryFault::Include { line, error: IncludeError::TooLarge })?;
            self.run += 1;
            let generated = Lexer::new(&text).next_entry().map_err(|lexed| fault(lexed.error))?;
            let mut tokens = generated.map(|entry| entry.tokens).unwrap_or_default();
            for token in &mut tokens {
                token.line = line;
            }
            let Some((owner, rest)) = tokens.split_first() else { continue };
            let owner = presentation::name(owner, &self.origin).map_err(fault)?;
            self.read_record(owner, rest, line)?;
        }
        self.run += 1;
        Ok(())
    }

    /// Reads TTL, class, type and data. TTL and class are in any order.
    fn read_record(&mut self, owner: ScannedName, tokens: &[FileToken<'_>], end_line: usize) -> Result<(), EntryFault> {
        let header = RecordHeader::read(tokens, end_line)?;
        let line = tokens.first().map_or(end_line, |token| token.line);
        if header.ttl.is_some() {
            self.last_ttl = header.ttl;
        }
        let rtype = RecordType::from(header.rtype.to_int());
        if header.is_other_class {
            self.refuse(&hickory_name(&owner), rtype, line, "its class must be IN");
            return Ok(());
        }
        let data = rdata::read(header.rtype, &tokens[header.length..], &self.origin, end_line);
        let data = data.map_err(|fault| EntryFault::Syntax { line: fault.line, error: fault.error })?;
        let ttl = header.ttl.or(self.default_ttl).or(self.last_ttl).or_else(|| {
            // BIND takes the minimum of an SOA record without a TTL for it and for all records behind it.
            let RData::SOA(soa) = &data else { return None };
            self.default_ttl = Some(soa.minimum);
            self.default_ttl
        });
        let ttl = ttl.ok_or(EntryFault::Syntax { line, error: SyntaxError::NoTtl })?;
        let ttl = self.add(FileRecord { owner, ttl, rtype, data, line });
        self.last_ttl = self.last_ttl.map(|_| ttl);
        Ok(())
    }

    /// Adds a record that can be served. Returns its TTL, which can be that of the records before it.
    fn add(&mut self, record: FileRecord) -> u32 {
        let FileRecord { owner, ttl, rtype, data, line } = record;
        let name = hickory_name(&owner);
        if !self.zone.zone_of(&name) {
            let path = self.inclusions.current().to_owned();
            let zone = display_name(self.zone);
            self.report(ZoneError::RecordOutsideZone { path, line, zone, name: display_name(&name), rtype });
            return ttl;
        }
        if let Some(reason) = unsupported(rtype, &name, self.zone) {
            self.refuse(&name, rtype, line, reason);
            return ttl;
        }
        match self.sets.add(&name, rtype, ttl, data, self.run) {
            Added::Ttl(ttl) => ttl,
            Added::Conflict { rtype, reason } => {
                self.refuse(&name, rtype, line, reason);
                ttl
            }
        }
    }

    fn refuse(&mut self, name: &Name, rtype: RecordType, line: usize, reason: &'static str) {
        let path = self.inclusions.current().to_owned();
        self.report(ZoneError::UnsupportedRecord { path, line, name: display_name(name), rtype, reason });
    }

    fn report(&mut self, error: ZoneError) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(error);
        }
    }
}

/// The part of a record between its owner and its data.
struct RecordHeader {
    ttl: Option<u32>,
    is_other_class: bool,
    rtype: Rtype,
    /// The number of its tokens.
    length: usize,
}

impl RecordHeader {
    fn read(tokens: &[FileToken<'_>], end_line: usize) -> Result<Self, EntryFault> {
        let mut header_ttl = None;
        let mut class = None;
        for (index, token) in tokens.iter().enumerate() {
            let fault = |error| EntryFault::Syntax { line: token.line, error };
            if token.is_quoted {
                return Err(fault(SyntaxError::Quoted(token.shown())));
            }
            if class.is_none() {
                class = is_in(token);
                if class.is_some() {
                    continue;
                }
            }
            if header_ttl.is_none() {
                header_ttl = ttl(token)?;
                if header_ttl.is_some() {
                    continue;
                }
            }
            let rtype = rtype(token).map_err(fault)?;
            return Ok(Self { ttl: header_ttl, is_other_class: class == Some(false), rtype, length: index + 1 });
        }
        Err(EntryFault::Syntax { line: end_line, error: SyntaxError::EndsEarly })
    }
}

/// `true` for the class IN, `false` for another one. `None`: the word is not a class.
fn is_in(token: &FileToken<'_>) -> Option<bool> {
    if token.is("IN") || token.is("CLASS1") {
        return Some(true);
    }
    let is_numbered = token.raw.len() > 5
        && token.raw[..5].eq_ignore_ascii_case(b"CLASS")
        && token.raw[5..].iter().all(u8::is_ascii_digit);
    let is_known = ["CH", "CHAOS", "HS", "HESIOD", "ANY", "NONE"].iter().any(|class| token.is(class));
    (is_numbered || is_known).then_some(false)
}

/// The TTL of a word. `None`: it is not a duration.
fn ttl(token: &FileToken<'_>) -> Result<Option<u32>, EntryFault> {
    match duration(token.raw) {
        // RFC 2181, section 8.
        Some(seconds) if seconds > i32::MAX.unsigned_abs() => Err(invalid_ttl(token)),
        seconds => Ok(seconds),
    }
}

fn invalid_ttl(token: &FileToken<'_>) -> EntryFault {
    EntryFault::Syntax { line: token.line, error: SyntaxError::InvalidTtl(token.shown()) }
}

fn rtype(token: &FileToken<'_>) -> Result<Rtype, SyntaxError> {
    let rtype: Option<Rtype> = token.shown().to_ascii_uppercase().parse().ok();
    match rtype.map(Rtype::to_int) {
        None => Err(SyntaxError::UnknownType(token.shown())),
        // RFC 6895, section 3.1: OPT, and the types of questions.
        Some(0 | 41 | 128..=255) => Err(SyntaxError::MetaType(token.shown())),
        Some(number) => Ok(Rtype::from_int(number)),
    }
}

/// The reason against serving records of a type at a name.
fn unsupported(rtype: RecordType, name: &Name, zone: &Name) -> Option<&'static str> {
    let rtype = match rtype {
        RecordType::ANAME => return Some("ANAME is not a DNS record type"),
        RecordType::SOA if name != zone => return Some("only the zone's own name has an SOA record"),
        RecordType::NS if name.is_wildcard() => {
            return Some("a wildcard cannot be delegated (RFC 4592, section 4.2)");
        }
        RecordType::DS if name == zone => return Some("the DS records of the zone's own name are in the parent zone"),
        _ => Rtype::from_int(rtype.into()),
    };
    match rtype {
        Rtype::DNAME => Some("this server does not make the CNAME records of a DNAME (RFC 6672); write CNAME records"),
        Rtype::MD | Rtype::MF => Some("its type is obsolete; MX is allowed (RFC 1123, section 6.1.4.1)"),
        Rtype::RRSIG | Rtype::NSEC | Rtype::NSEC3 | Rtype::NSEC3PARAM | Rtype::SIG | Rtype::NXT => {
            Some("a file with signatures is not served; write the zone as it is before it is signed")
        }
        Rtype::CDS | Rtype::CDNSKEY => Some("it is made of the keys that sign the zone, so it cannot be in its file"),
        _ => None,
    }
}

/// A name as hickory has it.
fn hickory_name(name: &ScannedName) -> Name {
    Name::read(&mut BinDecoder::new(name.as_slice())).unwrap_or_default()
}

/// A name in wire format.
fn scanned_name(name: &Name) -> ScannedName {
    let wire = name.to_bytes().ok().and_then(|wire| DomainName::from_octets(wire).ok());
    wire.unwrap_or_else(DomainName::root_vec)
}
