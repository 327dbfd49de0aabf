//! What is wrong between this host and another, in words. It does not know how that is found.

use daymark_decision::{HostName, PoolName};
use serde::{Deserialize, Serialize};

/// What is wrong with another host, as this one sees it; mostly a mistake in the configuration of one of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "complaint", rename_all = "kebab-case")]
pub enum Complaint {
    /// What comes from its address is sealed with a key that is not known here.
    Key,
    /// What comes from its address is sealed with a known key, for another cluster or another host.
    Addressee,
    /// What comes from its address is not as this version of Daymark says it.
    Version,
    /// What comes from its address bears the name of another host.
    Name {
        /// That name.
        called: HostName,
    },
    /// It bears this host's name, or sends from this host's address.
    OwnName,
    /// It speaks, and is no member here.
    Stranger,
    /// It has other members.
    Members {
        /// Members here that it does not have.
        lacks: Vec<HostName>,
        /// Members there that this host does not have.
        adds: Vec<HostName>,
    },
    /// It has another configuration of a pool.
    Configuration {
        /// The pool.
        pool: PoolName,
    },
    /// Its address is a name that leads nowhere.
    Unresolved {
        /// The name and why, as a sentence.
        why: String,
    },
}

impl Complaint {
    /// A short name for it, such as a metric needs.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Addressee => "addressee",
            Self::Version => "version",
            Self::Name { .. } => "name",
            Self::OwnName => "own-name",
            Self::Stranger => "stranger",
            Self::Members { .. } => "members",
            Self::Configuration { .. } => "configuration",
            Self::Unresolved { .. } => "unresolved",
        }
    }

    /// What is wrong with the host, and what to compare, as a sentence.
    pub fn sentence(&self, host: &HostName) -> String {
        match self {
            Self::Key => format!(
                "what comes from the address of host {host} is sealed with a key that is not in the key file here; compare \
                 `peers.keyFile` of both hosts"
            ),
            Self::Addressee => format!(
                "what comes from the address of host {host} is meant for another cluster or another host; compare `cluster`, \
                 `self` and `members` of both hosts"
            ),
            Self::Version => format!(
                "what comes from the address of host {host} is of another version of Daymark, or of something else; compare \
                 `daymark --version` of both hosts"
            ),
            Self::Name { called } => format!(
                "what comes from the address of host {host} calls itself {called}; every host needs a name of its own: compare \
                 `self` (or --self, DAYMARK_SELF) of both hosts"
            ),
            Self::OwnName => format!(
                "another host bears the name {host} of this host, or sends from its address; every host needs a name of its own: \
                 compare `self` (or --self, DAYMARK_SELF) of all hosts"
            ),
            Self::Stranger => {
                format!("{host} speaks, and is not among the members here; compare `members` of both hosts")
            }
            Self::Members { lacks, adds } => format!(
                "host {host} has another list of `members` than this host: {}",
                [("without", lacks), ("with", adds)]
                    .into_iter()
                    .filter(|(_, hosts)| !hosts.is_empty())
                    .map(|(how, hosts)| format!("{how} {}", names(hosts)))
                    .collect::<Vec<_>>()
                    .join(", and ")
            ),
            Self::Configuration { pool } => format!("host {host} has another configuration of {pool} than this host"),
            Self::Unresolved { why } => format!("{why}; until it is, host {host} is not reached by it"),
        }
    }
}

fn names(hosts: &[HostName]) -> String {
    hosts.iter().map(HostName::as_str).collect::<Vec<_>>().join(", ")
}
