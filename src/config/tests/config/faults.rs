//! Invalid values. Each error names the line, the path of the key, what is wrong and what is allowed.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use crate::support::{SMALL, error, errors, files, warnings, with};

/// The only error of [`SMALL`] with one part changed, without the name of the file.
fn fault(old: &str, new: &str) -> String {
    let message = error(&with(SMALL, old, new));
    message.strip_prefix("daymark.yaml:").unwrap().to_owned()
}

/// The same with one more key in the probe of the only pool.
fn probe_fault(keys: &str) -> String {
    fault("probe: {ca: ca.crt}", &format!("probe: {{ca: ca.crt, {keys}}}"))
}

#[test]
fn an_unknown_key_is_an_error_with_the_nearest_key_and_all_allowed_keys() {
    assert_eq!(
        fault("addresses", "adresses"),
        "4:27: pools[0].nodes[0]: unknown key `adresses`; did you mean `addresses`? allowed are: name, addresses, \
         priority, weight"
    );
    assert_eq!(
        fault("pools:\n", "colour: red\npools:\n"),
        "1:1: the file: unknown key `colour`; allowed are: pools, providers, peers, admin, sync, stateDir"
    );
    assert_eq!(
        fault("nameservers:", "name_servers:"),
        "8:5: providers[0]: unknown key `name_servers`; did you mean `nameservers`? allowed are: type, listen, \
         freebind, nameservers, zone, zoneFile, maxTcpConnections, maxTcpConnectionsPerClient, rateLimit, \
         udpWorkers, identity, nsid, chaos, dnssec"
    );
}

#[test]
fn the_value_of_a_misspelt_key_is_checked_as_that_of_the_nearest_key() {
    let message = error(&with(SMALL, "addresses: [10.10.1.1]", "Adresses: [10.10.1]"));
    let [first, second] = message.lines().collect::<Vec<_>>()[..] else { panic!("{message}") };
    assert!(first.contains("did you mean `addresses`?"), "{first}");
    assert!(second.contains("pools[0].nodes[0].addresses[0]: \"10.10.1\" is not an IP address"), "{second}");
}

#[test]
fn a_key_given_twice_is_an_error() {
    let message = fault("    nodes:", "    port: 1\n    port: 2\n    nodes:");
    assert_eq!(message, "4:5: pools[0].port: is given twice, first on line 3; once is allowed");
}

#[test]
fn a_value_of_the_wrong_type_is_an_error_with_the_right_type() {
    let port = |value: &str| fault("    nodes:", &format!("    port: {value}\n    nodes:"));
    let allowed = "a whole number from 1 to 65535 is allowed";
    assert_eq!(
        port("\"6443\""),
        "3:11: pools[0].port: is the text \"6443\"; a whole number from 1 to 65535, without quotes, is allowed"
    );
    assert_eq!(port("https"), format!("3:11: pools[0].port: is the text \"https\"; {allowed}"));
    assert_eq!(port("64.5"), format!("3:11: pools[0].port: is the number 64.5; {allowed}"));
    assert_eq!(port("true"), format!("3:11: pools[0].port: is the boolean true; {allowed}"));
    assert_eq!(port("[6443]"), format!("3:11: pools[0].port: is a list; {allowed}"));
    assert_eq!(port("{a: 1}"), format!("3:11: pools[0].port: is a mapping; {allowed}"));
    assert_eq!(
        fault("[10.10.1.1]", "10.10.1.1"),
        "4:38: pools[0].nodes[0].addresses: is the text \"10.10.1.1\"; a list is allowed"
    );
    assert_eq!(
        fault("- {name: kube-cp-1, addresses: [10.10.1.1]}", "- kube-cp-1"),
        "4:9: pools[0].nodes[0]: is the text \"kube-cp-1\"; a mapping with keys among name, addresses, priority, weight \
         is allowed"
    );
    assert_eq!(
        probe_fault("insecure: yes"),
        "5:35: pools[0].probe.insecure: is the text \"yes\"; true or false is allowed"
    );
    assert_eq!(
        fault("name: kube-cp-1", "name: 1"),
        "4:16: pools[0].nodes[0].name: is the number 1; a text of 1 to 253 bytes without white space that is neither . nor .. is allowed"
    );
}

#[test]
fn a_key_without_a_value_is_empty() {
    let message = fault("pools:", "stateDir:\npools:");
    assert!(message.ends_with("stateDir: is empty; the path of a file or directory is allowed"), "{message}");
    assert!(message.starts_with("1:"), "{message}");
    assert!(fault("pools:", "stateDir: null\npools:").contains("stateDir: is empty"));
    assert!(fault("probe: {ca: ca.crt}", "probe:").contains("pools[0].probe: is empty; a mapping"));
}

#[test]
fn a_missing_required_key_is_an_error() {
    assert_eq!(
        error("{}"),
        "daymark.yaml:1:1: pools: is missing; a list of at least one pool is needed\n\
         daymark.yaml:1:1: providers: is missing; a list of at least one provider is needed"
    );
    assert_eq!(
        error("pools: []\nproviders: []\n"),
        "daymark.yaml:1:8: pools: is an empty list; at least one pool is needed\n\
         daymark.yaml:2:12: providers: is an empty list; at least one provider is needed"
    );
    assert_eq!(
        fault("addresses: [10.10.1.1]", "addresses: []"),
        "4:38: pools[0].nodes[0].addresses: is an empty list; at least one IP address is needed"
    );
    assert!(fault("{name: kube-cp-1, ", "{").starts_with(
        "4:9: pools[0].nodes[0].name: is missing; a text of 1 to 253 bytes without white space that is neither . nor .. is needed"
    ));
}

