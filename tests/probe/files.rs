//! The CA file: read when it is needed, and again when it changes.

use std::fs;
use std::os::unix::fs::symlink;

use daymark::probe::Trust;
use daymark_decision::Kind;
use daymark_fake_apiserver::Authority;

use crate::scene::Scene;

#[tokio::test]
async fn a_missing_ca_file_is_a_fault_of_our_own_until_it_is_there() {
    let scene = Scene::new();
    fs::remove_file(scene.file("ca.crt")).unwrap();
    let prober = scene.prober();
    let kind = prober.probe_once(scene.address()).await.kind;
    let wanted = format!("cannot read {}: No such file or directory", scene.file("ca.crt").display());
    assert!(matches!(&kind, Kind::OwnFault { detail } if detail.starts_with(&wanted)), "{kind}");
    assert_eq!(scene.apiserver.connections(), 0);
    scene.write("ca.crt", scene.authority.pem());
    assert_eq!(prober.probe_once(scene.address()).await.kind, Kind::Ready);
}

#[tokio::test]
async fn a_ca_file_without_a_certificate_is_a_fault_of_our_own() {
    let scene = Scene::new();
    for contents in ["", "nonsense", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
        scene.write("ca.crt", contents);
        let kind = scene.probe().await.kind;
        let path = scene.file("ca.crt").display().to_string();
        assert!(matches!(&kind, Kind::OwnFault { detail } if detail.contains(&path)), "{contents:?}: {kind}");
    }
}

#[tokio::test]
async fn a_replaced_ca_file_takes_effect() {
    let scene = Scene::new();
    let prober = scene.prober();
    assert_eq!(prober.probe_once(scene.address()).await.kind, Kind::Ready);
    let other = Authority::new("kubernetes").unwrap();
    scene.write("ca.crt.new", other.pem());
    fs::rename(scene.file("ca.crt.new"), scene.file("ca.crt")).unwrap();
    assert_eq!(prober.probe_once(scene.address()).await.kind, Kind::UntrustedCa);
    // Both CAs in one file, as during a rotation.
    scene.write("ca.crt", &[other.pem(), scene.authority.pem()].concat());
    assert_eq!(prober.probe_once(scene.address()).await.kind, Kind::Ready);
}

#[tokio::test]
async fn a_ca_file_replaced_by_a_swapped_link_takes_effect() {
    // As the kubelet updates the volume of a ConfigMap: file -> ..data/file, ..data -> a new directory.
    let mut scene = Scene::new();
    let other = Authority::new("kubernetes").unwrap();
    for (version, pem) in [("..1", scene.authority.pem()), ("..2", other.pem())] {
        fs::create_dir(scene.file(version)).unwrap();
        fs::write(scene.file(version).join("ca.crt"), pem).unwrap();
    }
    symlink("..1", scene.file("..data")).unwrap();
    symlink("..data/ca.crt", scene.file("linked.crt")).unwrap();
    scene.settings.trust = Trust::File(scene.file("linked.crt"));
    let prober = scene.prober();
    assert_eq!(prober.probe_once(scene.address()).await.kind, Kind::Ready);

    symlink("..2", scene.file("..data_tmp")).unwrap();
    fs::rename(scene.file("..data_tmp"), scene.file("..data")).unwrap();
    assert_eq!(prober.probe_once(scene.address()).await.kind, Kind::UntrustedCa);
}

#[tokio::test]
async fn a_ca_file_that_goes_or_breaks_leaves_the_last_one_in_use() {
    let scene = Scene::new();
    let prober = scene.prober();
    assert_eq!(prober.probe_once(scene.address()).await.kind, Kind::Ready);
    scene.write("ca.crt", "");
    assert_eq!(prober.probe_once(scene.address()).await.kind, Kind::Ready);
    fs::remove_file(scene.file("ca.crt")).unwrap();
    assert_eq!(prober.probe_once(scene.address()).await.kind, Kind::Ready);
    scene.write("ca.crt", Authority::new("kubernetes").unwrap().pem());
    assert_eq!(prober.probe_once(scene.address()).await.kind, Kind::UntrustedCa);
}
