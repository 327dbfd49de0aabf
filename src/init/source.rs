//! A file that says something of the cluster already: a configuration of kubeadm, or a kubeconfig.

use std::path::{Path, PathBuf};

use daymark_decision::{NodeName, PoolName};
use daymark_kubeadm::{
    ClusterConfiguration, ExpectedCluster, ExpectedNode, KubeadmFile, Kubeconfig, KubeconfigCa, KubeconfigError,
    Severity, Slip,
};

use super::{NamedAddresses, NewSetup, PoolEndpoint};

/// The cluster as a file has it.
#[derive(Debug, Default)]
pub struct ClusterSource {
    /// The endpoint, if it is a name.
    pub pool: Option<PoolEndpoint>,
    /// The nodes that the file names, at most the first one.
    pub nodes: Vec<NamedAddresses>,
    /// The CA of the apiservers, if the file has it.
    pub ca: Option<SourceCa>,
    /// The file of kubeadm.
    kubeadm: Option<KubeadmFile>,
}

/// A CA that a file names or holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceCa {
    /// The path of a PEM file.
    File(PathBuf),
    /// The certificates as PEM.
    Pem(Vec<u8>),
}

impl ClusterSource {
    /// Reads the text of a file. The paths in it are relative to `dir`.
    pub fn read(text: &str, dir: &Path) -> Result<Self, KubeconfigError> {
        if Kubeconfig::is_meant_by(text) {
            return Ok(Self::of_kubeconfig(Kubeconfig::read(text)?, dir));
        }
        let file = KubeadmFile::read(text);
        let pool =
            file.endpoint().map(|endpoint| PoolEndpoint { name: endpoint.name.to_string(), port: endpoint.port });
        Ok(Self { pool, nodes: first_node(&file).into_iter().collect(), ca: None, kubeadm: Some(file) })
    }

    fn of_kubeconfig(kubeconfig: Kubeconfig, dir: &Path) -> Self {
        let Kubeconfig { host, port, ca, .. } = kubeconfig;
        let is_name = PoolName::new(&host).is_ok() && host.contains('.');
        let ca = ca.map(|ca| match ca {
            KubeconfigCa::Pem(pem) => SourceCa::Pem(pem),
            KubeconfigCa::File(path) => SourceCa::File(dir.join(path)),
        });
        Self { pool: is_name.then_some(PoolEndpoint { name: host, port }), nodes: Vec::new(), ca, kubeadm: None }
    }

    /// The slips of the file, in its order, compared with the setup.
    pub fn slips(&self, setup: &NewSetup) -> Vec<Slip> {
        match (&self.kubeadm, expected(setup)) {
            (Some(file), Some(expected)) => file.judge(&expected),
            (Some(file), None) => file.slips.clone(),
            (None, _) => Vec::new(),
        }
    }

    /// The slips of the file by itself that keep it from being used.
    pub fn errors(&self) -> Vec<&Slip> {
        let slips = self.kubeadm.iter().flat_map(|file| &file.slips);
        slips.filter(|slip| slip.severity() == Severity::Error).collect()
    }

    /// The file of kubeadm for this setup, with the version and the networks of the one that was read.
    pub fn kubeadm_file(&self, setup: &NewSetup) -> Option<String> {
        let base: Option<&ClusterConfiguration> = self.kubeadm.as_ref().and_then(|file| file.cluster.as_ref());
        // kubeadm is of the version that it installs, or of the one after it.
        let kubeadm = base.and_then(|base| base.kubernetes_version.as_ref()?.value.parse().ok());
        Some(daymark_kubeadm::write(&ExpectedCluster { kubeadm, ..expected(setup)? }, base))
    }
}

/// The first node, which an `InitConfiguration` names.
fn first_node(file: &KubeadmFile) -> Option<NamedAddresses> {
    let init = file.init.as_ref()?;
    let name = init.node_name.as_ref()?.value.clone();
    let address = init.advertise_address.as_ref()?.value.parse().ok()?;
    Some(NamedAddresses { name, addresses: vec![address] })
}

/// The setup as kubeadm's files should have it. `None` if a name is none, which the configuration reports.
fn expected(setup: &NewSetup) -> Option<ExpectedCluster> {
    let node = |node: &NamedAddresses| {
        Some(ExpectedNode { name: NodeName::new(&node.name).ok()?, addresses: node.addresses.clone() })
    };
    Some(ExpectedCluster {
        name: PoolName::new(&setup.pool.name).ok()?,
        port: setup.pool.port,
        nodes: setup.nodes.iter().map(node).collect::<Option<_>>()?,
        kubeadm: None,
    })
}
