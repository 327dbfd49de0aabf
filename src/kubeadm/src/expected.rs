//! The cluster that is expected, and the judgement of a file against it.

use std::net::IpAddr;

use daymark_decision::{NodeName, PoolName};

use super::KubeadmFile;
use super::api::{KubeadmApi, KubeadmVersion};
use super::position::Located;
use super::slip::{Slip, SlipKind};
use super::{cert_sans, endpoint};

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

impl KubeadmFile {
    /// All slips of the file, in its order: its own ([`KubeadmFile::slips`]), and those against the expected cluster.
    ///
    /// Without a known release of kubeadm, an API is too old if no kubeadm that can install the `kubernetesVersion` reads it.
    pub fn judge(&self, expected: &ExpectedCluster) -> Vec<Slip> {
        let mut slips = self.slips.clone();
        slips.extend(endpoint::compare(self, expected));
        slips.extend(self.cluster.iter().flat_map(|cluster| cert_sans::compare(cluster, expected)));
        let apis = [self.cluster.as_ref().map(|cluster| &cluster.api), self.init.as_ref().map(|init| &init.api)];
        for api in apis.into_iter().flatten().flatten() {
            slips.extend(self.api_fault(api, expected.kubeadm).map(|kind| Slip::new(api.position, kind)));
        }
        slips.sort_by_key(|slip| slip.position);
        slips
    }

    fn api_fault(&self, api: &Located<KubeadmApi>, kubeadm: Option<KubeadmVersion>) -> Option<SlipKind> {
        let api = api.value;
        let readers = api.readers();
        let newest = KubeadmApi::newest_of(kubeadm);
        // kubeadm installs Kubernetes of its own minor release and of the one before, so it is not older than that.
        let kubernetes = self.cluster.as_ref().and_then(|cluster| cluster.kubernetes_version.as_ref());
        let oldest = kubeadm.or_else(|| kubernetes.and_then(|version| version.value.parse().ok()))?;
        if let Some(last) = readers.last.filter(|last| oldest.minor > *last) {
            let newest = KubeadmApi::newest_of(Some(KubeadmVersion { minor: last }));
            return Some(SlipKind::NoLongerRead { api, kubeadm: oldest, last, newest });
        }
        let kubeadm = kubeadm?;
        if kubeadm.minor < readers.first {
            return Some(SlipKind::NotReadYet { api, kubeadm, first: readers.first, newest });
        }
        readers.deprecated.filter(|deprecated| kubeadm.minor >= *deprecated).map(|_| SlipKind::Deprecated {
            api,
            kubeadm,
            newest,
        })
    }
}