#[test]
fn a_number_out_of_its_range_is_an_error_with_the_range() {
    assert_eq!(
        fault("    nodes:", "    port: 70000\n    nodes:"),
        "3:11: pools[0].port: 70000 is too large; a whole number from 1 to 65535 is allowed"
    );
    assert_eq!(
        fault("    nodes:", "    port: -1\n    nodes:"),
        "3:11: pools[0].port: -1 is too small; a whole number from 1 to 65535 is allowed"
    );
    assert_eq!(
        probe_fault("fall: 0"),
        "5:31: pools[0].probe.fall: 0 is too small; a whole number from 1 to 100 is allowed"
    );
    assert_eq!(
        probe_fault("rise: 101"),
        "5:31: pools[0].probe.rise: 101 is too large; a whole number from 1 to 100 is allowed"
    );
}

#[test]
fn a_repeated_node_or_pool_is_an_error_with_its_first_location() {
    assert_eq!(
        fault("    probe:", "      - {name: kube-cp-1, addresses: [10.10.1.2]}\n    probe:"),
        "5:16: pools[0].nodes[1].name: kube-cp-1 is the same node as pools[0].nodes[0].name on line 4; each is allowed once"
    );
    let twice =
        "  - {name: LB.kube-cp.com., nodes: [{name: a, addresses: [10.10.1.9]}], probe: {ca: ca.crt}}\nproviders:";
    assert_eq!(
        fault("providers:", twice),
        "6:12: pools[1].name: lb.kube-cp.com is the same pool as pools[0].name on line 2; each is allowed once"
    );
}

#[test]
fn a_repeated_address_of_a_pool_is_an_error_with_its_first_location() {
    assert_eq!(
        fault("    probe:", "      - {name: kube-cp-2, addresses: [\"2001:db8::1\", 10.10.1.1]}\n    probe:"),
        "5:54: pools[0].nodes[1].addresses[1]: 10.10.1.1 is the same address as pools[0].nodes[0].addresses[0] on line 4; \
         each is allowed once"
    );
}

#[test]
fn an_address_that_belongs_to_no_machine_is_refused() {
    let address = |value: &str| {
        let message = fault("[10.10.1.1]", &format!("[\"{value}\"]"));
        let message = message.strip_prefix("4:39: pools[0].nodes[0].addresses[0]: ").unwrap();
        message.strip_suffix("; the IPv4 or IPv6 address of one machine is allowed").unwrap().to_owned()
    };
    assert_eq!(address("10.10.1.256"), "\"10.10.1.256\" is not an IP address");
    assert_eq!(address("kube-cp-1"), "\"kube-cp-1\" is not an IP address");
    assert_eq!(address("10.10.1.1/24"), "\"10.10.1.1/24\" is not an IP address");
    assert_eq!(address("0.0.0.0"), "0.0.0.0 is the unspecified address");
    assert_eq!(address("::"), ":: is the unspecified address");
    assert_eq!(address("224.0.0.1"), "224.0.0.1 is a multicast address");
    assert_eq!(address("ff02::1"), "ff02::1 is a multicast address");
    assert_eq!(address("255.255.255.255"), "255.255.255.255 is the broadcast address");
    assert_eq!(address("::ffff:10.10.1.1"), "::ffff:10.10.1.1 is an IPv4 address inside IPv6, so write 10.10.1.1");
}

#[test]
fn a_name_that_is_not_a_dns_name_is_refused() {
    let name = |value: &str| {
        let message = fault("name: lb.kube-cp.com", &format!("name: \"{value}\""));
        let allowed =
            "; a DNS name (labels of 1 to 63 letters, digits and inner hyphens, 253 characters in all) is allowed";
        message.strip_prefix("2:11: pools[0].name: ").unwrap().strip_suffix(allowed).unwrap().to_owned()
    };
    assert_eq!(name("10.10.1.1"), "\"10.10.1.1\" is an IP address, not a name");
    assert_eq!(name("2001:db8::1"), "\"2001:db8::1\" is an IP address, not a name");
    let long_label = format!("{}.com", "a".repeat(64));
    let long_name = "abcdefg.".repeat(32);
    let wrong = [
        ("", "it is empty"),
        (".", "it is empty"),
        ("lb..com", "it has an empty label"),
        (".com", "it has an empty label"),
        ("lb_1.com", "it has an underscore (_)"),
        ("-lb.com", "its label \"-lb\" begins with a hyphen"),
        ("lb-.com", "its label \"lb-\" ends with a hyphen"),
        ("https://lb.com", "it has the character \":\""),
        ("*.com", "it has the character \"*\""),
        ("lb com", "it has a space"),
        ("bücher.de", "it has the character \"ü\""),
    ];
    for (value, fault) in wrong {
        assert_eq!(name(value), format!("\"{value}\" is not a DNS name: {fault}"));
    }
    let label = "a".repeat(64);
    assert!(
        name(&long_label).ends_with(&format!(": its label \"{label}\" has 64 characters")),
        "{}",
        name(&long_label)
    );
    assert!(name(&long_name).ends_with(" is not a DNS name: it has 255 characters"), "{}", name(&long_name));
}

#[test]
fn the_port_in_a_name_or_an_address_belongs_in_port() {
    let name = fault("name: lb.kube-cp.com", "name: lb.kube-cp.com:6443");
    let belongs = "has a port, which belongs in `port` of the pool; ";
    assert!(name.starts_with(&format!("2:11: pools[0].name: \"lb.kube-cp.com:6443\" {belongs}")), "{name}");
    for address in ["10.10.1.1:6443", "[2001:db8::1]:6443"] {
        let message = fault("[10.10.1.1]", &format!("[\"{address}\"]"));
        assert!(message.contains(&format!(": \"{address}\" {belongs}")), "{message}");
    }
}

