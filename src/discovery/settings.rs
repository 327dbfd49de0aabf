//! Where the nodes of a pool are looked for, and how slowly they leave.

use std::fmt;
use std::time::Duration;

/// Where the nodes of a pool are looked for, as the configuration says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What is asked for.
    pub source: Source,
    /// From one list to the next.
    pub interval: Duration,
    /// For how long an address must be missing from every list before it leaves, and how long after the last one that left.
    pub shrink_pause: Duration,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The Nodes with these labels, by one kind of their addresses.
    Nodes {
        /// A label selector, in Kubernetes' words.
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
    /// From outside.
    External,
}

impl AddressType {
    /// Kubernetes' word for it (`core/v1/types.go`, `NodeAddressType`).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "InternalIP",
            Self::External => "ExternalIP",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nodes { selector, address_type } => {
                write!(f, "the {} of Nodes with the label {selector}", address_type.as_str())
            }
            Self::Endpoints => f.write_str("the endpoints of the Service kubernetes"),
        }
    }
}
