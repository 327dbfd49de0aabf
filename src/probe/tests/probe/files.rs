//! The CA file is read when it is first needed, and again when it changes.

use std::fs;
use std::os::unix::fs::symlink;

use daymark_decision::Kind;
use daymark_fake_apiserver::FakeAuthority;
use daymark_probe::Trust;

use crate::fixture::Fixture;

#[tokio::test]
async fn a_missing_ca_file_is_a_local_error_until_it_is_there() {
    let fixture = Fixture::new();
    fs::remove_file(fixture.file("ca.crt")).unwrap();
    let prober = fixture.prober();
    let kind = prober.probe_once(fixture.address()).await.kind;
    let expected = format!("CA file: {} does not exist", fixture.file("ca.crt").display());
    assert!(matches!(&kind, Kind::LocalError { detail } if detail.starts_with(&expected)), "{kind}");
    assert_eq!(fixture.apiserver.connections(), 0);
    fixture.write("ca.crt", fixture.authority.pem());
    assert_eq!(prober.probe_once(fixture.address()).await.kind, Kind::Ready);
}

#[tokio::test]
async fn a_ca_file_without_a_certificate_is_a_local_error() {
    let fixture = Fixture::new();
    for contents in ["", "nonsense", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
        fixture.write("ca.crt", contents);
        let kind = fixture.probe().await.kind;
        let path = fixture.file("ca.crt").display().to_string();
        assert!(matches!(&kind, Kind::LocalError { detail } if detail.contains(&path)), "{contents:?}: {kind}");
    }
}

#[tokio::test]
async fn a_replaced_ca_file_takes_effect() {
    let fixture = Fixture::new();
    let prober = fixture.prober();
    assert_eq!(prober.probe_once(fixture.address()).await.kind, Kind::Ready);
    let other = FakeAuthority::new("kubernetes").unwrap();
    fixture.write("ca.crt.new", other.pem());
    fs::rename(fixture.file("ca.crt.new"), fixture.file("ca.crt")).unwrap();
    assert_eq!(prober.probe_once(fixture.address()).await.kind, Kind::UntrustedCa);
    // Both CAs in one file, as during a rotation.
    fixture.write("ca.crt", &[other.pem(), fixture.authority.pem()].concat());
    assert_eq!(prober.probe_once(fixture.address()).await.kind, Kind::Ready);
}

#[tokio::test]
async fn a_ca_file_replaced_by_a_swapped_link_takes_effect() {
    // The kubelet updates the volume of a ConfigMap like this: file -> ..data/file, ..data -> a new directory.
    let mut fixture = Fixture::new();
    let other = FakeAuthority::new("kubernetes").unwrap();
    for (version, pem) in [("..1", fixture.authority.pem()), ("..2", other.pem())] {
        fs::create_dir(fixture.file(version)).unwrap();
        fs::write(fixture.file(version).join("ca.crt"), pem).unwrap();
    }
    symlink("..1", fixture.file("..data")).unwrap();
    symlink("..data/ca.crt", fixture.file("linked.crt")).unwrap();
    fixture.settings.trust = Trust::File(fixture.file("linked.crt"));
    let prober = fixture.prober();
    assert_eq!(prober.probe_once(fixture.address()).await.kind, Kind::Ready);

    symlink("..2", fixture.file("..data_tmp")).unwrap();
    fs::rename(fixture.file("..data_tmp"), fixture.file("..data")).unwrap();
    assert_eq!(prober.probe_once(fixture.address()).await.kind, Kind::UntrustedCa);
}

#[tokio::test]
async fn a_ca_file_that_goes_or_breaks_leaves_the_last_one_in_use() {
    let fixture = Fixture::new();
    let prober = fixture.prober();
    assert_eq!(prober.probe_once(fixture.address()).await.kind, Kind::Ready);
    fixture.write("ca.crt", "");
    assert_eq!(prober.probe_once(fixture.address()).await.kind, Kind::Ready);
    fs::remove_file(fixture.file("ca.crt")).unwrap();
    assert_eq!(prober.probe_once(fixture.address()).await.kind, Kind::Ready);
    fixture.write("ca.crt", FakeAuthority::new("kubernetes").unwrap().pem());
    assert_eq!(prober.probe_once(fixture.address()).await.kind, Kind::UntrustedCa);
}
