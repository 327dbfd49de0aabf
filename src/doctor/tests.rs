use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::symlink;
use std::time::Duration;

use daymark_decision::{Certificate, Kind, Moment, Observation, Target, Timings, fixtures as core};
use daymark_probe::Expiries;
use daymark_resolver::{DnsCode, LookupFailure, RecordContent};

use super::delegation::{DelegationSeen, ExtraServer, ParentReply};
use super::diagnosis::{DoctorReport, DoctorSection, Level, Symptom};
use super::fixtures::{POOL, address, answer, code, config, lines, record, response, server, zone};
use super::hosts::HostSeen;
use super::local::{FileAccess, FileSeen, LocalSeen, sockets};
use super::name_servers::ZoneSeen;
use super::nodes::{PoolNodesSeen, TargetSeen};
use super::parent::NoParent;
use super::resolvers::{LookupSeen, ResolversSeen};
use super::*;

const ALL: [&str; 3] = ["10.10.1.1", "10.10.1.2", "10.10.1.3"];
/// 2026-12-01, 00:00 UTC.
const NOW: Moment = Moment::from_millis(1_796_083_200_000);

/// The serial of a change that was these seconds before now.
fn serial(seconds_ago: i64) -> u32 {
    let generation = (i64::try_from(NOW.as_secs()).unwrap() - seconds_ago) * 64;
    u32::try_from(generation & i64::from(u32::MAX)).unwrap()
}

fn name_servers(servers: Vec<name_servers::ServerSeen>) -> Vec<String> {
    let seen = ZoneSeen { servers, unresolved: Vec::new() };
    lines(&name_servers::judge(&zone(), &config("").pools, &seen, NOW))
}

#[test]
fn sound_name_servers_may_have_been_started_days_apart() {
    let seen = name_servers(vec![server(1, serial(0), &ALL), server(2, serial(20 * 86_400), &ALL)]);
    assert!(seen.iter().all(|line| line.starts_with("ok ns")), "{seen:?}");
    assert_eq!(seen.len(), 2);
}

#[test]
fn a_run_that_begins_five_minutes_ahead_of_the_clock_is_sound() {
    let seen = name_servers(vec![server(1, serial(-300), &ALL)]);
    assert!(seen[0].starts_with("ok "), "{seen:?}");
}

#[test]
fn a_serial_that_the_clock_has_not_reached_is_a_warning() {
    let seen = name_servers(vec![server(1, serial(-86_400), &ALL)]);
    assert!(seen[0].contains(" is 24 hours ahead of the clock here; compare the clocks"), "{seen:?}");
}

