//! Client certificates and their keys, which OpenSSL made; `make` makes them again.

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
    let rule = "Daymark signs only with RSA of 2048 to 8192 bits, ECDSA with P-256 or P-384, and Ed25519";
    for (name, algorithm) in [("P-521", "ECDSA with the curve P-521"), ("rsa1024", "RSA with fewer than 2048 bits")] {
        let refusal = refusal(&format!("{name}.crt"), &format!("{name}.key"));
        assert_eq!(refusal, format!("{name}.key cannot be used: the key is {algorithm}, but {rule}"));
    }
}
