//! The mismatches between this host and another, with their sentences. It does not know how they are detected.

use daymark_decision::{HostName, PoolName};
use serde::{Deserialize, Serialize};

/// A mismatch with another host, mostly a mistake in the configuration of one of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "mismatch", rename_all = "camelCase")]
pub enum PeerMismatch {
    /// Datagrams from its address are sealed with a key that this host does not have.
    Key,
    /// Datagrams from its address are for another cluster or another host.
    Addressee,
    /// Datagrams from its address have the format of another version of Daymark.
    Version,
    /// Datagrams from its address carry the name of another host.
    Name {
        /// The name in the datagrams.
        name: HostName,
    },
    /// It has this host's name, or sends from this host's address.
    IdentityConflict,
    /// It sends datagrams, and is no member here.
    UnknownPeer,
    /// It has another list of members.
    Members {
        /// Members here that it does not have.
        missing: Vec<HostName>,
        /// Members there that this host does not have.
        extra: Vec<HostName>,
    },
    /// It has another configuration of a pool.
    Configuration {
        /// The pool.
        pool: PoolName,
    },
    /// Its address is a name that does not resolve.
    Unresolved {
        /// The name and the error, as a sentence.
        error: String,
    },
}

impl PeerMismatch {
    /// The label of the mismatch in metrics and logs, the same as in JSON.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Addressee => "addressee",
            Self::Version => "version",
            Self::Name { .. } => "name",
            Self::IdentityConflict => "identityConflict",
            Self::UnknownPeer => "unknownPeer",
            Self::Members { .. } => "members",
            Self::Configuration { .. } => "configuration",
            Self::Unresolved { .. } => "unresolved",
        }
    }

    /// The mismatch and the settings to compare, as a sentence.
    pub fn message(&self, host: &HostName) -> String {
        match self {
            Self::Key => format!(
                "host {host}: its datagrams are sealed with a key that is not in the key file here; compare `peers.keyFile` \
                 of both hosts"
            ),
            Self::Addressee => format!(
                "host {host}: its datagrams are for another cluster or another host; compare `cluster`, `self` and `members` \
                 of both hosts"
            ),
            Self::Version => format!(
                "host {host}: its datagrams are from another version of Daymark, or from something else; compare \
                 `daymark --version` of both hosts"
            ),
            Self::Name { name } => format!(
                "host {host}: the host at its address calls itself {name}, but every host needs its own name; compare \
                 `self` (or --self, DAYMARK_SELF) of both hosts"
            ),
            Self::IdentityConflict => format!(
                "host {host}: another host has this host's name or sends from its address, but every host needs its \
                 own name; compare `self` (or --self, DAYMARK_SELF) of all hosts"
            ),
            Self::UnknownPeer => {
                format!("host {host}: it sends datagrams, but it is not a member here; compare `members` of both hosts")
            }
            Self::Members { missing, extra } => format!(
                "host {host}: its list of `members` differs from this host's: {}",
                [("without", missing), ("with", extra)]
                    .into_iter()
                    .filter(|(_, hosts)| !hosts.is_empty())
                    .map(|(preposition, hosts)| format!("{preposition} {}", names(hosts)))
                    .collect::<Vec<_>>()
                    .join(", and ")
            ),
            Self::Configuration { pool } => {
                format!("host {host}: its configuration of {pool} differs from this host's")
            }
            Self::Unresolved { error } => {
                format!("host {host}: {error}; it is unreachable by this name until it resolves")
            }
        }
    }
}

fn names(hosts: &[HostName]) -> String {
    hosts.iter().map(HostName::as_str).collect::<Vec<_>>().join(", ")
}
