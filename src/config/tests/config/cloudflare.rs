//! The keys of Cloudflare providers: their settings, the mode that each belongs to, and the warnings.

use std::time::Duration;

use daymark_cloudflare::{CloudflareSettings, Manage, PublishMode, TokenSource};
use daymark_config::ProviderConfig;
use daymark_config::budget::report;

use crate::support::{error, files, parse, warnings, with};

const POOLS: &str = "\
pools:
  - name: lb.kube-cp.com
    nodes:
      - {name: kube-cp-1, addresses: [8.8.4.4]}
    probe: {ca: ca.crt}
providers:
";
const RECORDS: &str = "  - {type: cloudflare, mode: records, zone: kube-cp.com, tokenFile: token}\n";
const ORIGINS: &str = "  - {type: cloudflare, mode: loadBalancing, zone: kube-cp.com, tokenFile: token, account: \
                       0123456789abcdef0123456789ABCDEF, pools: [{name: lb.kube-cp.com, cloudflarePool: kube-cp}]}\n";
const FULL: &str = "  - {type: cloudflare, mode: loadBalancing, manage: full, zone: kube-cp.com, tokenFile: token, \
                    account: 0123456789abcdef0123456789abcdef}\n";

fn file(providers: &str) -> String {
    format!("{POOLS}{providers}")
}

fn settings(provider: &str) -> CloudflareSettings {
    let mut config = parse(&file(provider), files().path()).unwrap();
    let ProviderConfig::Cloudflare(settings) = config.providers.remove(0) else { panic!("{config:?}") };
    settings
}

/// The only error of a provider with one part changed, from its key on.
fn fault(provider: &str, old: &str, new: &str) -> String {
    let error = error(&file(&with(provider, old, new)));
    let (location, message) = error.split_once(" providers").unwrap();
    assert!(location.starts_with("daymark.yaml:7:"), "{error}");
    format!("providers{message}")
}

#[test]
fn a_key_of_records_that_is_left_out_has_its_default() {
    let settings = settings(RECORDS);
    assert_eq!((settings.name.as_str(), settings.drift_interval), ("cloudflare", Duration::from_mins(5)));
    assert_eq!(settings.calls.api, "https://api.cloudflare.com/client/v4");
    assert_eq!((settings.calls.timeout, settings.calls.share), (Duration::from_secs(10), 25));
    assert!(matches!(settings.calls.token, TokenSource::File(path) if path.is_absolute()));
    assert_eq!(settings.mode, PublishMode::Records { zone: Some("kube-cp.com".to_owned()), ttl: None });
    let served = &settings.pools[0];
    assert_eq!((served.pool.as_str(), served.port), ("lb.kube-cp.com", 6443));
    // interval 1s + fall 3 × confirmInterval 100ms + timeout 5s: a stuck node takes longest
    assert_eq!(served.detection, Duration::from_millis(6300));
}

#[test]
fn origins_and_full_management_are_different_settings() {
    let account = "0123456789abcdef0123456789abcdef".to_owned();
    let zone = Some("kube-cp.com".to_owned());
    let origins = PublishMode::LoadBalancing {
        account: account.clone(),
        zone: zone.clone(),
        cloudflare_pools: vec!["kube-cp".to_owned()],
        manage: Manage::Origins,
    };
    assert_eq!(settings(ORIGINS).mode, origins);
    let full = PublishMode::LoadBalancing {
        account,
        zone,
        cloudflare_pools: vec!["daymark-lb-kube-cp-com".to_owned()],
        manage: Manage::Full { ttl: 30 },
    };
    assert_eq!(settings(FULL).mode, full);
}

#[test]
fn every_key_of_records_has_its_effect() {
    let keys = "tokenVariable: CF_TOKEN, ttl: 2m, driftInterval: 24h, timeout: 1s, callShare: 100, api: \
                \"http://127.0.0.1:8080/v4/\", name: edge";
    let settings = settings(&with(RECORDS, "tokenFile: token", keys));
    assert_eq!(settings.calls.token, TokenSource::Environment("CF_TOKEN".to_owned()));
    assert_eq!(settings.mode, PublishMode::Records { zone: Some("kube-cp.com".to_owned()), ttl: Some(120) });
    assert_eq!((settings.name.as_str(), settings.drift_interval), ("edge", Duration::from_hours(24)));
    assert_eq!((settings.calls.timeout, settings.calls.share), (Duration::from_secs(1), 100));
    assert_eq!(settings.calls.api, "http://127.0.0.1:8080/v4");
}

