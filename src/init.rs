//! The files of a new setup, and the steps that are left to the operator. It writes nothing, and knows no command line.

mod cluster_info;
mod configuration;
mod next_steps;
mod parent_zone;
mod source;

use std::fmt;
use std::net::{AddrParseError, IpAddr};
use std::path::PathBuf;
use std::str::FromStr;

pub use self::cluster_info::cluster_info;
pub use self::source::{ClusterSource, SourceCa};

/// The name of the configuration file in the directory of a setup.
pub const CONFIG_NAME: &str = "daymark.yaml";
/// The name of the file with the gossip key.
pub const KEY_NAME: &str = "gossip.key";
/// The name of the file with a CA that was given by its content.
pub const CA_NAME: &str = "ca.crt";
/// The port of kubeadm's apiservers.
pub const APISERVER_PORT: u16 = 6443;

/// A setup to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSetup {
    /// The name of the pool, which clients resolve.
    pub pool: PoolEndpoint,
    /// The control-plane nodes.
    pub nodes: Vec<NamedAddresses>,
    /// The CA of the apiservers' certificates.
    pub ca: PathBuf,
    /// The way in which the answers are published.
    pub publishing: Publishing,
}

/// The way in which a setup publishes its answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Publishing {
    /// These hosts serve the zone of the pool. Several decide together.
    Hosts(Vec<NamedAddresses>),
    /// Records of this zone at Cloudflare.
    Cloudflare {
        /// The name of the zone.
        zone: String,
    },
}

/// The name and the port at which clients reach the apiservers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolEndpoint {
    /// The DNS name, without a dot at its end.
    pub name: String,
    /// The TCP port.
    pub port: u16,
}

/// A node or a host, and its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedAddresses {
    /// The name.
    pub name: String,
    /// At least one address.
    pub addresses: Vec<IpAddr>,
}

/// The hosts of a setup, as one text such as `dns-1=192.0.2.11,2001:db8::11,dns-2=192.0.2.12`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostList(pub Vec<NamedAddresses>);

/// A text that is no pool, node or host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupTextError {
    /// A node or host has no address.
    #[error("{0:?} has no address; NAME=ADDRESS[,ADDRESS] is needed, such as kube-cp-1=10.10.1.1")]
    NoAddress(String),
    /// An address cannot be read.
    #[error("{name}: {text:?} is not an IP address")]
    NotAnAddress {
        /// The name of the node or host.
        name: String,
        /// The text in place of the address.
        text: String,
        /// The cause.
        source: AddrParseError,
    },
    /// A name has characters that no DNS name has.
    #[error("{0:?} is not a name; letters, digits, hyphens and dots are allowed")]
    NotAName(String),
    /// The port of a pool cannot be read.
    #[error("{0:?} is not a port; a whole number from 1 to 65535 is allowed")]
    NotAPort(String),
    /// The name of a pool has one label, so no parent zone can delegate it.
    #[error("{0:?} has a single label; a name in a zone is needed, such as lb.kube-cp.com")]
    SingleLabel(String),
}

impl NewSetup {
    /// The hosts that serve the zone. Empty if another system publishes.
    pub fn hosts(&self) -> &[NamedAddresses] {
        match &self.publishing {
            Publishing::Hosts(hosts) => hosts,
            Publishing::Cloudflare { .. } => &[],
        }
    }

    /// True if several hosts decide together, which need a gossip key.
    pub fn needs_key(&self) -> bool {
        self.hosts().len() > 1
    }

    /// The zone that delegates the name of the pool.
    fn parent(&self) -> &str {
        self.pool.name.split_once('.').map_or("", |(_, parent)| parent)
    }

    /// The name of a host as a nameserver: a name without a dot is in the parent zone.
    fn nameserver(&self, host: &NamedAddresses) -> String {
        if host.name.contains('.') { host.name.clone() } else { format!("{}.{}", host.name, self.parent()) }
    }
}

impl FromStr for PoolEndpoint {
    type Err = SetupTextError;

    fn from_str(text: &str) -> Result<Self, SetupTextError> {
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) => {
                let parsed = port.parse().ok().filter(|port| *port != 0);
                (name, parsed.ok_or_else(|| SetupTextError::NotAPort(port.to_owned()))?)
            }
            None => (text, APISERVER_PORT),
        };
        let name = checked_name(name.trim_end_matches('.'))?;
        if !name.contains('.') {
            return Err(SetupTextError::SingleLabel(name));
        }
        Ok(Self { name, port })
    }
}

impl fmt::Display for PoolEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.port)
    }
}

impl FromStr for NamedAddresses {
    type Err = SetupTextError;

    fn from_str(text: &str) -> Result<Self, SetupTextError> {
        let (name, addresses) = text.split_once('=').ok_or_else(|| SetupTextError::NoAddress(text.to_owned()))?;
        let name = checked_name(name)?;
        let parse = |text: &str| {
            text.parse().map_err(|source| SetupTextError::NotAnAddress {
                name: name.clone(),
                text: text.to_owned(),
                source,
            })
        };
        let addresses = addresses.split(',').map(parse).collect::<Result<_, _>>()?;
        Ok(Self { name, addresses })
    }
}

impl FromStr for HostList {
    type Err = SetupTextError;

    fn from_str(text: &str) -> Result<Self, SetupTextError> {
        let mut hosts: Vec<String> = Vec::new();
        for part in text.split(',') {
            match hosts.last_mut() {
                // A further address of the same host.
                Some(host) if !part.contains('=') => *host = format!("{host},{part}"),
                _ => hosts.push(part.to_owned()),
            }
        }
        Ok(Self(hosts.iter().map(|host| host.parse()).collect::<Result<_, _>>()?))
    }
}

/// A name that YAML and a zone file can have as it is. The configuration itself says more of it.
fn checked_name(name: &str) -> Result<String, SetupTextError> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if name.is_empty() || !name.chars().all(is_of_name) {
        return Err(SetupTextError::NotAName(name.to_owned()));
    }
    Ok(name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests;
