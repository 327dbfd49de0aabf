//! Which address, name and trust a probe uses.

use std::net::{Ipv4Addr, Ipv6Addr};

use daymark::probe::Trust;
use daymark_decision::Kind;
use daymark_fake_apiserver::Behaviour;

use crate::scene::{NAME, Scene};

#[tokio::test]
async fn a_target_with_an_ipv6_address_is_probed() {
    let scene = Scene::on(Ipv6Addr::LOCALHOST.into(), NAME);
    assert_eq!(scene.probe().await.kind, Kind::Ready);
}

#[tokio::test]
async fn a_server_name_may_be_an_ipv4_address() {
    let scene = Scene::on(Ipv4Addr::LOCALHOST.into(), "10.10.1.1");
    assert_eq!(scene.probe().await.kind, Kind::Ready);
}

#[tokio::test]
async fn a_server_name_may_be_an_ipv6_address() {
    let scene = Scene::on(Ipv4Addr::LOCALHOST.into(), "2001:db8::1");
    assert_eq!(scene.probe().await.kind, Kind::Ready);
}

#[tokio::test]
async fn an_address_as_server_name_must_be_in_the_certificate() {
    let mut scene = Scene::new();
    scene.settings.server_name = "10.10.1.9".to_owned();
    let kind = scene.probe().await.kind;
    assert!(matches!(&kind, Kind::WrongName { expected, .. } if expected == "10.10.1.9"), "{kind}");
}

#[tokio::test]
async fn without_trust_every_certificate_will_do_and_is_still_shown() {
    for behaviour in [Behaviour::OtherCa, Behaviour::WrongNames, Behaviour::Expired, Behaviour::NotYetValid] {
        let mut scene = Scene::with(behaviour.clone()).await;
        scene.settings.trust = Trust::Nothing;
        let observation = scene.probe().await;
        assert_eq!(observation.kind, Kind::Ready, "{behaviour}");
        assert!(observation.certificate.is_some(), "{behaviour}");
    }
}