#[test]
fn exactly_one_source_of_the_token_is_needed() {
    assert_eq!(
        fault(RECORDS, ", tokenFile: token", ""),
        "providers[0]: has no API token; one of tokenFile, tokenVariable is needed"
    );
    assert_eq!(
        fault(RECORDS, "tokenFile: token", "tokenFile: token, tokenVariable: CF_TOKEN"),
        "providers[0]: tokenFile and tokenVariable exclude each other; one of the two is allowed"
    );
    assert_eq!(fault(RECORDS, ": token}", ": blank}"), "providers[0].tokenFile: blank is empty; a token is needed");
    assert_eq!(
        fault(RECORDS, "tokenFile: token", "tokenVariable: a-token-by-mistake"),
        "providers[0].tokenVariable: this is not a valid name of an environment variable; the name of an environment \
         variable (letters, digits and _) is allowed"
    );
}

#[test]
fn a_key_of_another_mode_is_refused() {
    let records = |key: &str| fault(RECORDS, "tokenFile", &format!("{key}, tokenFile"));
    assert_eq!(
        records("account: 0123456789abcdef0123456789abcdef"),
        "providers[0].account: `account` is allowed only with `mode: loadBalancing`; leave it out"
    );
    assert_eq!(
        records("manage: full"),
        "providers[0].manage: `manage` is allowed only with `mode: loadBalancing`; leave it out"
    );
    assert_eq!(
        records("pools: [{name: lb.kube-cp.com, cloudflarePool: x}]"),
        "providers[0].pools[0].cloudflarePool: `cloudflarePool` is allowed only with `mode: loadBalancing`; leave it \
         out"
    );
    assert_eq!(
        fault(ORIGINS, "tokenFile", "ttl: 60s, tokenFile"),
        "providers[0].ttl: `ttl` is not allowed with `manage: origins`, because the balancer at Cloudflare has its own \
         TTL; leave it out"
    );
}

#[test]
fn a_zone_may_be_left_out_in_every_mode() {
    for provider in [RECORDS, ORIGINS, FULL] {
        let found = settings(&with(provider, "zone: kube-cp.com, ", ""));
        let (PublishMode::Records { zone, .. } | PublishMode::LoadBalancing { zone, .. }) = found.mode;
        assert_eq!(zone, None, "{provider}");
    }
}

#[test]
fn a_provider_may_have_an_owner() {
    assert_eq!(settings(RECORDS).owner, None);
    assert_eq!(settings(&with(RECORDS, "tokenFile", "owner: prod-1, tokenFile")).owner.as_deref(), Some("prod-1"));
    assert!(
        warnings(&file(&with(ORIGINS, "tokenFile", "owner: prod-1, tokenFile")))[0].contains("`owner` has no effect")
    );
    assert_eq!(
        fault(RECORDS, "tokenFile", "owner: \"prod 1\", tokenFile"),
        "providers[0].owner: \"prod 1\" is not an owner; 1 to 32 letters, digits, -, _ and . without a dot at the end is allowed"
    );
}

#[test]
fn a_key_that_the_mode_needs_is_required() {
    assert_eq!(
        fault(FULL, ", account: 0123456789abcdef0123456789abcdef", ""),
        "providers[0].account: is missing; an ID of 32 hexadecimal digits is needed"
    );
    assert_eq!(
        fault(RECORDS, "mode: records, ", ""),
        "providers[0].mode: is missing; one of records, loadBalancing is needed"
    );
    assert_eq!(
        fault(ORIGINS, ", pools: [{name: lb.kube-cp.com, cloudflarePool: kube-cp}]", ""),
        "providers[0].pools: is missing; a list of at least one pool with its cloudflarePool is needed"
    );
    assert_eq!(
        fault(ORIGINS, ", cloudflarePool: kube-cp", ""),
        "providers[0].pools[0].cloudflarePool: is missing; the name (letters, digits, - and _) or the ID of a \
         Cloudflare pool is needed"
    );
}

#[test]
fn the_error_of_an_empty_list_of_pools_names_a_cloudflare_pool_only_for_origins() {
    let empty = |provider: &str| fault(provider, "tokenFile", "pools: [], tokenFile");
    for provider in [RECORDS, FULL] {
        assert_eq!(empty(provider), "providers[0].pools: is an empty list; at least one pool is needed");
    }
    assert_eq!(
        fault(ORIGINS, "{name: lb.kube-cp.com, cloudflarePool: kube-cp}", ""),
        "providers[0].pools: is an empty list; at least one pool with its cloudflarePool is needed"
    );
}

