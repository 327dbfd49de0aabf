//! The algorithms that are accepted, by chains that OpenSSL made; `make` makes them again.

#![expect(clippy::unwrap_used, reason = "a panic in a helper of tests is a failing test")]

use std::fs;
use std::path::Path;

use daymark_certificates::{Authorities, CaBundle, ChainFault, ServerVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};

/// 2027-01-15.
const NOW: i64 = 1_800_000_000;

/// A leaf and the CA that issued it.
fn chain(name: &str) -> [CertificateDer<'static>; 2] {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chains").join(name).with_extension("pem");
    let certificates = CertificateDer::pem_slice_iter(&fs::read(path).unwrap()).collect::<Result<Vec<_>, _>>().unwrap();
    certificates.try_into().unwrap()
}

fn judge(leaf: &[u8], ca: &[u8]) -> Result<(), ChainFault> {
    let server = ServerName::try_from("lb.kube-cp.com").unwrap();
    ServerVerifier::new(Authorities::from_der([ca])).judge(&[leaf], &server, NOW)
}

/// The names of the chains that begin with this.
fn names(is_refused: bool) -> Vec<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chains");
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let names = files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
    names.filter(|name| name.starts_with("refused") == is_refused).collect()
}

#[test]
fn a_chain_of_every_algorithm_that_go_accepts_is_accepted() {
    assert_eq!(names(false).len(), 15);
    for name in names(false) {
        let [leaf, ca] = chain(&name);
        assert_eq!(judge(&leaf, &ca), Ok(()), "{name}");
    }
}

#[test]
fn a_changed_certificate_is_of_no_trusted_ca() {
    for name in names(false) {
        let [leaf, ca] = chain(&name);
        let mut changed = leaf.to_vec();
        let at = changed.windows(7).position(|bytes| bytes == b"kube-cp").unwrap();
        changed[at + 3] = b'f';
        assert_ne!(changed, leaf.to_vec());
        let server = ServerName::try_from("lb.kubf-cp.com").unwrap();
        let at_last = changed.len() - 1;
        let verdict = ServerVerifier::new(Authorities::from_der([&*ca])).judge(&[&changed], &server, NOW);
        assert!(matches!(verdict, Err(ChainFault::UntrustedCa | ChainFault::WrongName)), "{name}: {verdict:?}");
        // Another signature over the same certificate.
        let mut changed = leaf.to_vec();
        changed[at_last] ^= 1;
        assert_eq!(judge(&changed, &ca), Err(ChainFault::UntrustedCa), "{name}");
    }
}

#[test]
fn a_ca_of_the_same_name_with_another_kind_of_key_is_another_ca() {
    for name in names(false) {
        for other in names(false).iter().filter(|other| **other != name) {
            let [leaf, _] = chain(&name);
            let [_, ca] = chain(other);
            assert_eq!(judge(&leaf, &ca), Err(ChainFault::UntrustedCa), "{name} by {other}");
        }
    }
}

#[test]
fn an_algorithm_that_is_not_accepted_is_named() {
    let refusal = |name: &str| {
        let [leaf, ca] = chain(name);
        judge(&leaf, &ca).unwrap_err().to_string()
    };
    let of_chain = |algorithm| format!("a signature of its chain is by {algorithm}, which Daymark does not accept");
    let of_key = |algorithm| format!("its key is {algorithm}, which Daymark does not accept");
    assert_eq!(refusal("refused-sha1"), of_chain("ECDSA with SHA-1"));
    assert_eq!(refusal("refused-rsa-sha1"), of_chain("RSA with SHA-1"));
    assert_eq!(refusal("refused-p224-leaf"), of_key("ECDSA with the curve P-224"));
    assert_eq!(refusal("refused-rsa512-leaf"), of_key("RSA with 512 bits"));
    assert_eq!(refusal("refused-ed448-leaf"), of_key("Ed448"));
}

#[test]
fn a_ca_whose_algorithm_is_not_accepted_is_reported_when_its_file_is_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chains/refused-p224.pem");
    let bundle = CaBundle::parse(&fs::read(path).unwrap());
    let unusable: Vec<String> = bundle.unusable.iter().map(ToString::to_string).collect();
    let fault = "its key is ECDSA with the curve P-224, which Daymark does not accept";
    assert_eq!(unusable, [format!("certificate 2 cannot be used: {fault}")]);
}

#[test]
fn a_key_with_the_parameters_of_its_curve_has_no_named_curve() {
    let bundle = CaBundle::parse(include_bytes!("explicit-curve.crt"));
    let fault = bundle.unusable[0].fault.to_string();
    assert_eq!(fault, "its key is ECDSA without a named curve, which Daymark does not accept");
}
