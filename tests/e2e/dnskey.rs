//! `daymark dnskey`, and the files that it makes.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::{daymark, finish, output};

#[test]
fn a_new_dnssec_key_is_private_and_its_records_are_shown_again() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("zone.pem");
    let path = file.to_str().unwrap();
    let made = output(&["dnskey", "generate", "kube-cp.com", "--out", path]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let [created, dnskey, parent, ds] = made.lines().collect::<Vec<_>>()[..] else { panic!("{made}") };
    assert!(
        created.starts_with(&format!("{path} was created with the key ")) && created.ends_with("(csk)"),
        "{created}"
    );
    assert!(dnskey.starts_with("kube-cp.com. IN DNSKEY 257 3 13 "), "{dnskey}");
    assert_eq!(parent, "for the parent of the zone, once every host signs with the key:");
    assert!(ds.starts_with("kube-cp.com. IN DS ") && ds.contains(" 13 2 "), "{ds}");
    let shown = output(&["dnskey", "show", path, "kube-cp.com"]);
    assert_eq!(shown, format!("{dnskey}\n{parent}\n{ds}\n"));
    let zsk = output(&["dnskey", "show", path, "kube-cp.com", "--role", "zsk"]);
    assert!(zsk.lines().count() == 1 && zsk.starts_with("kube-cp.com. IN DNSKEY 256 3 13 "), "{zsk}");
}

#[test]
fn a_dnssec_key_file_is_never_overwritten_and_a_wrong_name_makes_none() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("zone.pem");
    let generate = |zone: &str| finish(daymark(&["dnskey", "generate", zone, "--out"]).arg(&file));
    let refused = generate("a..b");
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("a..b: the name of the zone is no DNS name"), "{}", refused.stderr);
    assert!(!file.exists());
    assert_eq!(generate("kube-cp.com").code, Some(0));
    let before = fs::read(&file).unwrap();
    let refused = generate("kube-cp.com");
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("exists and stays as it is; name a new file"), "{}", refused.stderr);
    assert_eq!(fs::read(&file).unwrap(), before);
}
