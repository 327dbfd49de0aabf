//! The `peers` of a configuration: valid ones and their settings, invalid ones and their errors.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use daymark_config::{Config, PeersConfig, ProviderConfig, budget};
use daymark_decision::fixtures::host_name;

use crate::support::{SMALL, errors, files, parse, warnings, with};

/// The keys that three hosts need.
pub(crate) const PEERS: &str = "self: dns-1, keyFile: gossip.key, members: [{name: dns-1, address: \"192.0.2.11:7000\"}, \
                                {name: dns-2, address: dns-2.example.org}, {name: dns-3, address: \"[2001:db8::13]\"}]";

fn text() -> String {
    format!("{SMALL}peers: {{{PEERS}}}\n")
}

fn peers(text: &str) -> PeersConfig {
    parse(text, files().path()).unwrap().peers.unwrap()
}

/// The errors of [`text`] with one part changed, without their places.
fn faults(old: &str, new: &str) -> Vec<String> {
    let errors = errors(&with(&text(), old, new));
    errors.iter().map(|error| error.split_once(": ").unwrap().1.to_owned()).collect()
}

/// The only error of [`text`] with one part changed.
fn fault(old: &str, new: &str) -> String {
    let faults = faults(old, new);
    let [fault] = &faults[..] else { panic!("{faults:#?}") };
    fault.clone()
}

/// The key `members` with members of these names.
fn members(names: impl IntoIterator<Item = String>) -> String {
    let members = names.into_iter().map(|name| format!("{{name: {name}, address: {name}.example.org}}"));
    format!("members: [{}]", members.collect::<Vec<_>>().join(", "))
}

/// The text of [`text`] with another number of members.
fn with_members(number: usize) -> String {
    let (text, _) = PEERS.split_once("members").unwrap();
    format!("{SMALL}peers: {{{text}{}}}\n", members((1..=number).map(|n| format!("dns-{n}"))))
}

/// Reads the text from a file, with `named` as the name of this host from the command line.
fn load(text: &str, named: Option<&str>) -> Result<Config, String> {
    let dir = files();
    let path = dir.path().join("daymark.yaml");
    std::fs::write(&path, text).unwrap();
    let hidden = format!("{}/", dir.path().display());
    Config::load(&path, named).map_err(|errors| errors.to_string().replace(&hidden, ""))
}

#[test]
fn three_hosts_are_three_members_with_an_address_each() {
    let PeersConfig { membership, listen, cluster, addresses, .. } = peers(&text());
    assert_eq!(membership.own, host_name("dns-1"));
    assert_eq!(membership.members, ["dns-1", "dns-2", "dns-3"].map(host_name).into());
    assert_eq!((listen.to_string().as_str(), cluster.as_str()), ("[::]:7946", "daymark"));
    let addresses: Vec<_> = addresses.iter().map(|(host, address)| format!("{host} {address}")).collect();
    assert_eq!(addresses, ["dns-1 192.0.2.11:7000", "dns-2 dns-2.example.org:7946", "dns-3 [2001:db8::13]:7946"]);
}

#[test]
fn every_key_of_the_peers_has_its_effect() {
    let peers = peers(&with(&text(), "self: dns-1", "self: dns-2, listen: \"[::]:7000\", cluster: Prod_1.eu-west"));
    assert_eq!(peers.membership.own, host_name("dns-2"));
    assert_eq!((peers.listen.to_string().as_str(), peers.cluster.as_str()), ("[::]:7000", "Prod_1.eu-west"));
    assert!(peers.key_file.ends_with("gossip.key") && peers.key_file.is_absolute(), "{}", peers.key_file.display());
}

#[test]
fn without_peers_a_host_decides_alone_even_if_it_is_named() {
    assert_eq!(load(SMALL, None).unwrap().peers, None);
    assert_eq!(load(SMALL, Some("dns-1")).unwrap().peers, None);
}

#[test]
fn a_name_on_the_command_line_overrides_the_one_in_the_file() {
    let own = |text: &str| load(text, Some("dns-3")).unwrap().peers.unwrap().membership.own;
    assert_eq!(own(&text()), host_name("dns-3"));
    assert_eq!(own(&with(&text(), "self: dns-1, ", "")), host_name("dns-3"));
}

