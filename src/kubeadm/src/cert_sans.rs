//! The names and addresses for which certificates are valid. kubeadm adds to each certificate the name and the address of its
//! own node, and to those of the apiservers the host of `controlPlaneEndpoint`.

use std::net::IpAddr;

use daymark_decision::PoolName;

use super::cluster::{ClusterConfiguration, Etcd, SanList};
use super::endpoint;
use super::expected::ExpectedCluster;
use super::slip::{Slip, SlipKind};

/// A list of SANs with its path.
struct NamedList<'c> {
    path: &'static str,
    list: &'c SanList,
}

/// The entries that can be in no certificate.
///
/// Source: `ValidateCertSANs` of kubernetes/kubernetes `cmd/kubeadm/app/apis/kubeadm/validation/validation.go`.
pub(crate) fn check_entries(cluster: &ClusterConfiguration) -> Vec<Slip> {
    let mut slips = Vec::new();
    for NamedList { path, list } in lists(cluster) {
        for entry in list.entries.iter().flatten().filter(|entry| !is_san(&entry.value)) {
            slips
                .push(Slip::new(entry.position, SlipKind::BadSan { path: path.to_owned(), text: entry.value.clone() }));
        }
    }
    slips
}

/// The names and addresses that the lists do not have. A list of etcd counts if it is given: without one, kubeadm's own entries
/// are enough for etcd.
pub(crate) fn compare(cluster: &ClusterConfiguration, expected: &ExpectedCluster) -> Vec<Slip> {
    let mut slips = Vec::new();
    for NamedList { path, list } in lists(cluster) {
        let is_apiserver = path == APISERVER;
        if list.entries.is_none() && !is_apiserver {
            continue;
        }
        let has = |san: &String| list.entries.iter().flatten().any(|entry| covers(&entry.value, san));
        let missing: Vec<String> = required(expected).into_iter().filter(|san| !has(san)).collect();
        if !missing.is_empty() {
            let has_no_name = missing.iter().any(|san| san == expected.name.as_str());
            let is_fatal = is_apiserver && has_no_name && !endpoint::names(cluster, &expected.name);
            slips.push(Slip::new(list.position, SlipKind::MissingSans { path, missing, is_fatal }));
        }
    }
    slips
}

/// The name of the pool, and each node's name and addresses. A node's name that can be in no certificate is left out.
pub(crate) fn required(expected: &ExpectedCluster) -> Vec<String> {
    let mut sans = vec![expected.name.as_str().to_owned()];
    for node in &expected.nodes {
        let name = Some(node.name.as_str().to_ascii_lowercase()).filter(|name| is_san(name));
        for san in name.into_iter().chain(node.addresses.iter().map(IpAddr::to_string)) {
            if !sans.contains(&san) {
                sans.push(san);
            }
        }
    }
    sans
}

const APISERVER: &str = "apiServer.certSANs";

fn lists(cluster: &ClusterConfiguration) -> Vec<NamedList<'_>> {
    let mut lists = vec![NamedList { path: APISERVER, list: &cluster.apiserver_sans }];
    if let Etcd::Local { server_sans, peer_sans } = &cluster.etcd {
        lists.push(NamedList { path: "etcd.local.serverCertSANs", list: server_sans });
        lists.push(NamedList { path: "etcd.local.peerCertSANs", list: peer_sans });
    }
    lists
}

fn is_san(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
        || PoolName::new(text.strip_prefix("*.").unwrap_or(text)).is_ok_and(|_| !text.ends_with('.'))
}

/// An entry stands for itself, and one with `*` for any first label.
fn covers(entry: &str, san: &str) -> bool {
    let entry = entry.to_ascii_lowercase();
    if let (Ok(entry), Ok(san)) = (entry.parse::<IpAddr>(), san.parse::<IpAddr>()) {
        return entry == san;
    }
    match (entry.strip_prefix("*."), san.split_once('.')) {
        (Some(domain), Some((_, rest))) => domain == rest && san.parse::<IpAddr>().is_err(),
        _ => entry == san,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_covers_itself_in_any_spelling_and_a_wildcard_one_label() {
        for (entry, san, is_covered) in [
            ("API.example.com", "api.example.com", true),
            ("*.example.com", "api.example.com", true),
            ("*.example.com", "a.api.example.com", false),
            ("*.example.com", "example.com", false),
            ("2001:DB8:0::1", "2001:db8::1", true),
            ("192.0.2.1", "192.0.2.11", false),
        ] {
            assert_eq!(covers(entry, san), is_covered, "{entry} {san}");
        }
    }

    #[test]
    fn names_wildcards_and_addresses_can_be_in_a_certificate() {
        for (text, can) in [
            ("api.example.com", true),
            ("*.example.com", true),
            ("::1", true),
            ("k8s_api.example.com", false),
            ("api.example.com:6443", false),
            ("https://api", false),
            ("", false),
        ] {
            assert_eq!(is_san(text), can, "{text}");
        }
    }
}