#[test]
fn a_name_of_a_single_label_is_a_warning() {
    let single = |text: &str| warnings(text).into_iter().filter(|w| w.contains("single label")).collect::<Vec<_>>();
    assert_eq!(single(SMALL), Vec::<String>::new());
    let message = |name: &str| {
        format!(
            "{name} has a single label, and many resolvers do not ask for such a name as it stands; a name with a domain \
             is better, such as {name}.example.org"
        )
    };
    let pool = single(&with(SMALL, "name: lb.kube-cp.com", "name: kube"));
    assert_eq!(pool.len(), 1);
    assert!(pool[0].ends_with(&format!("pools[0].name: {}", message("kube"))), "{pool:?}");
    let server = single(&with(SMALL, "name: ns1.kube-cp.com", "name: ns1"));
    assert_eq!(server.len(), 1);
    assert!(server[0].ends_with(&format!("nameservers[0].name: {}", message("ns1"))), "{server:?}");
}

#[test]
fn a_file_of_kubernetes_is_recognised() {
    let kubeadm = |kind: &str| format!("apiVersion: kubeadm.k8s.io/v1beta4\nkind: {kind}\n");
    let endpoint = "a file with `pools` is needed, in which the name of kubeadm's `controlPlaneEndpoint` is the `name` of a \
                    pool, and its port the `port`";
    for kind in ["ClusterConfiguration", "InitConfiguration", "JoinConfiguration"] {
        let expected =
            format!("daymark.yaml: the file: is a {kind} of kubeadm, and no configuration of Daymark; {endpoint}");
        let text = kubeadm(kind);
        assert_eq!(errors(&format!("{text}controlPlaneEndpoint: lb.kube-cp.com:6443\n")), [expected.as_str()]);
        let several = format!("# kubeadm\n---\n{text}---\n{}", kubeadm("KubeletConfiguration"));
        assert_eq!(errors(&several), [expected.as_str()], "a file of several documents");
    }
    let kubeconfig = "daymark.yaml: the file: is a kubeconfig, and no configuration of Daymark; a file with `pools` is \
                      needed, in which the name in the kubeconfig's `server` is the `name` of a pool, and its port the \
                      `port`";
    assert_eq!(errors("apiVersion: v1\nkind: Config\nclusters: []\n"), [kubeconfig]);
    assert_eq!(errors("{\"kind\": \"Config\", \"apiVersion\": \"v1\"}"), [kubeconfig], "as JSON");
    let manifest = "daymark.yaml: the file: is a Kubernetes manifest of the kind ConfigMap, and no configuration of \
                    Daymark; a file with `pools` is needed";
    assert_eq!(errors("apiVersion: v1\nkind: ConfigMap\ndata: {}\n"), [manifest]);
}

#[test]
fn a_duration_needs_its_unit_and_has_its_range() {
    let interval = |value: &str| {
        let message = probe_fault(&format!("interval: {value}"));
        let allowed = "; a duration with its unit (ms, s, m or h) from 100ms to 1h is allowed";
        message.strip_prefix("5:35: pools[0].probe.interval: ").unwrap().strip_suffix(allowed).unwrap().to_owned()
    };
    assert_eq!(interval("5"), "is the number 5");
    assert_eq!(interval("\"5\""), "\"5\" has no unit");
    assert_eq!(interval("5d"), "\"5d\" is not a duration");
    assert_eq!(interval("s"), "\"s\" is not a duration");
    assert_eq!(interval("-5s"), "\"-5s\" is not a duration");
    assert_eq!(interval("1.5s"), "\"1.5s\" is not a duration");
    assert_eq!(interval("5 s"), "\"5 s\" is not a duration");
    assert_eq!(interval("0s"), "\"0s\" is too short");
    assert_eq!(interval("99ms"), "\"99ms\" is too short");
    assert_eq!(interval("61m"), "\"61m\" is too long");
    assert_eq!(interval("99999999999999999999999h"), "\"99999999999999999999999h\" is too long");
}

#[test]
fn a_timeout_longer_than_its_bound_is_refused() {
    assert_eq!(
        probe_fault("timeout: 61s"),
        "5:34: pools[0].probe.timeout: \"61s\" is too long; a duration with its unit (ms, s, m or h) from 10ms to 1m is allowed"
    );
    assert_eq!(
        probe_fault("connectTimeout: 10s"),
        "5:41: pools[0].probe.connectTimeout: 10s is longer than `timeout`, 5s by default; at most that is allowed"
    );
    assert_eq!(
        probe_fault("connectTimeout: 3s, timeout: 2s"),
        "5:41: pools[0].probe.connectTimeout: 3s is longer than `timeout`, 2s; at most that is allowed"
    );
    assert_eq!(
        probe_fault("timeout: 500ms"),
        "5:34: pools[0].probe.timeout: 500ms is shorter than `connectTimeout`, 1s by default; at least that is allowed"
    );
    assert_eq!(
        probe_fault("tlsTimeout: 10s"),
        "5:37: pools[0].probe.tlsTimeout: 10s is longer than `timeout`, 5s by default; at most that is allowed"
    );
    assert_eq!(
        probe_fault("lateAfter: 3s, timeout: 2s"),
        "5:36: pools[0].probe.lateAfter: 3s is longer than `timeout`, 2s; at most that is allowed"
    );
    assert_eq!(
        probe_fault("confirmInterval: 2s"),
        "5:42: pools[0].probe.confirmInterval: 2s is longer than `interval`, 1s by default; at most that is allowed"
    );
}

