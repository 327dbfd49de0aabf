//! The cluster that is expected. It does not know the files.

use std::net::IpAddr;

use daymark_decision::{NodeName, PoolName};

use super::api::KubeadmVersion;

/// The cluster as Daymark's configuration has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedCluster {
    /// The name of the pool.
    pub name: PoolName,
    /// The port of the pool.
    pub port: u16,
    /// The nodes of the control plane.
    pub nodes: Vec<ExpectedNode>,
    /// The release of kubeadm that reads the file, if it is known.
    pub kubeadm: Option<KubeadmVersion>,
}

/// A node of the control plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedNode {
    /// Its name.
    pub name: NodeName,
    /// Its addresses, of both families.
    pub addresses: Vec<IpAddr>,
}
