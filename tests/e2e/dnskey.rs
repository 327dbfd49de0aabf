//! `daymark dnskey`, the files that it makes, and a zone that is signed with them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::support::dns::lines;
use crate::support::nodes::{Nodes, Plan};
use crate::support::{Daymark, POOL, daymark, finish, output, until};

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

/// The verdict of delv on the answer of the pool, by the trust anchor of a DS record.
fn delv(host: &Daymark, nodes: &Nodes, ds: &str) -> String {
    let [tag, algorithm, kind, digest] = ds.split(' ').skip(3).collect::<Vec<_>>()[..] else { panic!("{ds}") };
    let anchor = nodes.path("anchor");
    let text = format!("trust-anchors {{ {POOL}. static-ds {tag} {algorithm} {kind} \"{digest}\"; }};\n");
    fs::write(&anchor, text).unwrap();
    let root = format!("+root={POOL}");
    lines("delv", host.dns, &["-a", anchor.to_str().unwrap(), &root, POOL, "A"]).remove(0)
}

/// A key, by the tag and the DS record that were printed for it.
struct PrintedKey {
    tag: String,
    ds: String,
}

/// Makes a key.
fn generate(nodes: &Nodes, name: &str) -> PrintedKey {
    let made = output(&["dnskey", "generate", POOL, "--out", nodes.path(name).to_str().unwrap()]);
    let ds = made.lines().last().unwrap().to_owned();
    PrintedKey { tag: ds.split(' ').nth(3).unwrap().to_owned(), ds }
}

fn signed_by(nodes: &Nodes, files: &[&str]) -> PathBuf {
    let keys: Vec<String> = files.iter().map(|file| format!("{{file: {file}}}")).collect();
    let provider = format!("    dnssec: {{keys: [{}]}}", keys.join(", "));
    nodes.write(&Plan { provider, ..nodes.plan() })
}

#[test]
fn a_signed_zone_is_validated_over_a_new_key_and_a_key_file_that_breaks() {
    const VALIDATED: &str = "; fully validated";
    let nodes = Nodes::start(1);
    let old = generate(&nodes, "old.pem");
    let new = generate(&nodes, "new.pem");
    let host = Daymark::run(&signed_by(&nodes, &["old.pem"]));
    host.answers(&nodes.addresses(), "ready");
    assert_eq!(delv(&host, &nodes, &old.ds), VALIDATED);
    let shows_keys = |keys: &str| {
        let note = format!("{POOL} is signed; its keys are {keys}, and its first signature ends at ");
        until(&note, || output(&["status", "--api", &host.api()]).contains(&note).then_some(()));
    };
    shows_keys(&format!("{} (csk)", old.tag));

    signed_by(&nodes, &["old.pem", "new.pem"]);
    shows_keys(&format!("{} (csk), {} (csk)", old.tag, new.tag));
    for key in [&old, &new] {
        assert_eq!(delv(&host, &nodes, &key.ds), VALIDATED);
    }
    signed_by(&nodes, &["new.pem"]);
    shows_keys(&format!("{} (csk)", new.tag));
    assert_eq!(delv(&host, &nodes, &new.ds), VALIDATED);
    let metrics = host.get("/metrics").1;
    for metric in [
        format!("daymark_dns_zone_key{{zone=\"{POOL}\",tag=\"{}\",role=\"csk\",state=\"active\"}} 1", new.tag),
        format!("daymark_dns_signatures_not_after_timestamp_seconds{{zone=\"{POOL}\"}} "),
    ] {
        assert!(metrics.contains(&metric), "{metric} is missing in\n{metrics}");
    }
    assert!(!metrics.contains(&format!("tag=\"{}\"", old.tag)), "{metrics}");

    fs::write(nodes.path("new.pem"), "no key").unwrap();
    until("the broken key is an alarm", || {
        let alarms = host.json("/api/v1/status")["alarms"].to_string();
        alarms.contains("the new configuration is refused, and the old one stays: ").then_some(())
    });
    assert_eq!(delv(&host, &nodes, &new.ds), VALIDATED);
}