#[test]
fn an_error_of_one_duration_is_not_repeated_for_another() {
    assert_eq!(errors(&with(SMALL, "{ca: ca.crt}", "{ca: ca.crt, timeout: 90s, connectTimeout: 20s}")).len(), 1);
}

#[test]
fn an_exempt_network_is_one_network_and_listed_once() {
    let exempt =
        |list: &str| fault("    nameservers:", &format!("    rateLimit: {{exempt: [{list}]}}\n    nameservers:"));
    let allowed = "a network (such as 192.0.2.0/24 or 2001:db8::/32) or an IP address is allowed";
    assert_eq!(
        exempt("192.0.2.1/24"),
        format!(
            "8:26: providers[0].rateLimit.exempt[0]: 192.0.2.1/24 has bits below its prefix, so write 192.0.2.0/24; {allowed}"
        )
    );
    assert_eq!(
        exempt("10.0.0.0/33"),
        format!("8:26: providers[0].rateLimit.exempt[0]: \"10.0.0.0/33\" is not a network; {allowed}")
    );
    assert_eq!(
        exempt("10.0.0.0/8, 10.0.0.0/8"),
        "8:38: providers[0].rateLimit.exempt[1]: 10.0.0.0/8 is the same network as providers[0].rateLimit.exempt[0] on line 8; each is allowed once"
    );
}

#[test]
fn a_ttl_is_whole_seconds_and_min_is_at_most_max() {
    let ttl = |value: &str| fault("    nodes:", &format!("    ttl: {{{value}}}\n    nodes:"));
    assert_eq!(
        ttl("max: 1500ms"),
        "3:16: pools[0].ttl.max: 1500ms is not a whole number of seconds; 1s, 2s and so on are allowed"
    );
    assert_eq!(
        ttl("min: 10s"),
        "3:16: pools[0].ttl.min: 10s is longer than `max`, 5s by default; at most that is allowed"
    );
    assert_eq!(
        ttl("negative: 1500ms"),
        "3:21: pools[0].ttl.negative: 1500ms is not a whole number of seconds; 1s, 2s and so on are allowed"
    );
    assert!(
        ttl("max: 0s")
            .contains("\"0s\" is too short; a duration with its unit (ms, s, m or h) from 1s to 1h is allowed")
    );
}

#[test]
fn a_mode_is_one_of_three() {
    assert_eq!(
        fault("    nodes:", "    steering: {mode: fail-over, maxAnswers: 0}\n    nodes:"),
        "3:22: pools[0].steering.mode: \"fail-over\" is unknown; one of all, failover, weighted is allowed\n\
         daymark.yaml:3:45: pools[0].steering.maxAnswers: 0 is too small; a whole number from 1 to 100 is allowed"
    );
}

#[test]
fn a_request_path_begins_with_a_slash() {
    let allowed = "a path that begins with / (such as /readyz or /readyz?exclude=etcd) is allowed";
    for path in ["readyz", "", "/a b", "/readyz#x", "/ä", "https://lb/readyz"] {
        let expected = format!("5:31: pools[0].probe.path: \"{path}\" is not the path of a request; {allowed}");
        assert_eq!(probe_fault(&format!("path: \"{path}\"")), expected);
    }
}

#[test]
fn a_ca_must_be_a_file_with_certificates() {
    let ca = |path: &str| fault("ca: ca.crt", &format!("ca: \"{path}\""));
    assert_eq!(ca("token"), "5:17: pools[0].probe.ca: token holds no certificate; at least one in PEM is needed");
    assert_eq!(
        ca("client.key"),
        "5:17: pools[0].probe.ca: client.key holds no certificate; at least one in PEM is needed"
    );
    assert!(ca("broken.crt").starts_with("5:17: pools[0].probe.ca: certificate 1 of broken.crt cannot be used: "));
    assert_eq!(ca("."), "5:17: pools[0].probe.ca: . is not a regular file; a regular file is needed");
    assert_eq!(ca(""), "5:17: pools[0].probe.ca: \"\" is not a path; the path of a file or directory is allowed");
    assert!(ca("a\\nb").contains("\"a\\nb\" is not a path"), "{}", ca("a\\nb"));
    assert_eq!(
        probe_fault("insecure: true"),
        "5:35: pools[0].probe.insecure: `insecure: true` and `ca` exclude each other; one of the two is allowed"
    );
}

#[test]
fn an_unusable_certificate_of_a_bundle_is_a_warning_with_its_number() {
    let dir = files();
    let good = std::fs::read_to_string(dir.path().join("ca.crt")).unwrap();
    let broken = std::fs::read_to_string(dir.path().join("broken.crt")).unwrap();
    assert_eq!(
        warnings_with_ca(&dir, &format!("{good}{broken}{}\n{good}", &good[..100])),
        "daymark.yaml:5:17: pools[0].probe.ca: ca.crt: certificate 2 cannot be used: it is not an X.509 certificate; \
         the others are used\n\
         daymark.yaml:5:17: pools[0].probe.ca: ca.crt: certificate 3 cannot be used: it is incomplete, because it has \
         no whole PEM section; the others are used"
    );
}

