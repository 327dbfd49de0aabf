//! The keys that cannot change while Daymark runs, because sockets, files or calls under way depend on them.
//!
//! Each section has one function, and so has the file. It takes the section apart without `..`, so a new key does not compile
//! until someone has decided here if it can change.

use std::mem::discriminant;

use daymark_cloudflare::{CallSettings, CloudflareSettings, PublishMode, Served, TokenSource};
use daymark_decision::Membership;

use daymark_config::{AdminConfig, AuthoritativeConfig, Config, PeersConfig, ProviderConfig};

/// The keys that differ between two configurations and cannot change. Each is a path such as `admin.listen`.
pub(super) fn changed_fixed_keys(old: &Config, new: &Config) -> Vec<String> {
    let Config { pools: _, providers, peers, admin, sync: _, state_dir, warnings: _, source: _ } = old;
    let mut changed = of_providers(providers, &new.providers);
    match (peers, &new.peers) {
        (Some(old), Some(new)) => changed.extend(of_peers(old, new)),
        (None, None) => {}
        _ => changed.push("peers".to_owned()),
    }
    changed.extend(of_admin(admin, &new.admin));
    if *state_dir != new.state_dir {
        changed.push("stateDir".to_owned());
    }
    changed
}

/// A key of a section, and if it differs.
struct FixedKey {
    name: &'static str,
    differs: bool,
}

fn key(name: &'static str, differs: bool) -> FixedKey {
    FixedKey { name, differs }
}

/// The paths of the keys that differ.
fn paths(section: &str, keys: impl IntoIterator<Item = FixedKey>) -> Vec<String> {
    keys.into_iter().filter(|key| key.differs).map(|key| format!("{section}.{}", key.name)).collect()
}

fn of_admin(old: &AdminConfig, new: &AdminConfig) -> Vec<String> {
    let AdminConfig { listen, metrics_listen, freebind, allowed_hosts, token_file } = old;
    let keys = [
        key("listen", *listen != new.listen),
        key("metricsListen", *metrics_listen != new.metrics_listen),
        key("freebind", *freebind != new.freebind),
        key("allowedHosts", *allowed_hosts != new.allowed_hosts),
        key("tokenFile", *token_file != new.token_file),
    ];
    paths("admin", keys)
}

fn of_peers(old: &PeersConfig, new: &PeersConfig) -> Vec<String> {
    let PeersConfig { membership, listen, freebind, cluster, addresses, key_file } = old;
    // The members are the names of the addresses, and the last follows from the providers.
    let Membership { own, members: _, can_write: _ } = membership;
    let keys = [
        key("self", *own != new.membership.own),
        key("listen", *listen != new.listen),
        key("freebind", *freebind != new.freebind),
        key("cluster", *cluster != new.cluster),
        key("members", *addresses != new.addresses),
        key("keyFile", *key_file != new.key_file),
    ];
    paths("peers", keys)
}

fn of_providers(old: &[ProviderConfig], new: &[ProviderConfig]) -> Vec<String> {
    let types = |providers: &[ProviderConfig]| providers.iter().map(discriminant).collect::<Vec<_>>();
    if types(old) != types(new) {
        return vec!["providers".to_owned()];
    }
    let pairs = old.iter().zip(new).enumerate();
    pairs.flat_map(|(index, (old, new))| paths(&format!("providers[{index}]"), of_provider(old, new))).collect()
}

fn of_provider(old: &ProviderConfig, new: &ProviderConfig) -> Vec<FixedKey> {
    match (old, new) {
        (ProviderConfig::Authoritative(old), ProviderConfig::Authoritative(new)) => of_authoritative(old, new),
        (ProviderConfig::Cloudflare(old), ProviderConfig::Cloudflare(new)) => of_cloudflare(old, new),
        // Their types have been compared before.
        (ProviderConfig::Authoritative(_), ProviderConfig::Cloudflare(_))
        | (ProviderConfig::Cloudflare(_), ProviderConfig::Authoritative(_)) => Vec::new(),
    }
}

fn of_authoritative(old: &AuthoritativeConfig, new: &AuthoritativeConfig) -> Vec<FixedKey> {
    let AuthoritativeConfig {
        listen,
        freebind,
        nameservers: _,
        zone: _,
        zone_file: _,
        dnssec: _,
        max_tcp_connections,
        max_tcp_connections_per_client: per_client,
        rate_limit: _,
        udp_workers,
        identity,
        nsid,
        chaos,
    } = old;
    vec![
        key("listen", *listen != new.listen),
        key("freebind", *freebind != new.freebind),
        key("maxTcpConnections", *max_tcp_connections != new.max_tcp_connections),
        key("maxTcpConnectionsPerClient", *per_client != new.max_tcp_connections_per_client),
        key("udpWorkers", *udp_workers != new.udp_workers),
        key("identity", *identity != new.identity),
        key("nsid", *nsid != new.nsid),
        key("chaos", *chaos != new.chaos),
    ]
}

