//! The errors of zone settings. The operator can correct each of them.

use std::fmt;
use std::path::PathBuf;

use daymark_decision::{PoolName, quoted};
use domain::base::iana::Rtype;
use hickory_proto::ProtoError;
use hickory_proto::rr::{Name, RecordType};

use crate::zone::include::IncludeError;
use crate::zone::syntax::SyntaxError;

/// All errors of the zones.
#[derive(Debug, thiserror::Error)]
pub struct ZoneErrors(pub Vec<ZoneError>);

impl fmt::Display for ZoneErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if n == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

/// One error of a zone. The message includes the cause, because messages are joined into a list.
#[derive(Debug, thiserror::Error)]
pub enum ZoneError {
    /// A name is not a valid DNS name.
    #[error("{} is not a DNS name: {cause}", quoted(name))]
    InvalidName {
        /// The name in the settings.
        name: String,
        /// The error of the parser.
        cause: ProtoError,
    },
    /// A name is the root or has a wildcard label.
    #[error(
        "{} cannot be the name of a zone, a pool or a nameserver, because it is the root or has a wildcard",
        quoted(name)
    )]
    UnsuitableName {
        /// The name in the settings.
        name: String,
    },
    /// Two zones have the same apex.
    #[error("the zone {0} is listed twice; once is allowed")]
    DuplicateZone(String),
    /// A pool is listed twice, in one zone or in two.
    #[error("the pool {0} is listed twice; once is allowed")]
    DuplicatePool(PoolName),
    /// The name of a pool is not in its zone.
    #[error("the pool {pool} is not in the zone {zone}; its name must be {zone} or end in .{zone}")]
    PoolOutsideZone {
        /// The zone.
        zone: String,
        /// The pool.
        pool: PoolName,
    },
    /// A static record conflicts with the answer of a pool.
    #[error("the zone {zone} has a static {rtype} record at {pool}, which is a pool; remove the record or the pool")]
    StaticRecordAtPool {
        /// The zone.
        zone: String,
        /// The pool.
        pool: PoolName,
        /// The type of the record.
        rtype: RecordType,
    },
    /// The zone delegates the name of a pool.
    #[error(
        "the zone {zone} delegates {cut} to other nameservers, so the pool {pool} cannot be served; remove one of them"
    )]
    PoolDelegated {
        /// The zone.
        zone: String,
        /// The pool.
        pool: PoolName,
        /// The zone cut.
        cut: String,
    },
    /// The zone has no nameserver.
    #[error("the zone {0} has no nameserver; at least one is needed")]
    NoNameserver(String),
    /// A nameserver is listed twice.
    #[error("the nameserver {0} is listed twice; once is allowed")]
    DuplicateNameserver(String),
    /// A nameserver has the name of a pool.
    #[error("the nameserver {nameserver} of the zone {zone} has the name of a pool; it needs a name of its own")]
    NameserverIsPool {
        /// The zone.
        zone: String,
        /// The nameserver.
        nameserver: String,
    },
    /// A nameserver in the zone has no address.
    #[error("the nameserver {nameserver} has no address; one is needed because its name is in the zone {zone}")]
    NameserverWithoutAddress {
        /// The zone.
        zone: String,
        /// The nameserver.
        nameserver: String,
    },
    /// The master file has a syntax error.
    #[error("{}:{line}: {cause}", path.display())]
    Syntax {
        /// The path of the file with the line.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The error of the line.
        cause: SyntaxError,
    },
    /// The master file, or an included one, has an `$INCLUDE` line that cannot be used.
    #[error("{}:{line}: {cause}", path.display())]
    Include {
        /// The path of the file with the line.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The error of the line.
        cause: IncludeError,
    },
    /// The master file has a record that is not in the zone.
    #[error("{}:{line}: the {} record of {name} is not in the zone {zone}", .path.display(), type_name(*.rtype))]
    RecordOutsideZone {
        /// The path of the file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The zone.
        zone: String,
        /// The owner of the record.
        name: String,
        /// The type of the record.
        rtype: RecordType,
    },
    /// The master file has a record that this server does not serve.
    #[error("{}:{line}: the {} record of {name} cannot be served: {reason}", .path.display(), type_name(*.rtype))]
    UnsupportedRecord {
        /// The path of the file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The owner of the record.
        name: String,
        /// The type of the record.
        rtype: RecordType,
        /// The reason, as the rest of the message.
        reason: &'static str,
    },
}

