//! A directory with the files that a configuration names, and helpers that read a configuration.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use daymark_config::{AdminConfig, Config, Finding, PeersConfig, PoolConfig, ProviderConfig};
use tempfile::TempDir;

/// Creates a directory with `ca.crt`, `client.crt`, `client.key`, `other.key`, `token`, `zone`, `gossip.key`,
/// `dnssec.key`, `p384.key` and broken files.
pub(crate) fn files() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let ca = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(["lb.kube-cp.com".to_owned()]).unwrap().self_signed(&ca).unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("ca.crt", &certificate.pem());
    write("client.crt", &certificate.pem());
    write("client.key", &ca.serialize_pem());
    write("other.key", &rcgen::KeyPair::generate().unwrap().serialize_pem());
    write("dnssec.key", &rcgen::KeyPair::generate().unwrap().serialize_pem());
    write("p384.key", &rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap().serialize_pem());
    write("broken.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    write("token", " secret\n");
    write("blank", " \n");
    write("zone", "@ 300 IN A 192.0.2.1\n");
    write("gossip.key", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n");
    for secret in ["gossip.key", "client.key", "other.key", "dnssec.key", "p384.key", "token"] {
        std::fs::set_permissions(dir.path().join(secret), Permissions::from_mode(0o600)).unwrap();
    }
    dir
}

/// The smallest file, whose CA is in [`files`].
pub(crate) const SMALL: &str = "\
pools:
  - name: lb.kube-cp.com
    nodes:
      - {name: kube-cp-1, addresses: [10.10.1.1]}
    probe: {ca: ca.crt}
providers:
  - type: authoritative
    nameservers: [{name: ns1.kube-cp.com}]
";

/// The settings of a configuration, without their locations in the file.
#[derive(Debug, PartialEq)]
pub(crate) struct Meaning {
    pools: Vec<PoolConfig>,
    providers: Vec<ProviderConfig>,
    peers: Option<PeersConfig>,
    admin: AdminConfig,
    state_dir: Option<PathBuf>,
}

pub(crate) fn meaning(config: Config) -> Meaning {
    let Config { pools, providers, peers, admin, state_dir, .. } = config;
    Meaning { pools, providers, peers, admin, state_dir }
}

/// Reads a text whose paths are relative to `base`.
pub(crate) fn parse(text: &str, base: &Path) -> Result<Config, Vec<String>> {
    Config::parse(text, "daymark.yaml", base).map_err(|errors| lines(&errors.0))
}

/// The errors of a text, which must have at least one.
pub(crate) fn errors(text: &str) -> Vec<String> {
    let dir = files();
    let hidden = format!("{}/", dir.path().display());
    let errors = parse(text, dir.path()).unwrap_err();
    errors.into_iter().map(|line| line.replace(&hidden, "")).collect()
}

/// The errors of a text, one a line.
pub(crate) fn error(text: &str) -> String {
    errors(text).join("\n")
}

/// The warnings of a text, which must have no error.
pub(crate) fn warnings(text: &str) -> Vec<String> {
    lines(&parse(text, files().path()).unwrap().warnings)
}

/// A text with one part of it changed.
pub(crate) fn with(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "{old:?} is not in the text");
    text.replacen(old, new, 1)
}

fn lines(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(Finding::to_string).collect()
}