#[test]
fn a_reload_keeps_the_name_from_the_command_line() {
    let dir = files();
    let path = dir.path().join("daymark.yaml");
    std::fs::write(&path, text()).unwrap();
    let own = |config: &Config| config.peers.as_ref().unwrap().membership.own.clone();
    for (named, expected) in [(Some("dns-3"), "dns-3"), (None, "dns-1")] {
        let again = Config::load(&path, named).unwrap().load_again(&path).unwrap();
        assert_eq!(own(&again), host_name(expected));
        assert_eq!(own(&again.load_again(&path).unwrap()), host_name(expected));
    }
}

#[test]
fn a_host_without_a_name_is_an_error_with_both_ways_to_give_one() {
    assert_eq!(
        fault("self: dns-1, ", ""),
        "peers.self: is missing; the name of this host among the members is needed, here or by --self or DAYMARK_SELF"
    );
}

#[test]
fn a_host_that_is_no_member_is_an_error_with_the_members() {
    assert_eq!(
        fault("self: dns-1", "self: dns-9"),
        "peers.self: dns-9 is not a member; one of dns-1, dns-2, dns-3 is allowed"
    );
    assert_eq!(
        load(&text(), Some("DNS-1")).unwrap_err(),
        "daymark.yaml: --self: DNS-1 is not a member; one of dns-1, dns-2, dns-3 is allowed"
    );
    assert_eq!(
        load(&text(), Some("")).unwrap_err(),
        "daymark.yaml: --self: \"\" is not a valid name of a host; a name of 1 to 63 letters, digits, -, _ and . is \
         allowed"
    );
}

#[test]
fn the_membership_is_not_checked_if_a_name_is_invalid() {
    let fault = fault("{name: dns-1,", "{name: dns 1,");
    assert!(fault.starts_with("peers.members[0].name: \"dns 1\" is not a valid name of a host; "), "{fault}");
}

#[test]
fn names_have_a_maximum_length() {
    let name = |length: usize| with(&text(), "name: dns-2", &format!("name: {}", "a".repeat(length)));
    let cluster = |length: usize| with(&text(), "self:", &format!("cluster: {}, self:", "a".repeat(length)));
    assert_eq!(peers(&name(63)).membership.members.len(), 3);
    assert!(errors(&name(64)).concat().contains("is not a valid name of a host; a name of 1 to 63 letters"));
    assert_eq!(peers(&cluster(64)).cluster.len(), 64);
    assert!(errors(&cluster(65)).concat().contains("is not a valid name of a cluster; a name of 1 to 64 letters"));
}

#[test]
fn names_that_together_fit_in_no_message_are_refused() {
    let of = |length: usize| {
        let (text, _) = PEERS.split_once("members").unwrap();
        let names = (1..15).map(|n| format!("{n:a>length$}")).chain(["dns-1".to_owned()]);
        format!("{SMALL}peers: {{{text}{}}}\n", members(names))
    };
    assert_eq!(peers(&of(32)).membership.members.len(), 15);
    let fault = errors(&of(63)).concat();
    assert!(fault.contains(": peers: the names of the members are ") && fault.contains(" bytes too long "), "{fault}");
}

