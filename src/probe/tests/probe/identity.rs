//! The address, the server name and the trust that a probe uses.

use std::net::{Ipv4Addr, Ipv6Addr};

use daymark_decision::Kind;
use daymark_fake_apiserver::{Behaviour, FakeAuthority, Validity};
use daymark_probe::Trust;

use crate::fixture::{Fixture, NAME};

#[tokio::test]
async fn a_target_with_an_ipv6_address_is_probed() {
    let fixture = Fixture::on(Ipv6Addr::LOCALHOST.into(), NAME);
    assert_eq!(fixture.probe().await.kind, Kind::Ready);
}

#[tokio::test]
async fn a_server_name_may_be_an_ipv4_address() {
    let fixture = Fixture::on(Ipv4Addr::LOCALHOST.into(), "10.10.1.1");
    assert_eq!(fixture.probe().await.kind, Kind::Ready);
}

#[tokio::test]
async fn a_server_name_may_be_an_ipv6_address() {
    let fixture = Fixture::on(Ipv4Addr::LOCALHOST.into(), "2001:db8::1");
    assert_eq!(fixture.probe().await.kind, Kind::Ready);
}

#[tokio::test]
async fn an_address_as_server_name_must_be_in_the_certificate() {
    let mut fixture = Fixture::new();
    fixture.settings.server_name = "10.10.1.9".to_owned();
    let kind = fixture.probe().await.kind;
    assert!(matches!(&kind, Kind::WrongName { expected, .. } if expected == "10.10.1.9"), "{kind}");
}

#[tokio::test]
async fn a_leaf_of_an_expired_ca_is_refused_though_it_is_valid_itself() {
    let expired = FakeAuthority::with_validity("kubernetes", Validity::Past).unwrap();
    let mut fixture = Fixture::by(expired, Ipv4Addr::LOCALHOST.into(), NAME);
    let renewed = FakeAuthority::new("kubernetes").unwrap();
    let bundle = format!("{}{}", fixture.authority.pem(), renewed.pem());
    fixture.settings.trust = Trust::File(fixture.write("bundle.crt", &bundle));
    let kind = fixture.probe().await.kind;
    assert_eq!(kind, Kind::CaExpired { ca: "CN=kubernetes".to_owned() });
    assert_eq!(kind.to_string(), "the CA that issued the certificate has expired: CN=kubernetes");
}

#[tokio::test]
async fn one_torn_certificate_in_a_bundle_takes_no_other_with_it() {
    let mut fixture = Fixture::new();
    let torn = &fixture.authority.pem()[..100];
    let bundle = format!("{torn}\n{}", fixture.authority.pem());
    fixture.settings.trust = Trust::File(fixture.write("bundle.crt", &bundle));
    assert_eq!(fixture.probe().await.kind, Kind::Ready);
}

#[tokio::test]
async fn without_trust_every_certificate_is_accepted_and_still_reported() {
    for behaviour in [Behaviour::OtherCa, Behaviour::WrongNames, Behaviour::Expired, Behaviour::NotYetValid] {
        let mut fixture = Fixture::with(behaviour.clone()).await;
        fixture.settings.trust = Trust::Nothing;
        let observation = fixture.probe().await;
        assert_eq!(observation.kind, Kind::Ready, "{behaviour}");
        assert!(observation.certificate.is_some(), "{behaviour}");
    }
}