/// A type in the form of errors. hickory has no names for some types.
fn type_name(rtype: RecordType) -> String {
    Rtype::from_int(rtype.into()).to_string()
}

/// A name in the form of errors: without the final dot.
pub(super) fn display_name(name: &Name) -> String {
    let mut text = name.to_ascii();
    if text.len() > 1 && text.ends_with('.') {
        text.pop();
    }
    text
}

#[cfg(test)]
mod tests {
    use daymark_decision::fixtures::{assert_is_plain_message, pool_name};

    use super::*;

    /// A sample of the variant after this one. A new variant does not compile until it has its place.
    fn next_error(error: &ZoneError) -> Option<ZoneError> {
        let text = || "kube-cp.com".to_owned();
        let path = || PathBuf::from("/etc/kube-cp.db");
        let pool = || pool_name("lb.kube-cp.com");
        let rtype = RecordType::A;
        Some(match error {
            ZoneError::InvalidName { .. } => ZoneError::UnsuitableName { name: text() },
            ZoneError::UnsuitableName { .. } => ZoneError::DuplicateZone(text()),
            ZoneError::DuplicateZone(_) => ZoneError::DuplicatePool(pool()),
            ZoneError::DuplicatePool(_) => ZoneError::PoolOutsideZone { zone: text(), pool: pool() },
            ZoneError::PoolOutsideZone { .. } => ZoneError::StaticRecordAtPool { zone: text(), pool: pool(), rtype },
            ZoneError::StaticRecordAtPool { .. } => {
                ZoneError::PoolDelegated { zone: text(), pool: pool(), cut: text() }
            }
            ZoneError::PoolDelegated { .. } => ZoneError::NoNameserver(text()),
            ZoneError::NoNameserver(_) => ZoneError::DuplicateNameserver(text()),
            ZoneError::DuplicateNameserver(_) => ZoneError::NameserverIsPool { zone: text(), nameserver: text() },
            ZoneError::NameserverIsPool { .. } => {
                ZoneError::NameserverWithoutAddress { zone: text(), nameserver: text() }
            }
            ZoneError::NameserverWithoutAddress { .. } => {
                ZoneError::Syntax { path: path(), line: 1, cause: SyntaxError::EndsEarly }
            }
            ZoneError::Syntax { .. } => ZoneError::Include { path: path(), line: 1, cause: IncludeError::TooMany },
            ZoneError::Include { .. } => {
                ZoneError::RecordOutsideZone { path: path(), line: 1, zone: text(), name: text(), rtype }
            }
            ZoneError::RecordOutsideZone { .. } => ZoneError::UnsupportedRecord {
                path: path(),
                line: 1,
                name: text(),
                rtype,
                reason: "its class must be IN",
            },
            ZoneError::UnsupportedRecord { .. } => return None,
        })
    }

    fn next_include_error(error: &IncludeError) -> Option<IncludeError> {
        let path = || PathBuf::from("/etc/kube-cp.db");
        Some(match error {
            IncludeError::Malformed => IncludeError::NotRead(path()),
            IncludeError::NotRead(_) => IncludeError::Circle(path()),
            IncludeError::Circle(_) => IncludeError::TooMany,
            IncludeError::TooMany => IncludeError::TooLarge,
            IncludeError::TooLarge => return None,
        })
    }

    #[test]
    fn every_error_of_a_zone_is_a_sentence() {
        let cause = Name::from_ascii("a..b").unwrap_err();
        let first = ZoneError::InvalidName { name: "a..b".to_owned(), cause };
        let errors = std::iter::successors(Some(first), next_error);
        assert_eq!(errors.map(|error| assert_is_plain_message(&error.to_string())).count(), 15);
        let errors = std::iter::successors(Some(IncludeError::Malformed), next_include_error);
        assert_eq!(errors.map(|error| assert_is_plain_message(&error.to_string())).count(), 5);
    }
}