#[test]
fn a_silent_server_and_one_without_tcp_are_different_faults() {
    let mut silent = server(1, serial(0), &ALL);
    silent.udp.soa = Err(LookupFailure::Timeout);
    silent.tcp.soa = Err(LookupFailure::Timeout);
    let mut without_tcp = server(2, serial(0), &ALL);
    without_tcp.tcp.soa = Err(LookupFailure::Timeout);
    let seen = name_servers(vec![silent, without_tcp]);
    let expected = [
        "fail ns1.lb.example.org 192.0.2.1:53: does not answer by UDP or TCP (no answer in time); start Daymark there, and open \
         port 53 of both protocols on the way",
        "fail ns2.lb.example.org 192.0.2.2:53: answers by UDP, but not by TCP (no answer in time), which resolvers need after a \
         truncated answer; open TCP port 53 on the way to it",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn an_address_family_that_this_machine_lacks_is_a_warning() {
    let mut unreached = server(1, serial(0), &ALL);
    unreached.has_route = false;
    unreached.udp.soa = Err(LookupFailure::NoConnections);
    let seen = name_servers(vec![unreached]);
    assert!(seen[0].starts_with("warn ") && seen[0].contains("no route to 192.0.2.1; run "), "{seen:?}");
}

#[test]
fn a_server_that_refuses_or_has_no_authority_is_lame() {
    let mut refuses = server(1, serial(0), &ALL);
    refuses.udp.soa = code(DnsCode::Refused);
    let mut without_authority = server(2, serial(0), &ALL);
    without_authority.udp.soa = code(DnsCode::Success);
    let seen = name_servers(vec![refuses, without_authority]);
    assert!(seen[0].contains("is lame by UDP: it answers for lb.example.org with REFUSED; run "), "{seen:?}");
    assert!(seen[1].contains("is lame by UDP: it answers for lb.example.org without authority; run "), "{seen:?}");
}

#[test]
fn different_answers_are_named_with_their_servers() {
    let seen = name_servers(vec![server(1, serial(0), &ALL), server(2, serial(0), &ALL[..2])]);
    let expected = "fail lb.example.org: the name servers answer differently: 10.10.1.1 10.10.1.2 at ns2.lb.example.org \
                    192.0.2.2:53 and 10.10.1.1 10.10.1.2 10.10.1.3 at ns1.lb.example.org 192.0.2.1:53; compare `daymark status` \
                    and the configurations of these hosts";
    assert_eq!(seen[2], expected);
}

#[test]
fn an_address_of_no_node_an_empty_answer_and_an_error_are_failures() {
    let mut fails = server(3, serial(0), &ALL);
    fails.udp.pools[0].a = code(DnsCode::ServerFailure);
    let seen = name_servers(vec![server(1, serial(0), &["10.10.1.9"]), server(2, serial(0), &[]), fails]);
    assert!(
        seen[0].contains("answers for lb.example.org with 10.10.1.9, which no node of this configuration has; "),
        "{seen:?}"
    );
    assert!(seen[1].contains("has no address for lb.example.org; "), "{seen:?}");
    assert!(seen[2].contains("answers SERVFAIL for lb.example.org; "), "{seen:?}");
}

#[test]
fn recursion_and_a_truncated_answer_are_warnings() {
    let mut open = server(1, serial(0), &ALL);
    open.recursion = Ok(daymark_resolver::ServerResponse { recursion_available: true, ..response(Vec::new()) });
    let mut long = server(2, serial(0), &ALL);
    long.udp.pools[0].a.as_mut().unwrap().truncated = true;
    let seen = name_servers(vec![open, long]);
    assert!(seen[0].starts_with("warn ") && seen[0].contains("offers recursion"), "{seen:?}");
    assert!(seen[1].starts_with("warn ") && seen[1].contains("does not fit into 1232 bytes"), "{seen:?}");
}

/// A referral of the parent to these servers, with these addresses.
fn referral(servers: &[&str], glue: &[(&str, &str)]) -> ParentReply {
    let mut referral = response(Vec::new());
    referral.authoritative = false;
    referral.authority =
        servers.iter().map(|name| record(POOL, RecordContent::NameServer((*name).to_owned()))).collect();
    referral.additional =
        glue.iter().map(|(name, address)| record(name, RecordContent::Address(address.parse().unwrap()))).collect();
    ParentReply { server: address("198.51.100.1:53"), delegation: Ok(referral), looked_up: BTreeMap::new() }
}

const SERVERS: [&str; 2] = ["ns1.lb.example.org", "ns2.lb.example.org"];
const GLUE: [(&str, &str); 2] = [("ns1.lb.example.org", "192.0.2.1"), ("ns2.lb.example.org", "192.0.2.2")];

fn delegation(reply: ParentReply, extra: Vec<ExtraServer>) -> Vec<String> {
    let seen = DelegationSeen::Parent { zone: "example.org".to_owned(), replies: vec![reply], extra };
    lines(&delegation::judge(&zone(), &seen))
}

#[test]
fn a_delegation_with_the_configured_servers_and_addresses_is_sound() {
    let seen = delegation(referral(&SERVERS, &GLUE), Vec::new());
    let expected = "ok lb.example.org: 198.51.100.1:53 delegates to ns1.lb.example.org, ns2.lb.example.org, with the addresses needed";
    assert_eq!(seen, [expected]);
}

#[test]
fn a_missing_delegation_names_the_records_to_add() {
    let seen = delegation(referral(&[], &[]), Vec::new());
    let expected = "fail lb.example.org: 198.51.100.1:53 has no delegation of it in example.org, so no resolver asks its name \
                    servers; add `lb.example.org. NS ns1.lb.example.org.`, `lb.example.org. NS ns2.lb.example.org.` to example.org";
    assert_eq!(seen, [expected]);
    let denied = ParentReply { delegation: code(DnsCode::NoSuchName), ..referral(&[], &[]) };
    assert_eq!(delegation(denied, Vec::new()), [expected]);
}

#[test]
fn missing_glue_other_glue_and_a_missing_server_are_different_faults() {
    let seen = delegation(referral(&SERVERS, &GLUE[..1]), Vec::new());
    let expected = "fail lb.example.org: 198.51.100.1:53 has no glue for ns2.lb.example.org, so no resolver finds that server; add \
                    `ns2.lb.example.org. A 192.0.2.2` to example.org";
    assert_eq!(seen, [expected]);
    let seen = delegation(referral(&SERVERS, &[GLUE[0], (SERVERS[1], "192.0.2.9")]), Vec::new());
    assert!(
        seen[0].contains("has the address 192.0.2.9 for ns2.lb.example.org, and the configuration has 192.0.2.2; "),
        "{seen:?}"
    );
    let seen = delegation(referral(&SERVERS[..1], &GLUE[..1]), Vec::new());
    assert!(seen[0].starts_with("warn ") && seen[0].contains("does not delegate to ns2.lb.example.org, "), "{seen:?}");
}

#[test]
fn a_server_of_another_zone_needs_no_address_in_the_parent() {
    let mut zone = zone();
    zone.servers = vec![setup::SetupServer { name: "ns1.example.net".to_owned(), addresses: Vec::new() }];
    let replies = vec![referral(&["ns1.example.net"], &[])];
    let seen = DelegationSeen::Parent { zone: "example.org".to_owned(), replies, extra: Vec::new() };
    assert!(lines(&delegation::judge(&zone, &seen))[0].starts_with("ok "));
}

#[test]
fn a_server_that_only_the_parent_names_is_lame_or_missing_in_the_configuration() {
    let of = |has_authority| {
        let extra = ExtraServer { name: "ns3.example.net".to_owned(), has_authority };
        delegation(referral(&SERVERS, &GLUE), vec![extra]).remove(1)
    };
    assert!(of(Some(false)).starts_with("fail ") && of(Some(false)).contains("which is lame: "));
    assert!(of(None).starts_with("fail ") && of(None).contains("which has no address; "));
    assert!(of(Some(true)).starts_with("warn ") && of(Some(true)).contains("add it to `nameservers`, or remove it"));
}

#[test]
fn an_unknown_parent_and_a_silent_one_name_the_option() {
    let unknown = DelegationSeen::NoParent(NoParent::RootUnreachable);
    let seen = lines(&delegation::judge(&zone(), &unknown));
    assert!(seen[0].starts_with("warn ") && seen[0].ends_with("by `--parent ADDRESS[:PORT]`"), "{seen:?}");
    let silent = ParentReply { delegation: Err(LookupFailure::Timeout), ..referral(&[], &[]) };
    let seen = delegation(silent, Vec::new());
    assert!(seen[0].starts_with("fail ") && seen[0].contains("does not answer (no answer in time); "), "{seen:?}");
}

/// The judgement of one lookup, where the name servers give these addresses.
fn resolvers(a: name_servers::Response, aaaa: name_servers::Response, expected: &[&str]) -> Vec<String> {
    let lookup = LookupSeen { resolver: address("192.0.2.53:53"), pool: POOL.to_owned(), a, aaaa };
    let expected: BTreeSet<IpAddr> = expected.iter().map(|address| address.parse().unwrap()).collect();
    let seen = ResolversSeen { unreadable: None, lookups: vec![lookup] };
    lines(&resolvers::judge(&config("").pools, &seen, &[(POOL.to_owned(), expected)].into(), true))
}

#[test]
fn a_resolver_with_the_answer_or_a_part_of_it_is_sound() {
    for seen in [&ALL[..], &ALL[..2]] {
        let lines = resolvers(answer(seen), answer(&[]), &ALL);
        assert!(lines.len() == 1 && lines[0].starts_with("ok 192.0.2.53:53 lb.example.org: answers "), "{lines:?}");
    }
}

#[test]
fn private_addresses_that_are_left_out_are_a_filter() {
    for filtered in [DnsCode::Success, DnsCode::NoSuchName, DnsCode::Refused] {
        let seen = resolvers(code(filtered), code(filtered), &ALL);
        assert!(seen[0].starts_with("fail ") && seen[0].contains("rebind protection"), "{seen:?}");
    }
    let seen = resolvers(answer(&["203.0.113.1"]), answer(&[]), &["203.0.113.1", "10.10.1.1"]);
    assert!(seen[0].contains("leaves the private addresses 10.10.1.1 out of the answer"), "{seen:?}");
    let seen = resolvers(code(DnsCode::NoSuchName), code(DnsCode::NoSuchName), &["203.0.113.1"]);
    assert!(seen[0].contains("answers NXDOMAIN; look at the delegation"), "{seen:?}");
}

#[test]
fn a_failing_resolver_a_silent_one_and_another_answer_are_named() {
    let seen = resolvers(code(DnsCode::ServerFailure), code(DnsCode::ServerFailure), &ALL);
    assert!(seen[0].contains("answers SERVFAIL; look at the delegation and the name servers above"), "{seen:?}");
    let seen = resolvers(Err(LookupFailure::Timeout), Err(LookupFailure::Timeout), &ALL);
    assert!(seen[0].contains("does not answer (no answer in time); start the resolver"), "{seen:?}");
    let seen = resolvers(answer(&["10.10.1.9"]), answer(&[]), &["203.0.113.1"]);
    assert!(seen[0].contains("answers with 10.10.1.9, which no node of this configuration has; "), "{seen:?}");
}

#[test]
fn families_that_disagree_are_a_fault() {
    let seen = resolvers(answer(&ALL), code(DnsCode::NoSuchName), &ALL);
    assert!(seen[0].starts_with("fail ") && seen[0].contains("answers A, but AAAA gives NXDOMAIN, "), "{seen:?}");
    let seen = resolvers(answer(&ALL), Err(LookupFailure::Timeout), &ALL);
    assert!(seen[0].contains("answers A, but AAAA gives no answer in time, "), "{seen:?}");
    let seen = resolvers(answer(&["203.0.113.1"]), answer(&[]), &["203.0.113.1", "2001:db8::1"]);
    assert!(seen.iter().any(|line| line.contains("gives no AAAA record, though the name servers do; ")), "{seen:?}");
}

fn nodes(kind: Kind, not_after: Option<Moment>) -> Vec<String> {
    let target = Target { pool: core::pool_name(POOL), node: core::node_name("a"), address: [10, 10, 1, 1].into() };
    let certificate = not_after.map(|not_after| Certificate { names: vec![POOL.to_owned()], not_after });
    let timings = Timings { connect: Some(Duration::from_micros(20)), tls: Some(Duration::from_millis(7)), http: None };
    let targets = vec![TargetSeen { target, observation: Observation { kind, timings, certificate } }];
    let seen = PoolNodesSeen { pool: POOL.to_owned(), expiries: Expiries::default(), file_error: None, targets };
    lines(&nodes::judge(&[seen], NOW))
}

#[test]
fn every_kind_of_observation_has_its_level_and_says_what_to_do() {
    for kind in core::kinds() {
        let level = match kind.grade() {
            Some(daymark_decision::Grade::Ready) => "ok ",
            Some(daymark_decision::Grade::Live) => "warn ",
            _ => "fail ",
        };
        let seen = nodes(kind, None);
        assert!(seen.len() == 1 && seen[0].starts_with(level), "{seen:?}");
    }
}

#[test]
fn a_certificate_that_ends_in_thirty_days_is_a_warning() {
    let seen = nodes(Kind::Ready, Some(NOW.after(Duration::from_hours(29 * 24))));
    let ready = "ok a 10.10.1.1 (lb.example.org): ready: connect under 1 ms, tls 7 ms; certificate until 2026-12-30T00:00:00Z for \
                 lb.example.org";
    let expected = "warn a 10.10.1.1 (lb.example.org): its certificate ends on 2026-12-30T00:00:00Z, in 29 days; renew it by \
                    `kubeadm certs renew apiserver` on the node, and restart the apiserver";
    assert_eq!(seen, [ready, expected]);
    assert_eq!(nodes(Kind::Ready, Some(NOW.after(Duration::from_hours(31 * 24)))).len(), 1);
}

/// A directory like `/proc` in which one process has one UDP socket.
fn proc_dir(process: &str, address: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
    let udp =
        format!("  1: {address} 00000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 4711 2 0 0\n");
    fs::create_dir_all(dir.path().join("net")).unwrap();
    fs::create_dir_all(dir.path().join("123/fd")).unwrap();
    fs::write(dir.path().join("net/udp"), format!("{head}{udp}")).unwrap();
    fs::write(dir.path().join("net/tcp"), head).unwrap();
    fs::write(dir.path().join("123/comm"), format!("{process}\n")).unwrap();
    symlink("socket:[4711]", dir.path().join("123/fd/5")).unwrap();
    dir
}

/// An address of IPv4 with its port, as the kernel writes it in its tables.
fn hex(address: [u8; 4], port: u16) -> String {
    format!("{:08X}:{port:04X}", u32::from_ne_bytes(address))
}

fn listen(process: &str, taken: [u8; 4], listen: &str, is_stub_off: bool) -> String {
    let dir = proc_dir(process, &hex(taken, 53));
    let mut config = config("");
    let ProviderConfig::Authoritative(authoritative) = &mut config.providers[0] else { unreachable!() };
    authoritative.listen = vec![listen.parse().unwrap()];
    let seen =
        LocalSeen { sockets: sockets::listening(dir.path()), is_stub_off, is_host: true, ..LocalSeen::default() };
    lines(&local::judge(&config, &seen)).remove(0)
}

#[test]
fn the_stub_listener_of_systemd_resolved_is_named_with_its_mend() {
    for address in ["0.0.0.0:53", "[::]:53", "127.0.0.53:53"] {
        let line = listen("systemd-resolve", [127, 0, 0, 53], address, false);
        let words = "systemd-resolved has its stub listener on 127.0.0.53:53 by UDP, so Daymark cannot listen; set \
                     `DNSStubListener=no` in /etc/systemd/resolved.conf";
        assert!(line.starts_with("fail ") && line.contains(words), "{line}");
    }
    let line = listen("systemd-resolve", [127, 0, 0, 53], "0.0.0.0:53", true);
    assert!(line.contains("has `DNSStubListener=no` already, so run `systemctl restart systemd-resolved`"), "{line}");
}

#[test]
fn another_address_or_daymark_itself_is_no_conflict() {
    let line = listen("systemd-resolve", [127, 0, 0, 53], "192.0.2.1:53", false);
    assert_eq!(line, "ok listen 192.0.2.1:53: no other process has this address");
    assert_eq!(listen("daymark", [0, 0, 0, 0], "192.0.2.1:53", false), "ok listen 192.0.2.1:53: Daymark listens");
    let line = listen("dnsmasq", [0, 0, 0, 0], "192.0.2.1:53", false);
    assert!(line.contains("the process dnsmasq has 0.0.0.0:53 by UDP, so Daymark cannot listen; "), "{line}");
}

#[test]
fn a_secret_that_others_may_read_and_a_missing_file_are_failures() {
    let file = |role, is_secret, access| FileSeen { path: "/etc/daymark/file".into(), role, is_secret, access };
    let known = |mode| FileAccess::Known { mode, is_dir: false };
    let judge = |files: Vec<FileSeen>, state_dir| {
        let seen = LocalSeen { sockets: Some(Vec::new()), files, state_dir, ..LocalSeen::default() };
        lines(&local::judge(&config(""), &seen)).split_off(1)
    };
    let sound = vec![file("gossip key", true, known(0o640)), file("CA", false, known(0o644))];
    assert_eq!(judge(sound, None), ["ok files: 2 files and the state directory have the right permissions"]);
    let open = judge(vec![file("gossip key", true, known(0o644))], None);
    let expected = "fail /etc/daymark/file: the gossip key is open to every user of this machine (mode 644); run `chmod o-rwx \
                    /etc/daymark/file`";
    assert_eq!(open, [expected]);
    let missing = judge(vec![file("CA", false, FileAccess::Missing)], None);
    assert!(missing[0].contains("the CA does not exist; put it there"), "{missing:?}");
    let state = file("state directory", false, FileAccess::Known { mode: 0o777, is_dir: true });
    let writable = judge(Vec::new(), Some(state));
    assert!(
        writable[0].contains("every user of this machine may write the state directory (mode 777); run "),
        "{writable:?}"
    );
}

#[test]
fn a_slow_failover_is_a_warning_and_a_quick_one_says_its_time() {
    let quick = lines(&failover::judge(&config("")));
    let expected =
        "ok lb.example.org: at worst the answer is right in every cache after 11.3s, and nodes turn NotReady after 50s";
    assert_eq!(quick, [expected]);
    let mut slow = config("");
    slow.pools[0].pool.ttl.max = 60;
    let seen = lines(&failover::judge(&slow));
    assert!(
        seen[0].starts_with("warn ") && seen[0].ends_with("; lower `ttl.max`, `probe.interval` or `probe.timeout`"),
        "{seen:?}"
    );
}

#[test]
fn the_exit_code_is_that_of_the_worst_diagnosis() {
    for (level, code) in [(Level::Ok, 0), (Level::Warn, 1), (Level::Fail, 2)] {
        let diagnoses = vec![
            Diagnosis::ok(DoctorSection::Nodes, "a", "ready"),
            Diagnosis { level, ..Diagnosis::fail(DoctorSection::Nodes, "b", Symptom::NodeDown, "down; start it") },
        ];
        let version = String::new();
        let report = DoctorReport { format: FORMAT, version, at: NOW, duration_ms: 1, level, diagnoses };
        assert_eq!(report.exit_code(), code);
    }
}

/// A status of dns-1 with these peers, at `now`.
fn status(now: Moment, version: &str, peers: &str) -> HostSeen {
    let status = format!(
        r#"{{"version": "{version}", "started": "2026-11-30T10:00:00.000Z", "now": "{}", "pools": [{{"name": "{POOL}",
        "addresses": [], "basis": "ready", "bases": {{}}, "ttlSeconds": 5, "generation": 1, "targets": []}}], "providers": [],
        "hosts": {{"own": "dns-1", "members": 2, "quorumState": "quorum", "isolated": false, "writer": null, "peers": [{peers}]}},
        "alarms": ["host dns-2: unreachable for 9 s", "the disk is full"]}}"#,
        now.rfc3339()
    );
    let status = serde_json::from_str(&status).unwrap();
    HostSeen { api: "192.0.2.1:9353".to_owned(), is_assumed: false, status: Ok(Box::new(status)), asked_at: NOW }
}