fn of_cloudflare(old: &CloudflareSettings, new: &CloudflareSettings) -> Vec<FixedKey> {
    let CloudflareSettings { name, calls, owner, drift_interval, pools: _, mode } = old;
    let mut keys = vec![key("name", *name != new.name)];
    keys.extend(of_calls(calls, &new.calls));
    keys.push(key("owner", *owner != new.owner));
    keys.push(key("driftInterval", *drift_interval != new.drift_interval));
    keys.push(key("pools (the names and ports of the published pools)", !is_same_publication(old, new)));
    keys.extend(of_mode(mode, &new.mode));
    keys
}

fn of_calls(old: &CallSettings, new: &CallSettings) -> Vec<FixedKey> {
    let CallSettings { api, token, timeout, share } = old;
    let token_key = match new.token {
        TokenSource::File(_) => "tokenFile",
        TokenSource::Environment(_) => "tokenVariable",
    };
    vec![
        key("api", *api != new.api),
        key(token_key, *token != new.token),
        key("timeout", *timeout != new.timeout),
        key("callShare", *share != new.share),
    ]
}

fn of_mode(old: &PublishMode, new: &PublishMode) -> Vec<FixedKey> {
    match (old, new) {
        (PublishMode::Records { zone, ttl }, PublishMode::Records { zone: new_zone, ttl: new_ttl }) => {
            vec![key("zone", zone != new_zone), key("ttl", ttl != new_ttl)]
        }
        (
            PublishMode::LoadBalancing { account, zone, cloudflare_pools, manage },
            PublishMode::LoadBalancing {
                account: new_account,
                zone: new_zone,
                cloudflare_pools: new_pools,
                manage: new_manage,
            },
        ) => {
            let is_same_kind = discriminant(manage) == discriminant(new_manage);
            // If the number of pools differs, the key of the pools says so already.
            let other_pools = cloudflare_pools.len() == new_pools.len() && cloudflare_pools != new_pools;
            vec![
                key("account", account != new_account),
                key("zone", zone != new_zone),
                key("pools[].cloudflarePool", other_pools),
                key("manage", !is_same_kind),
                key("ttl", is_same_kind && manage != new_manage),
            ]
        }
        _ => vec![key("mode", true)],
    }
}

