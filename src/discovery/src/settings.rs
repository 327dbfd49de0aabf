//! The settings of discovery for one pool.

use std::fmt;
use std::time::Duration;

/// The settings of discovery for one pool, as the configuration gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoverySettings {
    /// The objects of Kubernetes that are listed.
    pub source: DiscoverySource,
    /// The time from one list to the next.
    pub interval: Duration,
    /// The time for which an address must be missing from every list before it leaves, and the time after the last one that left.
    pub shrink_pause: Duration,
}

/// The objects of Kubernetes that are listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiscoverySource {
    /// The Nodes with these labels, by one kind of their addresses.
    Nodes {
        /// A label selector, in the syntax of Kubernetes.
        selector: String,
        /// The kind of addresses.
        address_type: AddressType,
    },
    /// The endpoints of the Service `kubernetes` in the namespace `default`, which the apiservers keep themselves.
    Endpoints,
}

/// A kind of the addresses of a Node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressType {
    /// Inside the network of the cluster.
    Internal,
    /// Outside the network of the cluster.
    External,
}

impl AddressType {
    /// The name of it in Kubernetes (`core/v1/types.go`, `NodeAddressType`).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "InternalIP",
            Self::External => "ExternalIP",
        }
    }
}

impl fmt::Display for DiscoverySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nodes { selector, address_type } => {
                write!(f, "the {} of Nodes with the label {selector}", address_type.as_str())
            }
            Self::Endpoints => f.write_str("the endpoints of the Service kubernetes"),
        }
    }
}
