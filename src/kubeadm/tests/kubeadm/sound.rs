//! Files without a slip, and texts of any kind.

use daymark_kubeadm::{Etcd, KubeadmApi, KubeadmFile};
use proptest::prelude::*;

use crate::support::{ARTICLE, V1BETA1, V1BETA2, V1BETA3, V1BETA4, expected, slips_in};

#[test]
fn a_sound_file_of_each_version_has_no_slip() {
    for (kubeadm, text) in [("1.14", V1BETA1), ("v1.21.9", V1BETA2), ("1.30", V1BETA3), ("1.35", V1BETA4)] {
        assert_eq!(slips_in(text, &expected(Some(kubeadm))), [] as [String; 0]);
        assert_eq!(slips_in(text, &expected(None)), [] as [String; 0]);
    }
}

#[test]
fn the_documents_of_a_file_are_read_with_the_lines_of_their_values() {
    let file = KubeadmFile::read(V1BETA1);
    let cluster = file.cluster.unwrap();
    let endpoint = cluster.control_plane_endpoint.unwrap();
    assert_eq!(
        (endpoint.value.as_str(), endpoint.position.line, endpoint.position.column),
        ("api.example.com:6443", 5, 23)
    );
    assert_eq!(cluster.api.unwrap().value, KubeadmApi::V1beta1);
    assert_eq!(cluster.kubernetes_version.unwrap().value, "v1.14.3");
    assert_eq!(cluster.cluster_name.unwrap().value, "prod");
    assert_eq!(cluster.networking.dns_domain.unwrap().value, "cluster.local");
    assert_eq!(cluster.apiserver_sans.position.line, 10);
    let sans: Vec<u64> = cluster.apiserver_sans.entries.unwrap().iter().map(|san| san.position.line).collect();
    assert_eq!(sans, [11, 12, 13, 14, 15]);
    let init = file.init.unwrap();
    assert_eq!((init.position.line, init.bind_port.unwrap().value, init.certificate_key), (27, 6443, None));
    let address = init.advertise_address.unwrap();
    assert_eq!((address.value.as_str(), address.position.line), ("192.0.2.11", 30));
    assert_eq!(init.node_name.unwrap().value, "kube-cp-1");
}

#[test]
fn the_order_of_the_documents_does_not_matter_and_those_of_others_are_left_alone() {
    let file = KubeadmFile::read(V1BETA2);
    assert_eq!(file.cluster.as_ref().unwrap().position.line, 9);
    assert_eq!(file.init.unwrap().certificate_key.unwrap().line, 3);
    let file = KubeadmFile::read(V1BETA3);
    let Etcd::External(external) = file.cluster.unwrap().etcd else { panic!("etcd is external") };
    assert_eq!(external.endpoints[1].value, "https://192.0.2.22:2379");
    assert_eq!((external.endpoints[1].position.line, external.key_file.unwrap().position.line), (21, 24));
}

#[test]
fn the_secret_of_a_file_is_in_no_debug_text() {
    let secret = V1BETA2.lines().find_map(|line| line.strip_prefix("certificateKey: ")).unwrap();
    assert!(!format!("{:?}", KubeadmFile::read(V1BETA2)).contains(secret));
}

#[test]
fn the_endpoint_of_a_file_has_the_port_of_the_apiserver_if_it_has_none() {
    let endpoint = |text: &str| {
        KubeadmFile::read(text).endpoint().map(|endpoint| (endpoint.name.as_str().to_owned(), endpoint.port))
    };
    assert_eq!(endpoint(V1BETA3), Some(("api.example.com".to_owned(), 6443)));
    let without = V1BETA1.replace("com:6443", "com").replace("bindPort: 6443", "bindPort: 8443");
    assert_eq!(endpoint(&without), Some(("api.example.com".to_owned(), 8443)));
    assert_eq!(endpoint(&V1BETA1.replace("api.example.com:6443", "192.0.2.1:6443")), None);
    assert_eq!(endpoint(""), None);
}

#[test]
fn lines_may_end_as_on_windows() {
    let file = KubeadmFile::read(&V1BETA4.replace('\n', "\r\n"));
    assert_eq!(file.judge(&expected(Some("1.35"))), []);
    assert_eq!(file.cluster, KubeadmFile::read(V1BETA4).cluster);
}

/// Pieces that slips are made of.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "apiVersion: kubeadm.k8s.io/v1beta4",
        "kind: ClusterConfiguration",
        "kind: InitConfiguration",
        "\n",
        "\n  ",
        "\n\t",
        "- ",
        "---\n",
        "controlPlaneEndpoint: ",
        "etcd:",
        "certSANs:",
        "extraArgs:",
        "podSubnet: ",
        "\"",
        "'",
        "\\",
        ": ",
        "|",
        "#",
        "{",
        "[",
        "&a ",
        "*a",
        "10.0.0.0/162",
        "é",
        "[::1]",
        "_",
        ",",
        "0x10",
        "1e3",
        "~",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_is_a_panic_and_each_slip_is_in_the_file(text in prop_oneof![".*", pieces(), pieces()]) {
        let lines = u64::try_from(text.lines().count().max(1)).unwrap();
        for slip in KubeadmFile::read(&text).judge(&expected(Some("1.31"))) {
            prop_assert!((1..=lines).contains(&slip.position.line), "{slip} in {text:?}");
            prop_assert!(!slip.to_string().contains(char::is_control), "{slip:?}");
        }
        let _ = daymark_kubeadm::Kubeconfig::read(&text).map_err(|error| error.to_string());
    }

    #[test]
    fn a_file_that_ends_anywhere_is_read(end in 0..1000_usize) {
        for text in [ARTICLE, V1BETA1, V1BETA2, V1BETA3, V1BETA4] {
            let slips = KubeadmFile::read(text.get(..end).unwrap_or(text)).slips;
            prop_assert!(slips.is_sorted_by_key(|slip| slip.position));
        }
    }
}