#[test]
fn every_published_pool_is_in_the_file_and_in_the_zone() {
    assert_eq!(
        fault(ORIGINS, "name: lb.kube-cp.com", "name: lb.kube-cp.org"),
        "providers[0].pools[0].name: lb.kube-cp.org is not a pool of this file; the pools are lb.kube-cp.com"
    );
    assert_eq!(
        fault(RECORDS, "zone: kube-cp.com", "zone: be-cp.com"),
        "providers[0].zone: the pool lb.kube-cp.com does not lie in be-cp.com; the zone of every pool is needed"
    );
    let by_id = with(RECORDS, "zone: kube-cp.com", "zone: 0123456789abcdef0123456789abcdef");
    assert!(matches!(settings(&by_id).mode, PublishMode::Records { zone: Some(zone), .. } if zone.len() == 32));
}

#[test]
fn values_out_of_their_bounds_are_refused() {
    let records = |keys: &str| fault(RECORDS, "tokenFile", &format!("{keys}, tokenFile"));
    assert_eq!(records("ttl: 29s"), "providers[0].ttl: 29s is too short for records; at least 30s is allowed");
    assert_eq!(
        records("ttl: 30500ms"),
        "providers[0].ttl: 30500ms is not a whole number of seconds; 1s, 2s and so on are allowed"
    );
    for (keys, part) in [
        ("ttl: 4s", "from 5s to 24h is allowed"),
        ("driftInterval: 9s", "from 10s to 24h is allowed"),
        ("timeout: 61s", "from 1s to 1m is allowed"),
        ("callShare: 0", "a whole number from 1 to 100 is allowed"),
        ("name: \"a/b\"", "\"a/b\" is not a valid name of a provider"),
        ("api: \"http://192.0.2.1/v4\"", "is not the base address of an API"),
        ("api: \"http://localhost/v4\"", "is not the base address of an API"),
        ("api: \"https://token@api.example.org\"", "is not the base address of an API"),
        ("api: \"https://api.example.org/v4?a=b\"", "is not the base address of an API"),
        ("api: api.example.org", "is not the base address of an API"),
    ] {
        let message = records(keys);
        assert!(message.contains(part), "{keys}: {message}");
    }
}

#[test]
fn the_shortest_ttl_of_records_is_allowed() {
    let shortest = settings(&with(RECORDS, "tokenFile", "ttl: 30s, tokenFile"));
    assert_eq!(shortest.mode, PublishMode::Records { zone: Some("kube-cp.com".to_owned()), ttl: Some(30) });
}

#[test]
fn a_password_in_the_address_of_the_api_is_not_shown() {
    for api in ["https://user:secret@api.example.org/v4", "secret@", "https://secret@[", "http://secret@127.0.0.1/"] {
        let message = fault(RECORDS, "tokenFile", &format!("api: \"{api}\", tokenFile"));
        assert!(message.starts_with("providers[0].api: this is not the base address of an API; "), "{message}");
        assert!(!message.contains("secret"), "{message}");
    }
}

#[test]
fn each_provider_has_a_name_of_its_own() {
    let second = with(RECORDS, "tokenFile", "pools: [{name: lb.kube-cp.com}], api: \"https://a.example\", tokenFile");
    let config = parse(&file(&format!("{RECORDS}{second}")), files().path()).unwrap();
    let names: Vec<_> = config
        .providers
        .iter()
        .map(|provider| match provider {
            ProviderConfig::Cloudflare(settings) => settings.name.clone(),
            ProviderConfig::Authoritative(_) => panic!("there is none"),
        })
        .collect();
    assert_eq!(names, ["cloudflare", "cloudflare-2"]);

    let same = with(&second, "tokenFile", "name: cloudflare, tokenFile");
    let message = error(&file(&format!("{RECORDS}{same}")));
    assert!(message.contains("providers[1].name: cloudflare is the same provider as providers[0]"), "{message}");
    assert_eq!(
        fault(RECORDS, "tokenFile", "name: authoritative, tokenFile"),
        "providers[0].name: authoritative is the name of the provider of that type; a name of 1 to 63 letters, digits and -, \
         other than authoritative is allowed"
    );
}

