//! The targets of the probes, and their grades.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::name::{NodeName, PoolName};

/// One node of one pool. Operators override nodes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeKey {
    /// The pool.
    pub pool: PoolName,
    /// The node.
    pub node: NodeName,
}

/// One address of one node of one pool. Probes go to targets, and answers hold them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Target {
    /// The pool.
    pub pool: PoolName,
    /// The node.
    pub node: NodeName,
    /// The address of the node.
    pub address: IpAddr,
}

impl Target {
    /// Its node.
    pub fn node_key(&self) -> NodeKey {
        NodeKey { pool: self.pool.clone(), node: self.node.clone() }
    }

    /// The family of its address.
    pub const fn family(&self) -> Family {
        Family::of(self.address)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.node, self.address)
    }
}

/// The family of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4, in A records.
    Ipv4,
    /// IPv6, in AAAA records.
    Ipv6,
}

impl Family {
    /// Both families.
    pub const ALL: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    /// The family of an address.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }

    /// The family as a JSON value and metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        })
    }
}

/// The usability of a target; a better grade is greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// No verdict yet.
    #[default]
    Unknown,
    /// No TCP, no TLS, a wrong identity or no answer.
    Down,
    /// A valid TLS session and an HTTP answer other than 200.
    Live,
    /// `/readyz` answered 200.
    Ready,
}

impl Grade {
    /// Every grade, from the worst to the best.
    pub const ALL: [Self; 4] = [Self::Unknown, Self::Down, Self::Live, Self::Ready];

    /// The grade as text, JSON value and metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Down => "down",
            Self::Live => "live",
            Self::Ready => "ready",
        }
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
