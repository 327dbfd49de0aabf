//! Kubeconfigs: the cluster of the current context.

use daymark_kubeadm::{Kubeconfig, KubeconfigCa, MAX_FILE_BYTES};

const KUBECONFIG: &str = "\
apiVersion: v1
kind: Config
current-context: admin@prod
contexts:
- name: admin@test
  context: {cluster: test, user: admin}
- name: admin@prod
  context:
    cluster: prod
    user: admin
clusters:
- name: test
  cluster: {server: \"http://192.0.2.1\"}
- name: prod
  cluster:
    certificate-authority-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==
    server: https://api.example.com:6443
    tls-server-name: k8s.example.com
users:
- name: admin
  user: {token: secret}
";

fn error(text: &str) -> String {
    Kubeconfig::read(text).unwrap_err().to_string()
}

#[test]
fn the_cluster_of_the_current_context_is_read() {
    let config = Kubeconfig::read(KUBECONFIG).unwrap();
    assert_eq!((config.host.as_str(), config.port, config.insecure), ("api.example.com", 6443, false));
    assert_eq!((config.server.value.as_str(), config.server.position.line), ("https://api.example.com:6443", 17));
    assert_eq!(config.ca, Some(KubeconfigCa::Pem(b"-----BEGIN CERTIFICATE-----\n".to_vec())));
    assert_eq!(config.tls_server_name.unwrap().value, "k8s.example.com");
}

#[test]
fn a_kubeconfig_differs_from_a_file_of_kubeadm_even_if_it_is_broken() {
    assert!(Kubeconfig::is_meant_by(KUBECONFIG));
    assert!(Kubeconfig::is_meant_by("kind: \"Config\"\r\nclusters: [\n"));
    assert!(!Kubeconfig::is_meant_by(crate::support::V1BETA3));
    assert!(!Kubeconfig::is_meant_by("preferences:\n  kind: Config\n"));
}

#[test]
fn a_ca_may_be_a_file_or_none_and_a_url_may_have_no_port() {
    let config =
        Kubeconfig::read(&KUBECONFIG.replace("current-context: admin@prod", "current-context: admin@test")).unwrap();
    assert_eq!((config.host.as_str(), config.port, config.ca), ("192.0.2.1", 80, None));
    let text = "kind: Config\nclusters:\n- cluster: {server: 'https://[2001:db8::1]/', certificate-authority: pki/ca.crt, \
                insecure-skip-tls-verify: true}\n";
    let config = Kubeconfig::read(text).unwrap();
    assert_eq!((config.host.as_str(), config.port, config.insecure), ("2001:db8::1", 443, true));
    assert_eq!(config.ca, Some(KubeconfigCa::File("pki/ca.crt".to_owned())));
}

#[test]
fn each_fault_is_a_message() {
    assert_eq!(error("a: [").split(": ").nth(1), Some("the kubeconfig is not valid YAML"));
    assert_eq!(error(&"#".repeat(MAX_FILE_BYTES + 1)), "the kubeconfig is too large; at most 1024 KiB are allowed");
    for text in ["", "- a", "kind: ClusterConfiguration"] {
        assert_eq!(error(text), "the file is not a kubeconfig; `apiVersion: v1` and `kind: Config` are needed");
    }
    assert_eq!(
        error(&KUBECONFIG.replace("https://api.example.com:6443", "[]")),
        "line 17, column 13: cluster.server: is a list; a text in quotes is allowed"
    );
    let no_cluster = "the kubeconfig does not name its cluster; `current-context` with one of `contexts` is needed, or a single cluster";
    assert_eq!(error(&KUBECONFIG.replace("current-context: admin@prod\n", "")), no_cluster);
    assert_eq!(error(&KUBECONFIG.replace("    cluster: prod\n", "")), no_cluster);
    assert_eq!(
        error(&KUBECONFIG.replace("current-context: admin@prod", "current-context: a")),
        "the kubeconfig has no entry \"a\" in `contexts`; add it, or name another"
    );
    assert_eq!(
        error(&KUBECONFIG.replace("    cluster: prod", "    cluster: b")),
        "the kubeconfig has no entry \"b\" in `clusters`; add it, or name another"
    );
    assert_eq!(
        error(&KUBECONFIG.replace("    server: https://api.example.com:6443\n", "")),
        "the cluster of the kubeconfig has no `server`; a URL such as https://api.example.com:6443 is needed"
    );
    for url in ["api.example.com:6443", "ftp://api.example.com", "https://a b", "/path"] {
        assert_eq!(
            error(&KUBECONFIG.replace("https://api.example.com:6443", url)),
            format!("line 17, column 13: server: \"{url}\" is not a URL of an apiserver; https://NAME:PORT is allowed")
        );
    }
    assert_eq!(
        error(&KUBECONFIG.replace("LS0t", "L=0t")),
        "line 16, column 33: certificate-authority-data is not base64; the whole text is needed, on one line"
    );
}