#[test]
fn no_two_providers_write_the_same_object() {
    let twice = |first: &str, second: &str| error(&file(&format!("{first}{second}")));
    assert_eq!(
        twice(RECORDS, RECORDS),
        "daymark.yaml:8:5: providers[1]: the name lb.kube-cp.com in the zone kube-cp.com is the same target of writing as \
         providers[0] on line 7; each is allowed once"
    );
    assert!(
        twice(RECORDS, FULL).contains("the name lb.kube-cp.com in the zone kube-cp.com"),
        "the balancer has the name"
    );
    let anywhere = with(RECORDS, "zone: kube-cp.com, ", "");
    assert!(
        twice(&anywhere, &anywhere).contains("the name lb.kube-cp.com is the same target of writing"),
        "each finds it"
    );
    let by_id = with(RECORDS, "zone: kube-cp.com", "zone: 0123456789abcdef0123456789abcdef");
    for (first, second) in [(RECORDS, by_id.as_str()), (&by_id, &anywhere), (&anywhere, RECORDS), (FULL, &anywhere)] {
        assert!(twice(first, second).contains("the same target of writing"), "{first}{second}");
    }
    let own = with(ORIGINS, "cloudflarePool: kube-cp", "cloudflarePool: daymark-lb-kube-cp-com");
    assert!(twice(FULL, &own).contains("the Cloudflare pool daymark-lb-kube-cp-com of the account"));
}

#[test]
fn two_pools_with_one_default_cloudflare_pool_are_an_error_with_their_names() {
    let second =
        "  - {name: lb-kube.cp.com, nodes: [{name: a, addresses: [8.8.8.8]}], probe: {ca: ca.crt}}\nproviders:";
    let two = |provider: &str| error(&with(&file(provider), "providers:", second));
    let by_id = "zone: 0123456789abcdef0123456789abcdef";
    assert_eq!(
        two(&with(FULL, "zone: kube-cp.com", by_id)),
        "daymark.yaml:8:5: providers[0]: the pools lb.kube-cp.com and lb-kube.cp.com both have the Cloudflare pool \
         daymark-lb-kube-cp-com; give one of them another with `cloudflarePool`"
    );
    let origins = with(ORIGINS, "zone: kube-cp.com", by_id);
    let message = two(&with(
        &origins,
        "cloudflarePool: kube-cp}",
        "cloudflarePool: x}, {name: lb-kube.cp.com, cloudflarePool: x}",
    ));
    assert!(
        message.contains("providers[0].pools[1].name: the pools lb.kube-cp.com and lb-kube.cp.com both have"),
        "{message}"
    );
}

#[test]
fn a_doubtful_setting_is_a_warning() {
    let warning = |text: &str| {
        let warnings = warnings(text);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        warnings[0].split_once(' ').unwrap().1.to_owned()
    };
    assert_eq!(
        warning(&file(RECORDS)),
        "providers[0]: lb.kube-cp.com: at worst, the answer is right in every cache after 66.3s and Cloudflare's own \
         time; clients notice by themselves after about 45s, and nodes turn NotReady after 50s; Load Balancing or the \
         authoritative provider changes the answer sooner"
    );
    assert_eq!(
        warning(&with(&file(FULL), "    probe:", "    steering: {mode: weighted}\n    probe:")),
        "providers[0]: the weights of lb.kube-cp.com have no effect at Cloudflare, where every address counts alike"
    );
    assert!(warning(&file(&with(FULL, "tokenFile", "ttl: 1m, tokenFile"))).contains("a shorter ttl"));
    assert_eq!(warnings(&file(FULL)), [""; 0]);
}

#[test]
fn full_management_of_an_address_that_is_not_public_is_a_warning() {
    let warned = |address: &str| warnings(&with(&file(FULL), "8.8.4.4", &format!("\"{address}\""))).len() == 1;
    for address in ["10.1.2.3", "192.0.2.1", "100.64.0.1", "198.19.0.1", "240.0.0.1", "fd00::1", "2001:db8::1"] {
        assert!(warned(address), "{address}");
    }
    for address in ["8.8.4.4", "100.128.0.1", "198.20.0.1", "2606:4700::1"] {
        assert!(!warned(address), "{address}");
    }
}

#[test]
fn the_report_has_the_worst_case_through_cloudflare() {
    let report = |providers: &str| report(&parse(&file(providers), files().path()).unwrap()).to_string();
    let own = "and Cloudflare's own time, which was never measured\n";
    let records = report(RECORDS);
    assert!(records.contains(&format!("    by cloudflare in 66.3s = 6.3s + TTL 60s, {own}")), "{records}");
    assert!(!records.contains("ttl.max"), "Daymark serves nothing itself: {records}");
    let origins = report(ORIGINS);
    assert!(origins.contains(&format!("    by cloudflare in 6.3s + the balancer's TTL, {own}")), "{origins}");
}
