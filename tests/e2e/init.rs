//! `daymark init`: the files of a new setup, which `check` takes without a warning.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use daymark_fake_apiserver::FakeAuthority;

use crate::support::nodes::Nodes;
use crate::support::{Finished, POOL, daymark, finish, output};

/// The arguments of `init` for two nodes, with a CA that exists.
fn arguments<'a>(dir: &'a str, ca: &'a str, publishing: [&'a str; 2]) -> Vec<&'a str> {
    let nodes = ["--node", "kube-cp-1=10.10.1.1", "--node", "kube-cp-2=10.10.1.2"];
    [&["init", "--pool", POOL, "--ca", ca, "--out", dir][..], &nodes, &publishing].concat()
}

fn ca(dir: &Path) -> String {
    let ca = dir.join("ca.crt");
    fs::write(&ca, FakeAuthority::new("kubernetes").unwrap().pem()).unwrap();
    ca.to_str().unwrap().to_owned()
}

#[test]
fn what_init_writes_passes_the_check_without_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let ca = ca(dir.path());
    for (name, publishing) in [
        (
            "three",
            ["--hosts", "dns-1=192.0.2.11,2001:db8::11,dns-2=192.0.2.12,2001:db8::12,dns-3=192.0.2.13,2001:db8::13"],
        ),
        ("one", ["--hosts", "dns-1=192.0.2.11"]),
        ("cloudflare", ["--cloudflare", "kube-cp.com"]),
    ] {
        let out = dir.path().join(name);
        let text = output(&arguments(out.to_str().unwrap(), &ca, publishing));
        assert!(text.starts_with("Written: ") && text.contains("1. Check the configuration:"), "{text}");
        let config = out.join("daymark.yaml");
        let mut check = daymark(&["check", "-c", config.to_str().unwrap()]);
        let Finished { code, stdout, stderr } = finish(check.env("CLOUDFLARE_API_TOKEN", "a-token"));
        let warnings: Vec<&str> = stdout.lines().filter(|line| line.starts_with("warning")).collect();
        assert_eq!(code, Some(0), "{name}: {stderr}");
        // No configuration makes records at Cloudflare as fast as clients notice by themselves.
        let expected = usize::from(name == "cloudflare");
        assert_eq!(warnings.len(), expected, "{name}: {warnings:?}");
        assert!(warnings.iter().all(|warning| warning.contains("changes the answer sooner")), "{name}: {warnings:?}");
    }
    let key = dir.path().join("three/gossip.key");
    assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!dir.path().join("one/gossip.key").exists());
}

#[test]
fn init_replaces_a_configuration_only_if_told_and_a_key_never() {
    let dir = tempfile::tempdir().unwrap();
    let ca = ca(dir.path());
    let out = dir.path().to_str().unwrap();
    let three = arguments(out, &ca, ["--hosts", "dns-1=192.0.2.11,dns-2=192.0.2.12,dns-3=192.0.2.13"]);
    output(&three);
    let config = dir.path().join("daymark.yaml");
    let key = fs::read(dir.path().join("gossip.key")).unwrap();
    fs::write(&config, "mine").unwrap();
    let refused = finish(&mut daymark(&three));
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("exists and stays as it is; --overwrite replaces it"), "{}", refused.stderr);
    assert_eq!(fs::read_to_string(&config).unwrap(), "mine");
    output(&[&three[..], &["--overwrite"]].concat());
    assert!(fs::read_to_string(&config).unwrap().contains("kube-cp-2"));
    assert_eq!(fs::read(dir.path().join("gossip.key")).unwrap(), key);
}

#[test]
fn init_refuses_what_the_configuration_would_refuse_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("new");
    let twice = ["--hosts", "dns-1=192.0.2.11,dns-1=192.0.2.12"];
    let refused = finish(&mut daymark(&arguments(out.to_str().unwrap(), "/ca.crt", twice)));
    assert_eq!(refused.code, Some(2), "{}", refused.stdout);
    assert!(refused.stderr.contains("the configuration of these flags:"), "{}", refused.stderr);
    assert!(!out.exists());
}

#[test]
fn init_takes_what_a_file_of_kubeadm_says_and_names_its_slips() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("kubeadm.yaml");
    let with_slips = "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\nkubernetesVersion: stableetcd:\n  local:\n    \
                      dataDir: /var/lib/etcd\ncontrolPlaneEndpoint: lb_1.kube-cp.com:6443\nnetworking:\n  podSubnet: 10.244.0.0/162\n";
    fs::write(&file, with_slips).unwrap();
    let out = dir.path().join("out");
    let mut arguments = vec!["init", "--from", file.to_str().unwrap(), "--out", out.to_str().unwrap()];
    arguments.extend(["--hosts", "dns-1=192.0.2.11", "--node", "kube-cp-1=10.10.1.1"]);
    let Finished { code, stderr, .. } = finish(&mut daymark(&arguments));
    assert_eq!(code, Some(2));
    for words in [
        "line 3, column 26: ",
        "line 6, column 23: controlPlaneEndpoint: \"lb_1.kube-cp.com\" has an underscore",
        "line 8, ",
    ] {
        assert!(stderr.contains(words), "{words:?} is missing in {stderr}");
    }
    assert!(!out.exists());
    let sound = "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\nkubernetesVersion: v1.30.0\ncontrolPlaneEndpoint: \
                 lb.kube-cp.com:6443\nnetworking:\n  podSubnet: 10.244.0.0/16\n";
    fs::write(&file, sound).unwrap();
    let written = dir.path().join("new-kubeadm.yaml");
    arguments.extend(["--kubeadm-out", written.to_str().unwrap()]);
    let text = output(&arguments);
    assert!(text.contains("kubeadm init --config ") && text.contains("warning: "), "{text}");
    let written = fs::read_to_string(&written).unwrap();
    for words in [
        "kubeadm.k8s.io/v1beta3",
        "controlPlaneEndpoint: \"lb.kube-cp.com:6443\"",
        "10.244.0.0/16",
        "kube-cp-1",
        "10.10.1.1",
    ] {
        assert!(written.contains(words), "{words:?} is missing in\n{written}");
    }
    assert!(fs::read_to_string(out.join("daymark.yaml")).unwrap().contains("name: lb.kube-cp.com"));
}

#[test]
fn init_asks_an_apiserver_for_the_name_and_the_ca_of_its_cluster() {
    let nodes = Nodes::start(1);
    let out = nodes.path("out");
    let apiserver = nodes.apiservers[0].address().to_string();
    let arguments = ["init", "--from", &apiserver, "--out", out.to_str().unwrap(), "--hosts", "dns-1=192.0.2.11"];
    // The fake publishes nothing of its cluster.
    let Finished { code, stderr, .. } = finish(&mut daymark(&arguments));
    assert_eq!(code, Some(1));
    assert!(stderr.contains("a kubeconfig or a configuration of kubeadm is needed"), "{stderr}");
}