#[test]
fn a_ca_that_has_expired_or_will_within_30_days_is_a_warning() {
    let dir = files();
    let certificate = |days: u64| {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, format!("ca-{days}"));
        params.not_after = (std::time::SystemTime::now() + std::time::Duration::from_hours(24 * days + 1)).into();
        params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
    };
    let mut expired = rcgen::CertificateParams::default();
    expired.not_after = rcgen::date_time_ymd(2026, 1, 1);
    let expired = expired.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem();
    let found = warnings_with_ca(&dir, &format!("{}{}{expired}", certificate(29), certificate(30)));
    let [soon, over] = &found.lines().collect::<Vec<_>>()[..] else { panic!("{found}") };
    assert!(soon.contains("ca.crt: the CA CN=ca-29 expires on 2") && soon.contains(", in 29 days, and"), "{soon}");
    assert!(
        over.contains(" expired on 2026-01-01, so clients refuse every node whose certificate it issued"),
        "{over}"
    );
}

#[test]
fn a_client_certificate_that_has_expired_or_will_within_30_days_is_a_warning() {
    let dir = files();
    let auth = "{ca: ca.crt, auth: {clientCertificate: {certificate: client.crt, key: client.key}}}";
    let key = std::fs::read_to_string(dir.path().join("client.key")).unwrap();
    let key = rcgen::KeyPair::from_pem(&key).unwrap();
    let warnings = |days: i64| {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, "daymark");
        params.not_after = match u64::try_from(days) {
            Ok(days) => (std::time::SystemTime::now() + std::time::Duration::from_hours(24 * days + 1)).into(),
            Err(_) => rcgen::date_time_ymd(2026, 1, 1),
        };
        std::fs::write(dir.path().join("client.crt"), params.self_signed(&key).unwrap().pem()).unwrap();
        warnings_in(&dir, &with(SMALL, "{ca: ca.crt}", auth))
    };
    assert_eq!(warnings(30), "");
    let soon = warnings(29);
    assert!(
        soon.contains(
            "pools[0].probe.auth.clientCertificate.certificate: client.crt: the client certificate CN=daymark expires"
        ) && soon.contains(", in 29 days, and from then on nodes refuse the credentials of the probes"),
        "{soon}"
    );
    let over = warnings(-1);
    assert!(over.contains("CN=daymark expired on 2026-01-01, so nodes refuse the credentials of the probes"), "{over}");
}