fn peer(reachable: bool, clock_ahead: i64, differs: &str) -> String {
    format!(
        r#"{{"host": "dns-2", "reachable": {reachable}, "lastContactMs": 100, "lastDirectContactMs": 100, "roundTripMs": 1,
        "clockAheadMs": {clock_ahead}, "abstains": false, "reachableHosts": [], "configuration": {{}}, "differs": [{differs}],
        "targets": []}}"#
    )
}

/// The configuration without nodes, as the status above has it.
fn judge_hosts(seen: &[HostSeen]) -> Vec<String> {
    let mut config = config("");
    config.pools[0].pool.nodes.clear();
    lines(&hosts::judge(&config, seen))
}

#[test]
fn what_a_host_says_of_another_is_judged_and_its_other_alarms_are_kept() {
    let alarm = "warn dns-1: alarm: the disk is full; look at `daymark status` of this host";
    let unreachable = "fail dns-2: is unreachable for dns-1; start Daymark there, and let UDP pass between the hosts on the port of \
                       `peers.listen`";
    assert_eq!(judge_hosts(&[status(NOW, "0.1.0", &peer(false, 0, ""))]), [unreachable, alarm]);
    let seen = judge_hosts(&[status(NOW, "0.1.0", &peer(true, 60_000, "\"lb.example.org\""))]);
    assert!(
        seen[0].starts_with("warn dns-2: its clock is 60 s ahead of that of dns-1; set both clocks by NTP"),
        "{seen:?}"
    );
    assert!(
        seen[1].starts_with("fail dns-2: its configuration of lb.example.org differs from that of dns-1; "),
        "{seen:?}"
    );
}

