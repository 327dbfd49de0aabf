//! The slips that show only against the expected cluster.

use daymark_decision::NodeName;

use crate::support::{ARTICLE, V1BETA1, V1BETA2, V1BETA3, V1BETA4, cluster, expected, slips_in};

fn sans(text: &str) -> String {
    cluster(&format!("apiServer:\n  certSANs: [{text}]\n"))
}

const ALL: &str = "api.example.com, kube-cp-1, 192.0.2.11, kube-cp-2, 192.0.2.12";

#[test]
fn another_name_or_port_than_the_pools_is_reported() {
    let text = sans(ALL).replace("api.example.com:6443", "k8s.example.com:443");
    assert_eq!(
        slips_in(&text, &expected(None)),
        [
            "error: line 3, column 23: controlPlaneEndpoint: \"k8s.example.com\" is not the name of the pool; write api.example.com",
            "error: line 3, column 23: controlPlaneEndpoint: the port is 443, and that of the pool is 6443; write api.example.com:6443",
        ]
    );
}

#[test]
fn the_port_of_the_apiserver_counts_where_the_endpoint_has_none() {
    let text = V1BETA1.replace("com:6443", "com").replace("bindPort: 6443", "bindPort: 8443");
    assert_eq!(
        slips_in(&text, &expected(None)),
        [
            "error: line 5, column 23: controlPlaneEndpoint: the port is 8443 by default, and that of the pool is 6443; write \
             api.example.com:6443",
            "error: line 31, column 13: localAPIEndpoint.bindPort: is 8443, and the port of the pool is 6443; a name has no port of its \
             own, so write 6443",
        ]
    );
}

#[test]
fn an_underscore_in_the_name_of_the_pool_is_one_slip() {
    let mut cluster = expected(None);
    cluster.name = daymark_decision::PoolName::new("k8s-api.example.com").unwrap();
    let text = sans("\"*.example.com\", kube-cp-1, 192.0.2.11, kube-cp-2, 192.0.2.12")
        .replace("api.example.com:", "k8s_api.example.com:");
    let slips = slips_in(&text, &cluster);
    assert_eq!(slips.len(), 1);
    assert!(slips[0].contains("has an underscore"), "{}", slips[0]);
}

#[test]
fn certificates_without_a_name_or_an_address_are_reported_with_the_lines_to_add() {
    let message = |line: &str, missing: &str, add: &str| {
        [format!("warning: {line}: apiServer.certSANs: without {missing}; add {add}")]
    };
    let line = "line 5, column 3";
    assert_eq!(
        slips_in(&sans("kube-cp-1, kube-cp-2, 192.0.2.11, 192.0.2.12"), &expected(None)),
        message(line, "api.example.com", "`- api.example.com`")
    );
    assert_eq!(
        slips_in(&sans("api.example.com, kube-cp-1, 192.0.2.11"), &expected(None)),
        message(line, "kube-cp-2, 192.0.2.12", "`- kube-cp-2`, `- 192.0.2.12`")
    );
    let all = "api.example.com, kube-cp-1, 192.0.2.11, kube-cp-2, 192.0.2.12";
    let lines = "`- api.example.com`, `- kube-cp-1`, `- 192.0.2.11`, `- kube-cp-2`, `- 192.0.2.12`";
    assert_eq!(slips_in(&cluster("apiServer: {}\n"), &expected(None)), message("line 4, column 1", all, lines));
    assert_eq!(slips_in(&cluster(""), &expected(None)), message("line 1, column 1", all, lines));
}

#[test]
fn a_missing_name_of_the_pool_is_an_error_if_the_endpoint_is_another() {
    let text = sans("kube-cp-1, kube-cp-2, 192.0.2.11, 192.0.2.12").replace("api.example.com", "k8s.example.com");
    let slips = slips_in(&text, &expected(None));
    assert_eq!(
        slips[1],
        "error: line 5, column 3: apiServer.certSANs: without api.example.com; add `- api.example.com`"
    );
}