/// True if the same pools are published. The settings of their probes may change: the provider uses them only in a warning.
fn is_same_publication(old: &CloudflareSettings, new: &CloudflareSettings) -> bool {
    let published = |pool: &Served| (pool.pool.clone(), pool.port);
    old.pools.iter().map(published).eq(new.pools.iter().map(published))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;

    const POOLS: &str = "
pools:
  - name: lb.example.org
    nodes: [{name: cp-1, addresses: [192.0.2.1]}]
    probe: {interval: 1s}
providers:
";
    const AUTHORITATIVE: &str = "  - {type: authoritative, nameservers: [{name: ns1.example.net}]}\n";
    const CLOUDFLARE: &str = "  - {type: cloudflare, mode: records, zone: example.org, tokenVariable: TOKEN}\n";

    fn fixed(old: &str, new: &str) -> Vec<String> {
        let read = |text: &str| Config::parse(text, "test.yaml", Path::new("")).unwrap();
        changed_fixed_keys(&read(old), &read(new))
    }

    #[test]
    fn the_nodes_of_a_cloudflare_provider_and_their_probes_can_change_and_the_rest_cannot() {
        let old = format!("{POOLS}{AUTHORITATIVE}{CLOUDFLARE}");
        let with = |from: &str, to: &str| fixed(&old, &old.replace(from, to));
        assert_eq!(with("[192.0.2.1]", "[192.0.2.1, 192.0.2.2]"), [""; 0]);
        assert_eq!(with("interval: 1s", "interval: 3s"), [""; 0]);
        let pools = ["providers[1].pools (the names and ports of the published pools)"];
        assert_eq!(with("    nodes", "    port: 443\n    nodes"), pools);
        let another = "providers:\n";
        let one_more = "  - {name: lb2.example.org, nodes: [{name: cp-1, addresses: [192.0.2.9]}]}\nproviders:\n";
        assert_eq!(with(another, one_more), pools, "all are published by default");
    }

    #[test]
    fn a_fixed_key_is_named_by_its_path() {
        const BALANCING: &str = "  - {type: cloudflare, mode: loadBalancing, zone: example.org, tokenVariable: TOKEN, account: \
            0123456789abcdef0123456789abcdef, pools: [{name: lb.example.org, cloudflarePool: lb}]}\n";
        for (provider, from, to, key) in [
            (CLOUDFLARE, "mode: records", "name: edge, mode: records", "name"),
            (CLOUDFLARE, "mode: records", "mode: records, api: \"https://a.example\"", "api"),
            (CLOUDFLARE, "TOKEN", "OTHER", "tokenVariable"),
            (CLOUDFLARE, "mode: records", "mode: records, timeout: 2s", "timeout"),
            (CLOUDFLARE, "mode: records", "mode: records, callShare: 7", "callShare"),
            (CLOUDFLARE, "mode: records", "mode: records, driftInterval: 2m", "driftInterval"),
            (CLOUDFLARE, "mode: records", "mode: records, ttl: 2m", "ttl"),
            (CLOUDFLARE, "zone: example.org", "zone: org", "zone"),
            (CLOUDFLARE, CLOUDFLARE, BALANCING, "mode"),
            (BALANCING, "0123456789abcdef0", "0123456789abcdef1", "account"),
            (BALANCING, "zone: example.org", "zone: org", "zone"),
            (BALANCING, "cloudflarePool: lb", "cloudflarePool: other", "pools[].cloudflarePool"),
            (BALANCING, "mode:", "manage: full, mode:", "manage"),
        ] {
            let old = format!("{POOLS}{provider}");
            assert_eq!(fixed(&old, &old.replace(from, to)), [format!("providers[0].{key}")]);
        }
        let full = BALANCING.replace("mode:", "manage: full, mode:");
        let old = format!("{POOLS}{full}");
        assert_eq!(fixed(&old, &old.replace("mode:", "ttl: 40s, mode:")), ["providers[0].ttl"]);
        let with_admin = |admin: &str| format!("{POOLS}{CLOUDFLARE}admin: {{listen: \"127.0.0.1:{admin}\"}}\n");
        assert_eq!(fixed(&with_admin("1"), &with_admin("2")), ["admin.listen"]);
        let with_key = |key: &str| format!("{POOLS}{CLOUDFLARE}admin: {{{key}}}\n");
        for key in ["metricsListen: \"[::1]:9354\"", "allowedHosts: [dns-1]", "freebind: true"] {
            let (name, _) = key.split_once(':').unwrap();
            assert_eq!(fixed(&with_key(""), &with_key(key)), [format!("admin.{name}")]);
        }
    }

    #[test]
    fn the_peers_cannot_change_but_the_contents_of_their_key_file_can() {
        const MEMBERS: &str = "members: [{name: a, address: 192.0.2.1}, {name: b, address: 192.0.2.2}]";
        const KEY: &str = "AECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("daymark.yaml");
        for (name, first) in [("gossip.key", "A"), ("other.key", "B")] {
            let path = dir.path().join(name);
            fs::write(&path, format!("{first}{KEY}")).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let load = |text: &str, named| {
            fs::write(&file, text).unwrap();
            Config::load(&file, named).unwrap()
        };
        let peers = format!("peers: {{self: a, keyFile: gossip.key, {MEMBERS}}}\n");
        let with_peers = format!("{POOLS}{CLOUDFLARE}{peers}");
        let old = load(&with_peers, None);
        let fixed = |from: &str, to: &str| changed_fixed_keys(&old, &load(&with_peers.replace(from, to), None));
        assert_eq!(fixed("self: a", "self: b"), ["peers.self"]);
        assert_eq!(fixed("self: a", "self: a, listen: \"[::]:7000\""), ["peers.listen"]);
        assert_eq!(fixed("self: a", "self: a, freebind: true"), ["peers.freebind"]);
        assert_eq!(fixed("self: a", "self: a, cluster: other"), ["peers.cluster"]);
        assert_eq!(fixed("gossip.key", "other.key"), ["peers.keyFile"]);
        assert_eq!(fixed("192.0.2.2}", "192.0.2.3}"), ["peers.members"]);
        assert_eq!(fixed("192.0.2.2}", "192.0.2.2}, {name: c, address: 192.0.2.3}"), ["peers.members"]);
        assert_eq!(fixed(&peers, ""), ["peers"]);
        let in_other_order = MEMBERS.replace(
            "name: a, address: 192.0.2.1}, {name: b, address: 192.0.2.2",
            "name: b, address: 192.0.2.2}, {name: a, address: 192.0.2.1",
        );
        assert_eq!(fixed(MEMBERS, &in_other_order), [""; 0]);
        fs::write(dir.path().join("gossip.key"), format!("C{KEY}")).unwrap();
        assert_eq!(fixed("", ""), [""; 0]);
        let named = load(&with_peers, Some("b"));
        fs::write(&file, with_peers.replace("self: a, ", "")).unwrap();
        assert_eq!(
            changed_fixed_keys(&named, &named.load_again(&file).unwrap()),
            [""; 0],
            "it is named beside the file"
        );
    }

    #[test]
    fn the_rate_limit_can_change() {
        let old = format!("{POOLS}{AUTHORITATIVE}");
        let limited =
            old.replace("type: authoritative", "type: authoritative, rateLimit: {mode: logOnly, exempt: [10.0.0.0/8]}");
        assert_eq!(fixed(&old, &limited), [""; 0]);
    }

    #[test]
    fn providers_cannot_be_added_removed_or_reordered() {
        let both = format!("{POOLS}{AUTHORITATIVE}{CLOUDFLARE}");
        assert_eq!(fixed(&both, &format!("{POOLS}{AUTHORITATIVE}")), ["providers"]);
        assert_eq!(fixed(&both, &format!("{POOLS}{CLOUDFLARE}{AUTHORITATIVE}")), ["providers"]);
    }
}