#[test]
fn a_token_that_has_expired_or_has_only_a_tenth_of_its_lifetime_left_is_a_warning() {
    let dir = files();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let warnings = |token: &str| {
        std::fs::write(dir.path().join("token"), token).unwrap();
        warnings_in(&dir, &with(SMALL, "{ca: ca.crt}", "{ca: ca.crt, auth: {tokenFile: token}}"))
    };
    let of_claims = |start: u64, end: u64| {
        let claims = format!("{{\"iat\": {start}, \"exp\": {end}}}");
        format!("e30.{}.c2ln", data_encoding::BASE64URL_NOPAD.encode(claims.as_bytes()))
    };
    assert_eq!(warnings(&of_claims(now, now + 3600)), "");
    let soon = warnings(&of_claims(now - 3600, now + 350));
    assert!(
        soon.contains("pools[0].probe.auth.tokenFile: the token in token expires at 2")
            && soon.contains(", in 5 minutes, "),
        "{soon}"
    );
    let over = warnings(&of_claims(1000, 4600));
    assert!(over.contains("expired at 1970-01-01T01:16:40Z, so nodes refuse the credentials of the probes"), "{over}");
    assert_eq!(warnings("opaque"), "");
    let of = |claims: String| format!("e30.{}.c2ln", data_encoding::BASE64URL_NOPAD.encode(claims.as_bytes()));
    let later = warnings(&of(format!("{{\"nbf\": {}, \"exp\": {}}}", now + 3590, now + 7200)));
    assert!(
        later.contains("the token in token begins at 2") && later.contains(", in 59 minutes, and until then nodes"),
        "{later}"
    );
    let text = warnings(&of(format!("{{\"exp\": \"{}\"}}", now + 3600)));
    let expected = "the claim `exp` of the token in token is not a number, so nodes refuse it; use another token";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn a_ca_that_has_not_begun_is_a_warning_if_no_other_has() {
    let dir = files();
    let certificate = |name: &str, begins_in_hours: u64| {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.not_before = (std::time::SystemTime::now() + std::time::Duration::from_hours(begins_in_hours)).into();
        params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
    };
    let alone = warnings_with_ca(&dir, &certificate("next", 24 * 5 + 1));
    assert!(
        alone.contains("ca.crt: the CA CN=next begins on 2")
            && alone.contains(", in 5 days, and until then clients refuse every node"),
        "{alone}"
    );
    let both = format!("{}{}", certificate("now", 0), certificate("next", 24 * 5 + 1));
    assert_eq!(warnings_with_ca(&dir, &both), "");
}

#[test]
fn the_certificate_of_a_clients_chain_that_ends_first_or_begins_last_is_a_warning() {
    let dir = files();
    let auth = "{ca: ca.crt, auth: {clientCertificate: {certificate: client.crt, key: client.key}}}";
    let key = rcgen::KeyPair::from_pem(&std::fs::read_to_string(dir.path().join("client.key")).unwrap()).unwrap();
    let params = |name: &str| {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params
    };
    let root_key = rcgen::KeyPair::generate().unwrap();
    let root = rcgen::Issuer::new(params("root"), &root_key);
    let between_key = rcgen::KeyPair::generate().unwrap();
    let warnings = |between: rcgen::CertificateParams| {
        let certificate = between.signed_by(&between_key, &root).unwrap().pem();
        let own = params("daymark").signed_by(&key, &rcgen::Issuer::new(between, &between_key)).unwrap().pem();
        let mut expired_root = params("root");
        expired_root.not_after = rcgen::date_time_ymd(2026, 1, 1);
        let expired_root = expired_root.self_signed(&root_key).unwrap().pem();
        std::fs::write(dir.path().join("client.crt"), format!("{own}{certificate}{expired_root}")).unwrap();
        warnings_in(&dir, &with(SMALL, "{ca: ca.crt}", auth))
    };
    assert_eq!(warnings(params("between")), "", "the server has the root itself");
    let mut expired = params("between");
    expired.not_after = rcgen::date_time_ymd(2026, 1, 1);
    let expired = warnings(expired);
    assert!(
        expired.ends_with(
            "client.crt: the CA of the client certificate CN=between expired on 2026-01-01, so nodes refuse the credentials \
             of the probes; renew it"
        ),
        "{expired}"
    );
    let mut later = params("between");
    later.not_before = (std::time::SystemTime::now() + std::time::Duration::from_hours(24 * 5 + 1)).into();
    let later = warnings(later);
    assert!(
        later.contains("the CA of the client certificate CN=between begins on 2") && later.contains(", in 5 days, "),
        "{later}"
    );
}

#[test]
fn a_torn_certificate_behind_the_clients_own_is_a_warning_with_its_number() {
    let dir = files();
    let own = std::fs::read_to_string(dir.path().join("client.crt")).unwrap();
    std::fs::write(dir.path().join("client.crt"), format!("{own}{}", &own[..100])).unwrap();
    let auth = "{ca: ca.crt, auth: {clientCertificate: {certificate: client.crt, key: client.key}}}";
    let found = warnings_in(&dir, &with(SMALL, "{ca: ca.crt}", auth));
    let expected = "client.crt: certificate 2 cannot be used: it is incomplete, because it has no whole PEM section; the others \
                    are used";
    assert!(found.ends_with(expected), "{found}");
}

/// The warnings of the smallest file with this content of its CA file.
fn warnings_with_ca(dir: &tempfile::TempDir, ca: &str) -> String {
    std::fs::write(dir.path().join("ca.crt"), ca).unwrap();
    warnings_in(dir, SMALL)
}

/// The warnings of a configuration with the files of a directory.
fn warnings_in(dir: &tempfile::TempDir, text: &str) -> String {
    let warnings = daymark_config::Config::parse(text, "daymark.yaml", dir.path()).unwrap().warnings;
    let hidden = format!("{}/", dir.path().display());
    warnings.iter().map(|finding| finding.to_string().replace(&hidden, "")).collect::<Vec<_>>().join("\n")
}

#[test]
fn credentials_are_exactly_one_kind_with_good_files() {
    let auth = |value: &str| {
        let message = probe_fault(&format!("auth: {value}"));
        message.split_once("pools[0].probe.").unwrap().1.to_owned()
    };
    assert_eq!(auth("{}"), "auth: has no credentials; one of clientCertificate, tokenFile is needed");
    let both = "{tokenFile: token, clientCertificate: {certificate: client.crt, key: client.key}}";
    assert_eq!(auth(both), "auth: clientCertificate and tokenFile exclude each other; one of the two is allowed");
    assert_eq!(auth("{tokenFile: absent}"), "auth.tokenFile: absent does not exist; a file is needed");
    assert_eq!(auth("{tokenFile: blank}"), "auth.tokenFile: blank is empty; a token is needed");
    assert_eq!(
        auth("{tokenFile: client.key}"),
        "auth.tokenFile: client.key is not a token; one word of visible ASCII characters is needed"
    );
    let pair = |certificate: &str, key: &str| {
        auth(&format!("{{clientCertificate: {{certificate: {certificate}, key: {key}}}}}"))
    };
    let holds_no = |name: &str| format!("auth.clientCertificate.{name} in PEM is needed");
    assert_eq!(pair("token", "client.key"), holds_no("certificate: token holds no certificate; at least one"));
    assert_eq!(pair("client.crt", "client.crt"), holds_no("key: client.crt holds no private key; one"));
    let foreign = pair("client.crt", "other.key");
    assert!(foreign.starts_with("auth.clientCertificate.key: other.key does not fit the certificate: "), "{foreign}");
    assert_eq!(
        auth("{clientCertificate: {key: client.key}}"),
        "auth.clientCertificate.certificate: is missing; the path of a file is needed"
    );
}

#[test]
fn the_keys_beside_a_misspelt_type_are_checked_too() {
    let text = with(SMALL, "type: authoritative", "type: autoritative\n    listen: [\"192.0.2.1\"]");
    let [of_type, of_listen] = &errors(&text)[..] else { panic!("two errors") };
    assert!(of_type.contains("providers[0].type: unknown type `autoritative`"), "{of_type}");
    assert!(of_listen.starts_with("daymark.yaml:8:14: providers[0].listen[0]: "), "{of_listen}");
}

#[test]
fn a_provider_has_a_type_that_exists() {
    assert_eq!(
        fault("type: authoritative", "type: autoritative"),
        "7:11: providers[0].type: unknown type `autoritative`; did you mean `authoritative`? allowed are: authoritative, cloudflare"
    );
    assert_eq!(
        fault("type: authoritative", "type: 53"),
        "7:11: providers[0].type: is not text; allowed are: authoritative, cloudflare"
    );
    assert_eq!(
        fault("type: authoritative\n    ", ""),
        "7:5: providers[0]: has no `type`; allowed are: authoritative, cloudflare"
    );
}

#[test]
fn one_authoritative_provider_is_allowed() {
    let second = format!("{SMALL}  - {{type: authoritative, nameservers: [{{name: ns2.kube-cp.com}}]}}\n");
    assert_eq!(
        error(&second),
        "daymark.yaml:9:5: providers[1]: is authoritative like providers[0] on line 7; one provider of this type is allowed"
    );
}

#[test]
fn an_address_to_listen_on_needs_a_port_and_may_come_once() {
    let listen = |value: &str| fault("nameservers:", &format!("listen: {value}\n    nameservers:"));
    assert_eq!(
        listen("[\":53\"]"),
        "8:14: providers[0].listen[0]: \":53\" is not an address to listen on; an IP address or self with a port (such \
         as 192.0.2.11:53, [::]:53 or self:53) is allowed"
    );
    assert_eq!(
        listen("[\"127.0.0.1:53\", \"127.0.0.1:53\"]"),
        "8:30: providers[0].listen[1]: 127.0.0.1:53 is the same address as providers[0].listen[0] on line 8; each is \
         allowed once"
    );
    assert_eq!(listen("[]"), "8:13: providers[0].listen: is an empty list; at least one address is needed");
}

#[test]
fn a_nameserver_inside_the_zone_needs_an_address_and_a_name_of_its_own() {
    let nameserver = |value: &str| {
        let message = fault("[{name: ns1.kube-cp.com}]", &format!("[{value}]"));
        message.strip_prefix("8:").unwrap().split_once(": ").unwrap().1.to_owned()
    };
    let glue = "ns1.lb.kube-cp.com lies in the served zone lb.kube-cp.com; at least one address is needed, as glue";
    assert_eq!(nameserver("{name: ns1.lb.kube-cp.com}"), format!("providers[0].nameservers[0]: {glue}"));
    assert_eq!(
        nameserver("{name: ns1.lb.kube-cp.com, addresses: []}"),
        format!("providers[0].nameservers[0].addresses: {glue}")
    );
    assert_eq!(
        nameserver("{name: LB.kube-cp.com, addresses: [192.0.2.1]}"),
        "providers[0].nameservers[0].name: lb.kube-cp.com is the name of a pool; another name is needed, such as \
         ns1.lb.kube-cp.com"
    );
    assert!(
        nameserver("{name: ns1.a}, {name: ns1.a}").starts_with("providers[0].nameservers[1].name: ns1.a is the same")
    );
}

#[test]
fn a_zone_is_a_parent_of_every_pool_and_a_zone_file_needs_one() {
    let zone = |keys: &str| {
        fault("nameservers: [{name: ns1.kube-cp.com}]", &format!("nameservers: [{{name: ns1.a}}]\n    {keys}"))
    };
    let not_under = |zone: &str| {
        format!(
            "9:11: providers[0].zone: the pool lb.kube-cp.com does not lie under {zone}; a parent of every pool is allowed"
        )
    };
    assert_eq!(zone("zone: lb.kube-cp.com"), not_under("lb.kube-cp.com"));
    assert_eq!(zone("zone: cp.com"), not_under("cp.com"));
    assert_eq!(
        zone("zoneFile: zone"),
        "9:15: providers[0].zoneFile: needs `zone`, the zone of the records in the file"
    );
    assert_eq!(
        zone("zone: kube-cp.com\n    zoneFile: absent"),
        "10:15: providers[0].zoneFile: absent does not exist; a file is needed"
    );
    assert!(
        fault("nameservers:", "zone: kube-cp.com\n    nameservers:").contains("lies in the served zone kube-cp.com")
    );
}

#[test]
fn the_token_of_the_admin_api_is_a_file_with_a_token() {
    let admin = |value: &str| fault("pools:", &format!("admin: {value}\npools:"));
    assert_eq!(admin("{tokenFile: absent}"), "1:20: admin.tokenFile: absent does not exist; a file is needed");
    assert_eq!(admin("{tokenFile: blank}"), "1:20: admin.tokenFile: blank is empty; a token is needed");
}

#[test]
fn ten_errors_are_reported_at_once_in_the_order_of_their_lines() {
    let text = "\
pools:
  - name: 10.10.1.1
    prot: 6443
    nodes:
      - {name: kube-cp-1, addresses: [10.10.1.1]}
      - {name: kube-cp-1, addresses: [10.10.1.1]}
      - {name: kube-cp-3, addresses: [10.10.1.300], weight: heavy}
    probe:
      fall: 0
      timeout: 5m
      ca: token
providers:
  - type: authoritive
    nameservers: [{name: ns1.kube-cp.com}]
";
    let expected = [
        "2:11: pools[0].name: ",
        "3:5: pools[0]: unknown key `prot`; did you mean `port`?",
        "6:16: pools[0].nodes[1].name: ",
        "6:39: pools[0].nodes[1].addresses[0]: ",
        "7:39: pools[0].nodes[2].addresses[0]: ",
        "7:61: pools[0].nodes[2].weight: ",
        "9:13: pools[0].probe.fall: ",
        "10:16: pools[0].probe.timeout: ",
        "11:11: pools[0].probe.ca: ",
        "13:11: providers[0].type: ",
    ];
    let errors = errors(text);
    assert_eq!(errors.len(), expected.len(), "{errors:#?}");
    for (error, expected) in errors.iter().zip(expected) {
        assert!(error.starts_with(&format!("daymark.yaml:{expected}")), "{error} does not start with {expected}");
    }
}

#[test]
fn a_doubtful_value_is_a_warning_with_its_location() {
    let warning = |old: &str, new: &str| warnings(&with(SMALL, old, new)).join("\n");
    assert_eq!(warnings(SMALL), Vec::<String>::new());
    assert_eq!(
        warning("ca: ca.crt", "insecure: true"),
        "daymark.yaml:5:23: pools[0].probe.insecure: every certificate is accepted, so a node with a wrong one, or an \
         impostor, counts as ready"
    );
    assert_eq!(
        warning("    probe: {ca: ca.crt}\n", ""),
        "daymark.yaml:2:5: pools[0]: `ca` is not set, so only the CAs of the system are trusted; kubeadm's CA is \
         seldom one of them"
    );
    assert_eq!(
        warning("addresses: [10.10.1.1]", "addresses: [127.0.0.1, \"fe80::1\"], priority: 1, weight: 2"),
        "daymark.yaml:4:39: pools[0].nodes[0].addresses[0]: 127.0.0.1 is a loopback address, so clients that get it \
         reach only themselves\n\
         daymark.yaml:4:50: pools[0].nodes[0].addresses[1]: fe80::1 is a link-local address, which no client \
         reaches, because DNS cannot carry its zone\n\
         daymark.yaml:4:72: pools[0].nodes[0].priority: `priority` does nothing unless `steering.mode` is failover\n\
         daymark.yaml:4:83: pools[0].nodes[0].weight: `weight` does nothing unless `steering.mode` is weighted"
    );
    assert_eq!(
        warning("pools:", "admin: {listen: \"0.0.0.0:9353\"}\npools:"),
        "daymark.yaml:1:17: admin.listen: 0.0.0.0:9353 is open to other hosts, so they can read everything, and can \
         write with the token that Daymark makes in `stateDir`"
    );
    assert_eq!(
        warning("    nodes:", "    ttl: {max: 40s}\n    nodes:"),
        "daymark.yaml:3:16: pools[0].ttl.max: with a stuck node the answer is right in every cache after 46.3s; clients notice \
         by themselves after about 45s, and nodes turn NotReady after 50s"
    );
}

#[test]
fn nodes_are_a_list_or_seeds_with_a_way_to_find_the_others() {
    const WRITTEN: &str = "nodes:\n      - {name: kube-cp-1, addresses: [10.10.1.1]}";
    let of = |nodes: &str| error(&with(SMALL, WRITTEN, &format!("nodes: {nodes}")));
    assert_eq!(of("5"), "daymark.yaml:3:12: pools[0].nodes: is the number 5; a list or a mapping is allowed");
    let seed = "seeds: [{name: kube-cp-1, addresses: [10.10.1.1]}]";
    assert_eq!(
        of(&format!("{{{seed}}}")),
        "daymark.yaml:3:12: pools[0].nodes.fromKubernetes: is missing; a mapping is needed, `{}` for its defaults; without it \
         `nodes` is a list"
    );
    assert_eq!(
        of("{seeds: [], fromKubernetes: {}}"),
        "daymark.yaml:3:20: pools[0].nodes.seeds: is an empty list; at least one node is needed"
    );
    let message =
        of(&format!("{{{seed}, fromKubernetes: {{source: pods, shrinkPause: 500ms, sellector: a}}, nodes: 1}}"));
    for expected in [
        "pools[0].nodes: unknown key `nodes`; allowed are: seeds, fromKubernetes",
        "pools[0].nodes.fromKubernetes: unknown key `sellector`; did you mean `selector`?",
        "pools[0].nodes.fromKubernetes.source: \"pods\" is unknown; one of nodes, endpoints is allowed",
        "pools[0].nodes.fromKubernetes.shrinkPause: \"500ms\" is too short; ",
    ] {
        assert!(message.contains(expected), "{expected} in {message}");
    }
    let text = with(SMALL, WRITTEN, &format!("nodes: {{{seed}, fromKubernetes: {{source: endpoints, selector: a}}}}"));
    let warnings = warnings(&text).join("\n");
    assert!(
        warnings.contains("fromKubernetes: `probe.auth` is not set, so no apiserver lists its nodes"),
        "{warnings}"
    );
    assert!(
        warnings.contains("fromKubernetes.selector: `selector` does nothing unless `source` is nodes"),
        "{warnings}"
    );
}

#[test]
fn every_secret_that_is_open_to_all_is_a_warning() {
    let dir = files();
    std::fs::create_dir(dir.path().join("state")).unwrap();
    std::fs::write(dir.path().join("state/admin.token"), "secret").unwrap();
    let cloudflare = "providers:\n  - {type: cloudflare, zone: kube-cp.com, mode: records, tokenFile: token}\n";
    for (name, old, new) in [
        ("token", "{ca: ca.crt}", "{ca: ca.crt, auth: {tokenFile: token}}"),
        (
            "client.key",
            "{ca: ca.crt}",
            "{ca: ca.crt, auth: {clientCertificate: {certificate: client.crt, key: client.key}}}",
        ),
        ("token", "providers:\n", "admin: {tokenFile: token}\nproviders:\n"),
        ("state/admin.token", "providers:\n", "stateDir: state\nproviders:\n"),
        ("token", "providers:\n", cloudflare),
    ] {
        let path = dir.path().join(name);
        let text = with(SMALL, old, new);
        let warning = "is open to every user of this host, and holds a secret; run `chmod o-rwx ";
        for (mode, is_open) in [(0o640, false), (0o644, true), (0o602, true)] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let found = warnings_in(&dir, &text);
            assert_eq!(found.contains(&format!("{name} {warning}")), is_open, "{name} {mode:o}: {found}");
        }
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }
}
