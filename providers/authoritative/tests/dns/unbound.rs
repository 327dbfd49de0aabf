//! The judgement of unbound, a resolver that validates: over every kind of answer, rollovers of the keys, restarts and changes.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, UdpSocket as StdUdpSocket};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, SystemTime};

use daymark_authoritative::{DenialOfExistence, DnssecKey, KeyRole, PreparedZones, ZoneKey, ZoneSettings};
use hickory_proto::op::{Message, ResponseCode};
use tempfile::TempDir;
use tokio::net::UdpSocket;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::dnssec::{APEX, DNSKEY_TYPE, DO, new_key, signed_server, signed_zone, zone_key};
use crate::support::{A, AAAA, DS, NS, SOA, TXT, TestQuery, TestServer, addresses, decision, settings};

/// Recursion desired.
const RD: u16 = 0x0100;

/// A resolver that asks a server for the signed zone, and keeps nothing.
struct Unbound {
    process: Child,
    address: SocketAddr,
    /// Unbound must be able to write to it.
    _log: BufReader<ChildStderr>,
    _dir: TempDir,
}

impl Drop for Unbound {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Unbound {
    /// Starts a resolver that trusts these keys, and waits until it serves.
    fn start(server: SocketAddr, trusted: &[(&DnssecKey, KeyRole)]) -> Self {
        // Another process may take the port that was free.
        (0..50).find_map(|_| Self::try_start(server, trusted)).expect("unbound finds a free port")
    }

    fn try_start(server: SocketAddr, trusted: &[(&DnssecKey, KeyRole)]) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        // Unbound listens by TCP too.
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let free = tcp.local_addr().unwrap();
        let udp = StdUdpSocket::bind(free).ok()?;
        drop((tcp, udp));
        let anchors =
            trusted.iter().map(|(key, role)| format!("  trust-anchor: \"{}\"\n", key.ds_line(APEX, *role).unwrap()));
        let path = dir.path().display();
        let text = format!(
            "server:\n  directory: \"{path}\"\n  pidfile: \"{path}/pid\"\n  username: \"\"\n  chroot: \"\"\n  \
             do-daemonize: no\n  use-syslog: no\n  logfile: \"\"\n  interface: {}@{}\n  do-ip6: no\n  \
             do-not-query-localhost: no\n  module-config: \"validator iterator\"\n  cache-max-ttl: 0\n  \
             cache-max-negative-ttl: 0\n  val-sig-skew-min: 0\n  val-sig-skew-max: 0\n  local-zone: \"{APEX}.\" nodefault\n{}stub-zone:\n  name: \"{APEX}\"\n  stub-addr: {}@{}\n\
             remote-control:\n  control-enable: no\n",
            free.ip(),
            free.port(),
            anchors.collect::<String>(),
            server.ip(),
            server.port(),
        );
        let file = dir.path().join("unbound.conf");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new("unbound");
        command.arg("-d").arg("-c").arg(&file).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("unbound starts");
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let mut lines = String::new();
        while !lines.contains("start of service") {
            if log.read_line(&mut lines).unwrap() == 0 {
                assert!(lines.contains("Address already in use"), "{lines}");
                process.wait().unwrap();
                return None;
            }
        }
        Some(Self { process, address: free, _log: log, _dir: dir })
    }

    async fn try_query(&self, name: &str, rtype: u16) -> Option<Message> {
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        client.connect(self.address).await.unwrap();
        client.send(&TestQuery::new(name, rtype).flags(RD).opt(1232, 0, DO, &[]).bytes()).await.ok()?;
        let mut response = vec![0; 4096];
        let length = timeout(Duration::from_secs(20), client.recv(&mut response)).await.ok()?.ok()?;
        Some(Message::from_vec(&response[..length]).unwrap())
    }

