//! What can be wrong with a zone. All of it is for the operator to mend.

use std::fmt;
use std::path::PathBuf;

use daymark_decision::PoolName;
use hickory_proto::ProtoError;
use hickory_proto::rr::{Name, RecordType};
use hickory_proto::serialize::txt::ParseError;

/// Everything that is wrong with the zones.
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

/// One thing that is wrong with a zone. It says its cause itself, since it stands in a list.
#[derive(Debug, thiserror::Error)]
pub enum ZoneError {
    /// A name cannot be one.
    #[error("{name:?} is not a DNS name: {cause}")]
    Name {
        /// As given.
        name: String,
        /// What is wrong with it.
        cause: ProtoError,
    },
    /// A name can be one, but not here.
    #[error("{name:?} cannot be the name of a zone, a pool or a nameserver")]
    NameUnfit {
        /// As given.
        name: String,
    },
    /// Two zones have one name.
    #[error("the zone {0} is given twice")]
    ZoneTwice(String),
    /// A pool is given twice, in one zone or in two.
    #[error("the pool {0} is given twice")]
    PoolTwice(PoolName),
    /// A pool's name lies elsewhere.
    #[error("the pool {pool} is not in the zone {zone}")]
    PoolOutside {
        /// The zone.
        zone: String,
        /// The pool.
        pool: PoolName,
    },
    /// A static record stands where the answer of a pool goes.
    #[error("the name {pool} is a pool, so the zone {zone} cannot have a static {rtype} record there")]
    PoolTaken {
        /// The zone.
        zone: String,
        /// The pool.
        pool: PoolName,
        /// The type of the record.
        rtype: RecordType,
    },
    /// The zone delegates the pool's name to other servers.
    #[error("the pool {pool} is below {cut}, which the zone {zone} delegates to other servers")]
    PoolDelegated {
        /// The zone.
        zone: String,
        /// The pool.
        pool: PoolName,
        /// Where the delegation stands.
        cut: String,
    },
    /// The zone has no server.
    #[error("the zone {0} has no nameserver")]
    NoNameserver(String),
    /// A nameserver is given twice, and with it its addresses.
    #[error("the nameserver {0} is given twice")]
    NameserverTwice(String),
    /// A nameserver has a pool's name, whose addresses are those of the pool.
    #[error("the nameserver {nameserver} of the zone {zone} has the name of a pool")]
    NameserverIsPool {
        /// The zone.
        zone: String,
        /// The nameserver.
        nameserver: String,
    },
    /// A nameserver in the zone cannot be found.
    #[error("the nameserver {nameserver} is in its own zone {zone} and has no address")]
    NameserverWithoutAddress {
        /// The zone.
        zone: String,
        /// The nameserver.
        nameserver: String,
    },
    /// The master file cannot be read.
    #[error("{}{}: {cause}", .path.display(), Line(*.line))]
    Master {
        /// Where it was read.
        path: PathBuf,
        /// The line, counted from 1, where it can be told.
        line: Option<usize>,
        /// What is wrong there.
        cause: ParseError,
    },
    /// The master file has a record of another zone.
    #[error("{}: the {rtype} record of {name} is not in the zone {zone}", .path.display())]
    RecordOutside {
        /// Where it was read.
        path: PathBuf,
        /// The zone.
        zone: String,
        /// The name of the record.
        name: String,
        /// Its type.
        rtype: RecordType,
    },
    /// The master file has a record that this server does not serve.
    #[error("{}: the {rtype} record of {name} cannot be served: {why}", .path.display())]
    RecordUnfit {
        /// Where it was read.
        path: PathBuf,
        /// The name of the record.
        name: String,
        /// Its type.
        rtype: RecordType,
        /// Why not.
        why: &'static str,
    },
}

/// A name as errors say it: without the final dot, as the operator wrote it.
pub(super) fn shown(name: &Name) -> String {
    let mut text = name.to_ascii();
    if text.len() > 1 && text.ends_with('.') {
        text.pop();
    }
    text
}

/// The end of a place in a file.
struct Line(Option<usize>);

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(line) => write!(f, ":{line}"),
            None => Ok(()),
        }
    }
}