#[test]
fn clocks_that_differ_by_seconds_are_sound_and_by_five_minutes_a_failure() {
    let behind = |seconds| judge_hosts(&[status(NOW.before(Duration::from_secs(seconds)), "0.1.0", "")]).remove(0);
    assert!(behind(5).starts_with("warn dns-1: alarm: "), "{}", behind(5));
    assert!(behind(6).starts_with("warn dns-1: its clock is 6 s behind this machine's; "), "{}", behind(6));
    assert!(behind(300).starts_with("fail dns-1: its clock is 5 minutes behind this machine's; "), "{}", behind(300));
}

#[test]
fn different_versions_are_named_with_their_hosts() {
    let seen = judge_hosts(&[status(NOW, "0.1.0", ""), status(NOW, "0.2.0", "")]);
    let expected = "warn versions: the hosts run different versions: dns-1 0.1.0, dns-1 0.2.0; upgrade the older ones";
    assert_eq!(seen.last().unwrap(), expected);
}

#[test]
fn a_missing_daymark_is_a_failure_only_where_it_was_named() {
    let none = |is_assumed| HostSeen {
        api: "192.0.2.1:9353".to_owned(),
        is_assumed,
        status: Err("no answer in time".to_owned()),
        asked_at: NOW,
    };
    assert!(
        judge_hosts(&[none(true)])[0].starts_with("warn 192.0.2.1:9353: no Daymark answers here (no answer in time), ")
    );
    assert!(
        judge_hosts(&[none(false)])[0]
            .starts_with("fail 192.0.2.1:9353: no Daymark answers here (no answer in time); ")
    );
}

#[test]
fn every_symptom_is_documented() {
    let source = include_str!("diagnosis.rs");
    let variants = source.split_once("pub enum Symptom {").unwrap().1.split_once('}').unwrap().0;
    let names = variants.lines().map(str::trim).filter(|line| !line.starts_with("///") && !line.is_empty());
    let documentation = include_str!("../../docs/doctor.md");
    for name in names.map(|name| name.trim_end_matches(',')) {
        let key = format!("`{}{}`", name[..1].to_ascii_lowercase(), &name[1..]);
        assert!(documentation.contains(&key), "{key}");
    }
}