#[test]
fn lists_of_etcd_are_reported_if_they_are_there() {
    let slips = slips_in(&V1BETA4.replace("    - 192.0.2.12\n    peer", "    peer"), &expected(None));
    assert_eq!(
        slips,
        [
            "warning: line 19, column 5: etcd.local.serverCertSANs: without 192.0.2.12; add `- 192.0.2.12`",
            "warning: line 24, column 5: etcd.local.peerCertSANs: without 192.0.2.12; add `- 192.0.2.12`",
        ]
    );
}

#[test]
fn a_nodes_name_that_can_be_in_no_certificate_is_not_asked_for() {
    let mut cluster = expected(None);
    cluster.nodes[0].name = NodeName::new("kube_cp_1").unwrap();
    assert_eq!(slips_in(&sans("api.example.com, 192.0.2.11, kube-cp-2, 192.0.2.12"), &cluster), [] as [String; 0]);
}

fn api(text: &str, kubeadm: &str) -> Vec<String> {
    slips_in(text, &expected(Some(kubeadm))).into_iter().filter(|slip| slip.contains("apiVersion: ")).collect()
}

#[test]
fn an_api_that_the_release_of_kubeadm_does_not_read_is_reported() {
    for (text, releases) in [(V1BETA1, 13..=21), (V1BETA2, 15..=26), (V1BETA3, 22..=36), (V1BETA4, 31..=99)] {
        for minor in 13..=99 {
            let slips = api(text, &format!("1.{minor}"));
            let is_error = slips.iter().any(|slip| slip.starts_with("error"));
            assert_eq!(is_error, !releases.contains(&minor), "{slips:?}");
        }
    }
    assert_eq!(
        api(V1BETA3, "1.37"),
        [
            "error: line 2, column 13: apiVersion: kubeadm 1.37 no longer reads v1beta3, which kubeadm 1.36 was the last to read; write it \
             as v1beta4 with `kubeadm config migrate` of kubeadm 1.36"
        ]
    );
    assert_eq!(
        api(V1BETA4, "1.30"),
        [
            "error: line 1, column 13: apiVersion: kubeadm 1.30 does not read v1beta4 yet, which kubeadm 1.31 is the first to read; write \
             v1beta3"
        ]
    );
    assert_eq!(
        api(V1BETA3, "1.31"),
        [
            "warning: line 2, column 13: apiVersion: v1beta3 is deprecated in kubeadm 1.31; write it as v1beta4 with `kubeadm config migrate`"
        ]
    );
}

#[test]
fn each_document_of_an_old_api_is_reported() {
    let lines: Vec<_> = api(V1BETA1, "1.22").iter().map(|slip| slip[..15].to_owned()).collect();
    assert_eq!(lines, ["error: line 1, ", "error: line 27,"]);
}

#[test]
fn the_version_of_kubernetes_says_the_release_if_it_is_not_known() {
    let text = V1BETA2.replace("1.21.0", "v1.31.0");
    let slips = slips_in(&text, &expected(None));
    assert_eq!(slips.len(), 2);
    assert!(slips[0].contains("kubeadm 1.31 no longer reads v1beta2"), "{}", slips[0]);
    assert_eq!(
        slips_in(&V1BETA4.replace("v1.34.1", "v1.30.0"), &expected(None)),
        [] as [String; 0],
        "kubeadm 1.31 installs 1.30"
    );
}

#[test]
fn the_published_file_has_the_names_of_the_cluster_missing_too() {
    let slips = slips_in(ARTICLE, &expected(Some("1.26")));
    let missing: Vec<_> = slips.iter().filter(|slip| slip.contains("certSANs")).collect();
    assert_eq!(
        missing,
        [
            "error: line 11, column 3: apiServer.certSANs: without api.example.com, kube-cp-1, kube-cp-2, 192.0.2.12; add \
             `- api.example.com`, `- kube-cp-1`, `- kube-cp-2`, `- 192.0.2.12`"
        ]
    );
    assert!(
        slips.iter().any(|slip| slip.starts_with("warning: line 2, column 13: apiVersion: v1beta2 is deprecated")),
        "{slips:?}"
    );
}