#[test]
fn a_host_may_serve_at_its_own_address() {
    let serving =
        |listen: &str| with(&text(), "type: authoritative", &format!("type: authoritative\n    listen: {listen}"));
    let text = serving("[\"self:53\", \"127.0.0.1:53\"]");
    let listen = |named| {
        let ProviderConfig::Authoritative(settings) = load(&text, named)?.providers.remove(0) else { panic!() };
        Ok::<_, String>(settings.listen.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(listen(None).unwrap(), ["192.0.2.11:53", "127.0.0.1:53"]);
    assert_eq!(listen(Some("dns-3")).unwrap(), ["[2001:db8::13]:53", "127.0.0.1:53"]);
    let fault = listen(Some("dns-2")).unwrap_err();
    assert!(fault.ends_with(
        "the address of this host in `peers.members` is the name dns-2.example.org; `self` needs an IP address there"
    ));

    let alone = with(SMALL, "type: authoritative", "type: authoritative\n    listen: [\"self:53\"]");
    assert!(errors(&alone).concat().ends_with(
        "providers[0].listen[0]: `self` is the address of this host in `peers.members`, but there is no `peers`; an IP \
         address is needed"
    ));
    let twice = errors(&serving("[\"self:53\", \"192.0.2.11:53\"]")).concat();
    assert!(twice.contains("192.0.2.11:53 is the same address as "), "{twice}");
    assert_eq!(errors(&with(&text, "self: dns-1", "self: dns-9")).len(), 1, "what is wrong is said once");
}

#[test]
fn names_with_which_a_drain_would_fit_in_no_message_are_refused() {
    let text = with(&text(), "name: dns-2", &format!("name: {}", "h".repeat(32)));
    let node = |length: usize| with(&text, "kube-cp-1", &"n".repeat(length));
    assert_eq!(peers(&node(150)).membership.members.len(), 3);
    let fault = errors(&node(253)).concat();
    assert!(fault.contains(": peers: a drain of nnn") && fault.contains(" bytes too long for one gossip datagram; "));
}

#[test]
fn an_address_of_a_family_without_a_listener_is_refused() {
    let listen = |listen: &str| faults("self:", &format!("listen: \"{listen}\", self:"));
    assert_eq!(
        listen("192.0.2.11:7000"),
        ["peers.members[2].address: [2001:db8::13]:7946 is IPv6, but `listen` 192.0.2.11:7000 allows only IPv4; an \
          address of that family, or `listen: \"[::]:7000\"` for both, is needed"]
    );
    assert!(
        listen("[2001:db8::11]:7000")[0]
            .contains("192.0.2.11:7000 is IPv4, but `listen` [2001:db8::11]:7000 allows only IPv6")
    );
}

#[test]
fn a_port_that_differs_from_that_of_the_listener_is_a_warning() {
    let message = "the other hosts send to port 7000 of this host, but it listens on port 7946; this works only if \
                   something between them translates the port";
    assert_eq!(warnings(&text()), [format!("daymark.yaml:9:76: peers.members[0].address: {message}")]);
    assert_eq!(warnings(&with(&text(), "self:", "listen: \"[::]:7000\", self:")), [""; 0]);
    let named = with(&text(), "self: dns-1", "self: dns-2");
    assert_eq!(warnings(&named), [""; 0], "the others' ports are their own");
}

#[test]
fn a_host_and_an_address_may_come_only_once() {
    assert_eq!(
        fault("name: dns-2", "name: dns-3"),
        "peers.members[2].name: dns-3 is the same host as peers.members[1].name on line 9; each is allowed once"
    );
    assert_eq!(
        fault("dns-2.example.org", "\"192.0.2.11:7000\""),
        "peers.members[1].address: 192.0.2.11:7000 is the same address as peers.members[0].address on line 9; each is \
         allowed once"
    );
    let spelt_otherwise = with(&text(), "\"192.0.2.11:7000\"", "\"DNS-2.example.org.:7946\"");
    assert!(errors(&spelt_otherwise)[0].contains("dns-2.example.org:7946 is the same address"));
    assert_eq!(peers(&with(&text(), "dns-2.example.org", "192.0.2.11")).addresses.len(), 3, "the port is another");
}

#[test]
fn an_address_that_no_other_host_can_reach_is_refused() {
    let address = |value: &str| {
        let fault = fault("dns-2.example.org", &format!("\"{value}\""));
        fault.strip_prefix("peers.members[1].address: ").unwrap().split_once("; ").unwrap().0.to_owned()
    };
    assert_eq!(address("2001:db8::1"), "\"2001:db8::1\" is IPv6 without brackets");
    assert_eq!(address("2001:db8::1:7946"), "\"2001:db8::1:7946\" is IPv6 without brackets");
    assert_eq!(address("[192.0.2.1]:7946"), "\"[192.0.2.1]:7946\" is not an address of a host");
    assert_eq!(address("[2001:db8::1]7946"), "\"[2001:db8::1]7946\" is not an address of a host");
    assert_eq!(address("[fe80::1%eth0]:7946"), "\"fe80::1%eth0\" is not an IP address");
    assert_eq!(address("0.0.0.0:7946"), "0.0.0.0 is the unspecified address");
    assert_eq!(address("[::ffff:192.0.2.1]"), "::ffff:192.0.2.1 is an IPv4 address inside IPv6, so write 192.0.2.1");
    assert_eq!(address("192.0.2.300:7946"), "\"192.0.2.300\" is not an IP address");
    assert_eq!(address("dns_2:7946"), "\"dns_2\" is not a DNS name: it has an underscore (_)");
    for port in ["", "0", "65536", "+1", "x"] {
        assert_eq!(address(&format!("dns-2:{port}")), format!("\"dns-2:{port}\" has no port from 1 to 65535"));
    }
}

#[test]
fn two_to_fifteen_members_are_allowed() {
    let number = |number: usize| errors(&with_members(number)).concat();
    assert_eq!(
        number(1),
        "daymark.yaml:9:52: peers.members: one host alone has no peers; leave out `peers`, or list 2 to 15 members"
    );
    assert_eq!(number(0), "daymark.yaml:9:52: peers.members: is an empty list; 2 to 15 members are needed");
    assert_eq!(number(16), "daymark.yaml:9:52: peers.members: 16 members are too many; 2 to 15 are allowed");
    for number in 2..=15 {
        assert_eq!(peers(&with_members(number)).membership.members.len(), number);
    }
}

#[test]
fn an_even_number_of_hosts_is_a_warning() {
    assert_eq!(
        warnings(&with_members(4)),
        ["daymark.yaml:9:52: peers.members: 4 hosts survive no more failures than 3, because more than half must \
          remain"]
    );
    assert_eq!(warnings(&with_members(5)), [""; 0]);
}

#[test]
fn check_prints_the_number_of_hosts_that_may_fail() {
    let line = |number: usize| {
        let report = budget::report(&parse(&with_members(number), files().path()).unwrap()).to_string();
        report.lines().find(|line| line.starts_with("hosts: ")).unwrap().to_owned()
    };
    assert_eq!(
        line(3),
        "hosts: dns-1, dns-2, dns-3 (this is dns-1); 1 of 3 may fail, and the rest still decide together"
    );
    assert_eq!(line(2), "hosts: dns-1, dns-2 (this is dns-1); each decides alone while the other is lost");
    for (number, may_fail) in [(4, "1"), (5, "2"), (15, "7")] {
        assert!(line(number).contains(&format!("; {may_fail} of {number} may fail")), "{}", line(number));
    }
}

#[test]
fn all_missing_keys_are_reported_at_once() {
    let errors = errors(&format!("{SMALL}peers: {{}}\n")).join("\n");
    for expected in [
        "peers.self: is missing; ",
        "peers.members: is missing; a list of 2 to 15 members is needed",
        "peers.keyFile: is missing; the path of a file is needed",
    ] {
        assert!(errors.contains(expected), "{expected} is not in {errors}");
    }
    assert_eq!(errors.lines().count(), 3, "{errors}");
    assert!(fault("keyFile", "key_file").contains("did you mean `keyFile`?"));
    assert!(
        fault("self:", "secret: 1, self:")
            .starts_with("peers: unknown key `secret`; allowed are: self, listen, freebind, cluster")
    );
}

#[test]
fn a_key_file_must_exist_be_private_and_hold_keys() {
    let key_file = |name: &str| fault("gossip.key", name);
    assert_eq!(key_file("absent"), "peers.keyFile: absent does not exist; `daymark keygen` makes a key");
    let dir = files();
    let path = dir.path().join("gossip.key");
    std::fs::set_permissions(&path, Permissions::from_mode(0o604)).unwrap();
    let open = parse(&text(), dir.path()).unwrap_err().concat();
    assert!(open.contains("gossip.key is open to every user of this host; run `chmod o-rwx"), "{open}");
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&path, "a word\n").unwrap();
    let wrong = parse(&text(), dir.path()).unwrap_err().concat();
    assert!(wrong.contains("cannot be used: line 1 does not begin with a key"), "{wrong}");
}

#[test]
fn a_pass_of_sync_needs_no_key_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("daymark.yaml");
    let text = with(&text(), "probe: {ca: ca.crt}", "probe: {insecure: true}");
    std::fs::write(&path, text).unwrap();
    assert!(Config::load_without_keys(&path, None).is_ok());
    let fault = Config::load(&path, None).unwrap_err().to_string();
    assert!(fault.contains("gossip.key does not exist"), "{fault}");
}

#[test]
fn the_key_file_is_one_of_the_files_of_the_configuration() {
    let config = parse(&text(), files().path()).unwrap();
    assert!(config.files().iter().any(|file| file.ends_with("gossip.key")));
}
