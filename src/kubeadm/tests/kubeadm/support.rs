//! The expected cluster, and short texts of slips.

use daymark_decision::{NodeName, PoolName};
use daymark_kubeadm::{ExpectedCluster, ExpectedNode, KubeadmFile, Slip};

pub const ARTICLE: &str = include_str!("files/article.yaml");
pub const V1BETA1: &str = include_str!("files/v1beta1.yaml");
pub const V1BETA2: &str = include_str!("files/v1beta2.yaml");
pub const V1BETA3: &str = include_str!("files/v1beta3.yaml");
pub const V1BETA4: &str = include_str!("files/v1beta4.yaml");

/// Two nodes behind api.example.com:6443.
pub fn expected(kubeadm: Option<&str>) -> ExpectedCluster {
    let node = |name: &str, address: &str| ExpectedNode {
        name: NodeName::new(name).unwrap(),
        addresses: vec![address.parse().unwrap()],
    };
    ExpectedCluster {
        name: PoolName::new("api.example.com").unwrap(),
        port: 6443,
        nodes: vec![node("kube-cp-1", "192.0.2.11"), node("kube-cp-2", "192.0.2.12")],
        kubeadm: kubeadm.map(|version| version.parse().unwrap()),
    }
}

/// A `ClusterConfiguration` without a slip, with more lines: the first of them is line 4.
pub fn cluster(lines: &str) -> String {
    format!(
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\ncontrolPlaneEndpoint: api.example.com:6443\n{lines}"
    )
}

/// The slips of a file by itself, as text.
pub fn slips_of(text: &str) -> Vec<String> {
    shown(&KubeadmFile::read(text).slips)
}

/// The slips of a file in the expected cluster, as text.
pub fn slips_in(text: &str, expected: &ExpectedCluster) -> Vec<String> {
    shown(&KubeadmFile::read(text).judge(expected))
}

fn shown(slips: &[Slip]) -> Vec<String> {
    slips.iter().map(|slip| format!("{}: {slip}", slip.severity())).collect()
}
