//! The slips of a file that show only against the expected cluster.

use super::api::{KubeadmApi, KubeadmVersion};
use super::documents::KubeadmFile;
use super::expected::ExpectedCluster;
use super::position::WithPosition;
use super::slip::{Slip, SlipKind};
use super::{cert_sans, endpoint};

impl KubeadmFile {
    /// All slips of the file, in its order: its own ([`KubeadmFile::slips`]), and those against the expected cluster.
    ///
    /// Without a known release of kubeadm, an API is too old if no kubeadm that can install the `kubernetesVersion` reads it.
    pub fn judge(&self, expected: &ExpectedCluster) -> Vec<Slip> {
        let mut slips = self.slips.clone();
        if let Some(cluster) = &self.cluster {
            slips.extend(endpoint::compare(cluster, self.init.as_ref(), expected));
            slips.extend(cert_sans::compare(cluster, expected));
        }
        slips.extend(self.init.as_ref().and_then(|init| endpoint::compare_bind_port(init, expected)));
        let apis = [self.cluster.as_ref().map(|cluster| &cluster.api), self.init.as_ref().map(|init| &init.api)];
        for api in apis.into_iter().flatten().flatten() {
            slips.extend(self.api_fault(api, expected.kubeadm).map(|kind| Slip::new(api.position, kind)));
        }
        slips.sort_by_key(|slip| slip.position);
        slips
    }

    fn api_fault(&self, api: &WithPosition<KubeadmApi>, kubeadm: Option<KubeadmVersion>) -> Option<SlipKind> {
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
