//! The written file is read back without a slip.

use daymark_decision::NodeName;
use daymark_kubeadm::{Etcd, KubeadmFile, write};
use proptest::prelude::*;

use crate::support::{V1BETA1, V1BETA2, V1BETA3, V1BETA4, expected};

#[test]
fn the_file_has_the_name_and_every_node_in_each_list() {
    assert_eq!(
        write(&expected(None), None),
        r#"# For the pool api.example.com, made by Daymark. The first node: kubeadm init --config FILE --upload-certs
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
# The name and the port of the pool. Certificates and kubeconfigs keep them, so no address is here.
controlPlaneEndpoint: "api.example.com:6443"
apiServer:
  # The name of the pool, and every node's name and addresses. kubeadm itself adds those of the node alone.
  certSANs:
  - "api.example.com"
  - "kube-cp-1"
  - "192.0.2.11"
  - "kube-cp-2"
  - "192.0.2.12"
etcd:
  local:
    # The same, so that a member is reached by any of them.
    serverCertSANs:
    - "api.example.com"
    - "kube-cp-1"
    - "192.0.2.11"
    - "kube-cp-2"
    - "192.0.2.12"
    peerCertSANs:
    - "api.example.com"
    - "kube-cp-1"
    - "192.0.2.11"
    - "kube-cp-2"
    - "192.0.2.12"
"#
    );
}

#[test]
fn the_file_is_in_the_newest_version_that_kubeadm_reads() {
    for (kubeadm, api) in
        [("1.13", "v1beta1"), ("1.21", "v1beta2"), ("1.30", "v1beta3"), ("1.31", "v1beta4"), ("1.40", "v1beta4")]
    {
        let cluster = expected(Some(kubeadm));
        let text = write(&cluster, None);
        assert!(text.contains(&format!("apiVersion: kubeadm.k8s.io/{api}\n")), "{text}");
        assert_eq!(KubeadmFile::read(&text).judge(&cluster), []);
    }
}

#[test]
fn another_file_gives_what_daymark_does_not_know() {
    for base in [V1BETA1, V1BETA2, V1BETA3, V1BETA4] {
        let base = KubeadmFile::read(base).cluster.unwrap();
        let text = write(&expected(None), Some(&base));
        let file = KubeadmFile::read(&text);
        assert_eq!(file.judge(&expected(Some("1.35"))), [], "{text}");
        let cluster = file.cluster.unwrap();
        let value = |located: Option<daymark_kubeadm::WithPosition<String>>| located.map(|located| located.value);
        assert_eq!(value(cluster.kubernetes_version), value(base.kubernetes_version));
        assert_eq!(value(cluster.cluster_name), value(base.cluster_name));
        assert_eq!(value(cluster.networking.pod_subnet), value(base.networking.pod_subnet));
        assert_eq!(value(cluster.networking.service_subnet), value(base.networking.service_subnet));
        assert_eq!(value(cluster.networking.dns_domain), value(base.networking.dns_domain));
        match (cluster.etcd, base.etcd) {
            (Etcd::External(written), Etcd::External(base)) => {
                assert_eq!(written.endpoints.len(), base.endpoints.len());
                assert_eq!(value(written.key_file), value(base.key_file));
            }
            (written, base) => {
                assert!(matches!(written, Etcd::Local { .. }));
                assert!(matches!(base, Etcd::Local { .. }));
            }
        }
    }
}

#[test]
fn another_port_is_that_of_the_apiserver_as_well() {
    let mut cluster = expected(None);
    cluster.port = 8443;
    let file = KubeadmFile::read(&write(&cluster, None));
    assert_eq!(file.judge(&cluster), []);
    assert_eq!(file.init.unwrap().bind_port.unwrap().value, 8443);
}

#[test]
fn any_text_of_another_file_is_written_as_one_text() {
    let name = r#"a"b\c: #d	é"#;
    let mut base = KubeadmFile::read(V1BETA4).cluster.unwrap();
    base.cluster_name.as_mut().unwrap().value = name.to_owned();
    let file = KubeadmFile::read(&write(&expected(None), Some(&base)));
    assert_eq!(file.judge(&expected(None)), []);
    assert_eq!(file.cluster.unwrap().cluster_name.unwrap().value, name);
}

proptest! {
    #[test]
    fn any_cluster_is_written_and_read_back_without_a_slip(
        names in prop::collection::vec("\\S{1,20}", 0..4),
        port: u16,
        minor in 13..60_u32,
    ) {
        let mut cluster = expected(Some(&format!("1.{minor}")));
        cluster.port = port.max(1);
        for (node, name) in cluster.nodes.iter_mut().zip(&names) {
            node.name = NodeName::new(name).unwrap_or(node.name.clone());
            node.addresses.push("2001:db8::1".parse().unwrap());
        }
        let text = write(&cluster, None);
        prop_assert_eq!(KubeadmFile::read(&text).judge(&cluster), [], "{}", text);
    }
}