    /// Asks a question, whose answer must be validated.
    async fn validated(&self, name: &str, rtype: u16) -> Message {
        let response = self.try_query(name, rtype).await.expect("unbound answers");
        let code = response.metadata.response_code;
        assert!(code != ResponseCode::ServFail, "{name} {rtype} is bogus: {response:?}");
        assert!(response.metadata.authentic_data, "{name} {rtype} is not validated: {response:?}");
        response
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unbound_validates_every_kind_of_answer() {
    for denial in [DenialOfExistence::Nsec, DenialOfExistence::Nsec3] {
        let key = new_key();
        let server = signed_server(&key, denial);
        let unbound = Unbound::start(server.address, &[(&key, KeyRole::Combined)]);
        for (name, rtype, answers) in [
            (APEX, SOA, 2),
            (APEX, NS, 3),
            (APEX, DNSKEY_TYPE, 2),
            ("a.kube-cp.com", A, 3),
            ("a.kube-cp.com", AAAA, 0),
            ("B.kube-cp.com", AAAA, 2),
            ("text.kube-cp.com", TXT, 3),
            ("mail.kube-cp.com", TXT, 0),
            ("no.such.name.kube-cp.com", A, 0),
            ("no.such.mail.kube-cp.com", A, 0),
            ("zz.kube-cp.com", A, 0),
            ("y.z.kube-cp.com", A, 0),
            ("x.y.wild.kube-cp.com", TXT, 2),
            ("x.wild.kube-cp.com", A, 0),
            ("www.kube-cp.com", A, 4),
            ("api.kube-cp.com", A, 5),
            ("gone.kube-cp.com", A, 2),
            ("to-wild.kube-cp.com", TXT, 4),
            ("sub.kube-cp.com", DS, 0),
            ("safe.kube-cp.com", DS, 2),
        ] {
            let response = unbound.validated(name, rtype).await;
            assert_eq!(response.answers.len(), answers, "{denial:?} {name} {rtype}: {response:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unbound_validates_the_signatures_of_a_host_whose_clock_is_off_by_less_than_three_hours() {
    let key = new_key();
    let server = signed_server(&key, DenialOfExistence::Nsec);
    let mut former = Vec::new();
    let now = SystemTime::now();
    let error = Duration::from_mins(170);
    for of_host in [now - error, now, now + error] {
        // Signatures from far ahead are made anew.
        server.renew_signatures(now + Duration::from_hours(40 * 24));
        server.renew_signatures(of_host);
        // It tolerates no error of the clock itself.
        let unbound = Unbound::start(server.address, &[(&key, KeyRole::Combined)]);
        for (name, rtype) in [("a.kube-cp.com", A), (APEX, DNSKEY_TYPE), ("nowhere.kube-cp.com", A)] {
            let response = unbound.validated(name, rtype).await;
            assert!(!former.contains(&response.answers) || response.answers.is_empty(), "{of_host:?} {response:?}");
            former.push(response.answers);
        }
    }
}

/// Serves the zone with other keys, as a reload does.
fn reload(server: &TestServer, generation: u64, keys: Vec<ZoneKey>) {
    let mut zone = signed_zone(&new_key(), DenialOfExistence::Nsec);
    zone.signing.as_mut().unwrap().keys = keys;
    server.configure(PreparedZones::build(&[zone]).unwrap());
    publish(server, generation, "192.0.2.1");
}

fn publish(server: &TestServer, generation: u64, address: &str) {
    let answers: [(&str, &[&str]); 3] =
        [("a.kube-cp.com", &[address]), ("b.kube-cp.com", &["192.0.2.2"]), ("c.d.kube-cp.com", &["192.0.2.3"])];
    server.publish_decision(&decision(generation, &answers));
}

#[tokio::test(flavor = "multi_thread")]
async fn unbound_validates_over_rollovers_and_a_restart() {
    let ksk = new_key();
    let next_ksk = new_key();
    let zsk = new_key();
    let new_records_key = new_key();
    let key = |key: &DnssecKey, role| zone_key(key, role);
    let published = |key: &DnssecKey, role| ZoneKey { is_active: false, ..zone_key(key, role) };
    let (k, z) = (KeyRole::KeySigning, KeyRole::ZoneSigning);
    let steps = [
        vec![key(&ksk, k), key(&zsk, z)],
        vec![key(&ksk, k), key(&zsk, z), published(&new_records_key, z)],
        vec![key(&ksk, k), published(&zsk, z), key(&new_records_key, z)],
        vec![key(&ksk, k), key(&new_records_key, z)],
        vec![key(&ksk, k), key(&next_ksk, k), key(&new_records_key, z)],
        vec![key(&next_ksk, k), key(&new_records_key, z)],
    ];
    let mut zone = signed_zone(&ksk, DenialOfExistence::Nsec);
    zone.signing.as_mut().unwrap().keys = steps[0].clone();
    let server = TestServer::start(&settings(vec![ZoneSettings { ..zone.clone() }]));
    publish(&server, 1, "192.0.2.1");
    // Resolvers that know the keys of the step before, by the key that they trust.
    let mut resolvers: Vec<(&DnssecKey, Unbound)> = Vec::new();
    for (index, keys) in steps.iter().enumerate() {
        reload(&server, 10 + index as u64, keys.clone());
        let trusted: &[&DnssecKey] = match index {
            0..4 => &[&ksk],
            4 => &[&ksk, &next_ksk],
            _ => &[&next_ksk],
        };
        let fresh = trusted.iter().map(|key| (*key, Unbound::start(server.address, &[(key, k)])));
        resolvers.retain(|(key, _)| trusted.contains(key));
        resolvers.extend(fresh);
        for (_, unbound) in &resolvers {
            unbound.validated("a.kube-cp.com", A).await;
            unbound.validated("nowhere.kube-cp.com", A).await;
        }
        let newest = resolvers.len() - trusted.len();
        resolvers.drain(..newest);
    }
    let mut restarted = settings(vec![zone]);
    restarted.zones[0].signing.as_mut().unwrap().keys = steps[5].clone();
    restarted.listen = vec![server.address];
    server.stop().await.unwrap();
    let server = TestServer::start(&restarted);
    publish(&server, 100, "192.0.2.9");
    let response = resolvers[0].1.validated("a.kube-cp.com", A).await;
    assert_eq!(addresses(&response).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn unbound_validates_two_hundred_lookups_of_an_answer_that_changes_every_100_ms() {
    for denial in [DenialOfExistence::Nsec, DenialOfExistence::Nsec3] {
        let key = new_key();
        let server = signed_server(&key, denial);
        let unbound = Unbound::start(server.address, &[(&key, KeyRole::Combined)]);
        let mut changes = interval(Duration::from_millis(100));
        let mut lookups = interval(Duration::from_millis(15));
        changes.set_missed_tick_behavior(MissedTickBehavior::Skip);
        lookups.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut generation = 1000;
        let mut seen = std::collections::BTreeSet::new();
        let mut count = 0;
        while count < 200 {
            tokio::select! {
                _ = changes.tick() => {
                    generation += 1;
                    publish(&server, generation, &format!("192.0.2.{}", generation % 250 + 1));
                }
                _ = lookups.tick() => {
                    // Every fourth one is for a type that the name does not have, which a proof shows.
                    let rtype = if count % 4 == 3 { TXT } else { A };
                    let found = addresses(&unbound.validated("a.kube-cp.com", rtype).await);
                    assert_eq!(found.is_empty(), rtype == TXT);
                    seen.extend(found);
                    count += 1;
                }
            }
        }
        assert!(seen.len() > 5, "{seen:?}");
    }
}
