//! The keys that sign the zones.

use daymark_authoritative::{DenialOfExistence, KeyRole};
use daymark_config::{DnssecConfig, ProviderConfig};

use crate::support::{SMALL, error, files, parse, warnings};

fn text(dnssec: &str) -> String {
    format!("{SMALL}    dnssec: {dnssec}\n")
}

fn dnssec(text: &str) -> DnssecConfig {
    let config = parse(text, files().path()).unwrap();
    let ProviderConfig::Authoritative(authoritative) = &config.providers[0] else { panic!("{:?}", config.providers) };
    authoritative.dnssec.clone().unwrap()
}

#[test]
fn one_key_signs_everything_by_default() {
    let config = dnssec(&text("{keys: [{file: dnssec.key}]}"));
    assert_eq!(config.denial, DenialOfExistence::Nsec);
    let [key] = &config.keys[..] else { panic!("{:?}", config.keys) };
    assert!(key.file.ends_with("dnssec.key"));
    assert_eq!((key.role, key.publish_only), (KeyRole::Combined, false));
}

#[test]
fn keys_have_roles_and_may_be_published_only() {
    let keys = "{keys: [{file: dnssec.key, role: ksk}, {file: client.key, role: zsk}, \
                {file: other.key, role: zsk, publishOnly: true}], denial: nsec3}";
    let config = dnssec(&text(keys));
    assert_eq!(config.denial, DenialOfExistence::Nsec3);
    let keys: Vec<_> = config.keys.iter().map(|key| (key.role, key.publish_only)).collect();
    let expected = [(KeyRole::KeySigning, false), (KeyRole::ZoneSigning, false), (KeyRole::ZoneSigning, true)];
    assert_eq!(keys, expected);
    assert_eq!(warnings(&text("{keys: [{file: dnssec.key}]}")), Vec::<String>::new());
}

#[test]
fn wrong_keys_are_errors() {
    let at = "daymark.yaml:9:13: providers[0].dnssec";
    let no_keys = "no key signs the keys of the zones; one of role csk or ksk without `publishOnly` is needed";
    let no_records = "no key signs the records of the zones; one of role csk or zsk without `publishOnly` is needed";
    for (given, expected) in [
        ("{keys: [{file: dnssec.key, role: zsk}]}", no_keys.to_owned()),
        ("{keys: [{file: dnssec.key, role: ksk}]}", no_records.to_owned()),
        ("{keys: [{file: dnssec.key, publishOnly: true}]}", format!("{no_keys}\n{at}: {no_records}")),
        ("{keys: [{file: dnssec.key, role: KSK}]}", "one of csk, ksk, zsk".to_owned()),
        ("{keys: [{file: dnssec.key}], denial: none}", "one of nsec, nsec3".to_owned()),
        ("{keys: []}", "at least one key is needed".to_owned()),
        ("{keys: [{file: dnssec.key}, {file: dnssec.key}]}", "is the same key as".to_owned()),
        ("{keys: [{file: none.key}]}", "none.key".to_owned()),
        ("{keys: [{file: token}]}", "token".to_owned()),
        (
            "{keys: [{file: p384.key}]}",
            "p384.key is no private key of ECDSA P-256 in PKCS#8, which is needed; `daymark dnskey generate` makes one"
                .to_owned(),
        ),
    ] {
        let message = error(&text(given));
        assert!(message.contains(&expected), "{given}: {message}");
    }
}

#[test]
fn a_key_that_every_user_may_read_is_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let dir = files();
    std::fs::set_permissions(dir.path().join("dnssec.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let config = parse(&text("{keys: [{file: dnssec.key}]}"), dir.path()).unwrap();
    let warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
    assert!(warnings.len() == 1 && warnings[0].contains("is open to every user of this host"), "{warnings:?}");
}
