//! Client certificates and their keys, which OpenSSL made; `make` makes them again.

#![expect(clippy::unwrap_used, reason = "a panic in a helper of tests is a failing test")]

use std::fs;
use std::path::{Path, PathBuf};

use daymark_certificates::ClientIdentity;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

fn refusal(certificate: &str, key: &str) -> String {
    let Err(error) = ClientIdentity::read(&file(certificate), &file(key)) else { panic!("accepted") };
    error.to_string().replace(&format!("{}/", file("").display()), "").replace(&file("").display().to_string(), "")
}

#[test]
fn a_certificate_of_version_1_is_used_with_its_key() {
    for name in ["P-256", "rsa2048"] {
        let identity = ClientIdentity::read(&file(&format!("{name}.crt")), &file(&format!("{name}.key")));
        assert!(identity.is_ok_and(|identity| identity.resolver().has_certs()), "{name}");
    }
}

#[test]
fn the_key_of_another_certificate_does_not_fit() {
    let refusal = refusal("rsa2048.crt", "P-256.key");
    assert_eq!(refusal, "P-256.key does not fit the certificate: the key is not that of the certificate");
}

#[test]
fn a_key_of_an_algorithm_that_daymark_cannot_sign_with_is_named() {
    let rule = "Daymark signs only with RSA of 2048 to 4096 bits, ECDSA with P-256 or P-384, and Ed25519";
    for (name, algorithm) in [("P-521", "ECDSA with the curve P-521"), ("rsa1024", "RSA with fewer than 2048 bits")] {
        let refusal = refusal(&format!("{name}.crt"), &format!("{name}.key"));
        assert_eq!(refusal, format!("{name}.key cannot be used: the key is {algorithm}, but {rule}"));
    }
}

/// Reads a certificate and this key, both in files of their own.
fn with_key(certificate: &str, key: &str) -> Result<ClientIdentity, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("client.crt"), certificate).unwrap();
    fs::write(path("client.key"), key).unwrap();
    let identity = ClientIdentity::read(&path("client.crt"), &path("client.key"));
    identity.map_err(|error| error.to_string().replace(&format!("{}/", directory.path().display()), ""))
}

fn text(name: &str) -> String {
    fs::read_to_string(file(name)).unwrap()
}

#[test]
fn a_malformed_key_is_not_said_to_be_of_the_wrong_algorithm() {
    for (label, body) in [("PRIVATE KEY", "AAEC"), ("RSA PRIVATE KEY", "MAA="), ("EC PRIVATE KEY", "MAMCAQE=")] {
        let key = format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
        let refusal = with_key(&text("rsa2048.crt"), &key).err();
        assert_eq!(refusal.as_deref(), Some("client.key cannot be used: the key is malformed"), "{label}");
    }
}

#[test]
fn a_key_of_another_algorithm_than_the_certificate_is_named_itself() {
    let refusal = with_key(&text("rsa2048.crt"), &text("P-521.key")).err().unwrap();
    assert!(refusal.starts_with("client.key cannot be used: the key is ECDSA with the curve P-521, but "), "{refusal}");
}

#[test]
fn a_torn_certificate_behind_the_clients_own_is_left_out_as_in_go() {
    let own = text("P-256.crt");
    let torn = &own[..own.len() / 2];
    let identity = with_key(&format!("{own}{torn}"), &text("P-256.key")).ok().unwrap();
    let unusable: Vec<String> = identity.unusable.iter().map(ToString::to_string).collect();
    assert_eq!(
        unusable,
        ["certificate 2 cannot be used: it is incomplete, because it has no whole PEM section".to_owned()]
    );
    let refusal = with_key(torn, &text("P-256.key")).err().unwrap();
    assert_eq!(refusal, "client.crt is not valid PEM: a section has no line that ends it (-----END …-----)");
}
