//! `daymark doctor` on a sound setup and on broken ones, with a real parent zone by BIND and a real resolver by unbound.
//!
//! BIND listens only on addresses that the machine has been given, so the parent zone is on `::1`, and the second name server on
//! 127.0.0.1, where BIND can take its place. All other addresses of loopback are those of one test alone.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use daymark_fake_apiserver::{Behaviour, FakeAuthority, Validity};
use daymark_fake_cloudflare::FakeTokenStatus;
use serde_json::Value;

use crate::support::dns::{A, ask};
use crate::support::nodes::{Nodes, Plan, addresses};
use crate::support::zone::ZoneFixture;
use crate::support::{Daymark, Finished, POOL, Process, daymark, finish, output, until};

const PARENT: &str = "kube-cp.com";
/// The SOA and NS records of the zones of BIND.
const HEAD: &str = "$TTL 300\n@ IN SOA ns.kube-cp.com. admin.kube-cp.com. 2026120101 7200 900 1209600 300\n";

/// Three hosts that serve the name, their nodes, and the addresses of everything else.
struct DoctorFixture {
    nodes: Nodes,
    hosts: Vec<Option<Daymark>>,
    /// The addresses of the hosts for their messages.
    gossip: Vec<IpAddr>,
    /// The addresses of the name servers.
    own: Vec<IpAddr>,
    /// The port of the name servers and of the parent.
    port: u16,
    resolver: IpAddr,
    /// The servers that are no Daymark.
    others: Vec<Process>,
}

/// The result of one run of `doctor`.
struct Seen {
    code: Option<i32>,
    report: Value,
}

impl Seen {
    /// Each symptom with its section, such as `nodes wrongName`.
    fn symptoms(&self) -> BTreeSet<String> {
        let diagnoses = self.report["diagnoses"].as_array().unwrap();
        let faults = diagnoses.iter().filter(|diagnosis| diagnosis["level"] != "ok");
        faults.map(|of| format!("{} {}", of["section"].as_str().unwrap(), of["symptom"].as_str().unwrap())).collect()
    }

    /// Asserts the exit code and exactly these symptoms, and returns the messages of all faults. Every configuration here has the
    /// warning that its nodes are on loopback, so no exit code is 0.
    fn finds(&self, code: i32, symptoms: &[&str]) -> String {
        let always = ["configuration configurationWarning"];
        let expected: BTreeSet<String> = symptoms.iter().chain(&always).map(|&symptom| symptom.to_owned()).collect();
        let warnings =
            self.report["diagnoses"].as_array().unwrap().iter().filter(|of| of["section"] == "configuration");
        for warning in warnings {
            assert!(warning["message"].as_str().unwrap().contains(" is a loopback address, "), "{warning}");
        }
        assert_eq!((self.code, self.symptoms()), (Some(code), expected), "{:#}", self.report);
        let diagnoses = self.report["diagnoses"].as_array().unwrap().iter();
        let faults = diagnoses.filter(|diagnosis| diagnosis["level"] != "ok");
        faults.map(|of| format!("{}: {}\n", of["subject"].as_str().unwrap(), of["message"].as_str().unwrap())).collect()
    }
}

impl DoctorFixture {
    /// A sound setup: three hosts, a parent that delegates with glue, and a resolver.
    fn sound() -> Self {
        let mut fixture = Self::hosts();
        fixture.start_parent(&fixture.delegation());
        fixture.start_resolver("");
        fixture
    }

    /// Starts hosts with ready nodes, without a parent and a resolver.
    fn hosts() -> Self {
        let fixture = Self::start(Nodes::start(3), |_, text| text);
        fixture.until_every_host("has its answer and no alarm", |status| {
            status["pools"][0]["basis"] == "ready" && status["alarms"].as_array().unwrap().is_empty()
        });
        fixture
    }

    /// Starts the hosts; `adapt` changes the text of the configuration of each.
    fn start(nodes: Nodes, adapt: impl Fn(usize, String) -> String) -> Self {
        output(&["keygen", "--out", nodes.path("gossip.key").to_str().unwrap()]);
        let gossip = addresses(3);
        let own = vec![gossip[0], Ipv4Addr::LOCALHOST.into(), gossip[2]];
        let resolver = addresses(1)[0];
        let mut fixture =
            Self { nodes, hosts: Vec::new(), gossip, own, port: free_port(), resolver, others: Vec::new() };
        for host in 0..3 {
            fs::write(fixture.config(host), adapt(host, fixture.text(host))).unwrap();
            fixture.hosts.push(Some(Daymark::run(&fixture.config(host))));
        }
        fixture.until_every_host("reaches the others", |status| {
            let mut peers = status["hosts"]["peers"].as_array().unwrap().iter();
            peers.all(|peer| peer["reachable"] == true && peer["clockAheadMs"].is_number())
        });
        fixture
    }

    fn config(&self, host: usize) -> PathBuf {
        self.nodes.path(&format!("host-{host}.yaml"))
    }

    fn text(&self, host: usize) -> String {
        let listen = format!("{}:{}", self.own[host], self.port);
        let plan = Plan { listen, state: format!("state-{host}"), ..self.nodes.plan() }.to_string();
        let numbered = || self.own.iter().zip(1..);
        let servers = numbered().map(|(address, n)| format!("{{name: ns{n}.{POOL}, addresses: [{address}]}}"));
        let members =
            self.gossip.iter().zip(1..).map(|(address, n)| format!("{{name: dns-{n}, address: \"{address}:7946\"}}"));
        let servers = servers.collect::<Vec<_>>().join(", ");
        let members = members.collect::<Vec<_>>().join(", ");
        let own = self.gossip[host];
        plan.replace("{name: ns1.example.net}", &servers)
            + &format!(
                "peers: {{self: dns-{}, listen: \"{own}:7946\", members: [{members}], keyFile: gossip.key}}\n",
                host + 1
            )
    }

    /// Waits until the status of every host is like this.
    fn until_every_host(&self, what: &str, is_so: impl Fn(&Value) -> bool) {
        until(&format!("every host {what}"), || {
            self.hosts.iter().flatten().all(|host| is_so(&host.json("/api/v1/status"))).then_some(())
        });
    }

    /// The records by which the parent delegates to all hosts.
    fn delegation(&self) -> String {
        let records = self.own.iter().zip(1..).map(|(address, n)| format!("lb NS ns{n}.lb\nns{n}.lb A {address}\n"));
        records.collect()
    }

    fn parent(&self) -> SocketAddr {
        (Ipv6Addr::LOCALHOST, self.port).into()
    }

    /// The address of a name server, as a diagnosis has it.
    fn server(&self, host: usize) -> String {
        format!("ns{}.{POOL} {}:{}", host + 1, self.own[host], self.port)
    }

    fn start_parent(&mut self, records: &str) {
        let zone = format!("{HEAD}@ NS ns\nns AAAA ::1\n{records}");
        self.start_bind("parent", self.parent(), PARENT, &zone);
    }

    /// Starts BIND with one zone.
    fn start_bind(&mut self, name: &str, address: SocketAddr, zone: &str, records: &str) {
        let dir = self.nodes.path(name);
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("zone"), records).unwrap();
        let dir = dir.display();
        let [v4, v6] = [address.is_ipv4(), address.is_ipv6()]
            .map(|is_family| if is_family { address.ip().to_string() } else { "none".to_owned() });
        let port = address.port();
        let conf = format!(
            "options {{ directory \"{dir}\"; listen-on port {port} {{ {v4}; }}; listen-on-v6 port {port} {{ {v6}; }}; recursion no; \
             pid-file none; session-keyfile none; dnssec-validation no; allow-transfer {{ none; }}; notify no; }};\ncontrols {{ }};\n\
             zone \"{zone}\" {{ type primary; file \"zone\"; check-integrity no; }};\n"
        );
        let path = self.nodes.path(&format!("{name}.conf"));
        fs::write(&path, conf).unwrap();
        let mut command = Command::new("named");
        let log = fs::File::create(self.nodes.path(&format!("{name}.log"))).unwrap();
        self.others
            .push(Process::spawn(command.args(["-g", "-n", "1", "-c"]).arg(path).stdout(Stdio::null()).stderr(log)));
        until("BIND listens", || TcpStream::connect(address).ok());
    }

    /// Starts unbound at both ports, with further lines of its section `server`.
    fn start_resolver(&mut self, lines: &str) {
        let address = self.resolver;
        let port = self.port;
        let stubs: String = self.own.iter().map(|own| format!("  stub-addr: {own}@{port}\n")).collect();
        let conf = format!(
            "server:\n  interface: {address}@53\n  interface: {address}@{port}\n  port: {port}\n  access-control: 127.0.0.0/8 allow\n  \
             do-daemonize: no\n  username: \"\"\n  chroot: \"\"\n  pidfile: \"\"\n  use-syslog: no\n  do-not-query-localhost: no\n  \
             module-config: \"iterator\"\n  num-threads: 1\n{lines}stub-zone:\n  name: {POOL}\n{stubs}remote-control:\n  control-enable: no\n"
        );
        let path = self.nodes.path("unbound.conf");
        fs::write(&path, conf).unwrap();
        let log = fs::File::create(self.nodes.path("unbound.log")).unwrap();
        let mut command = Command::new("unbound");
        self.others.push(Process::spawn(command.args(["-d", "-c"]).arg(path).stdout(Stdio::null()).stderr(log)));
        fs::write(self.nodes.path("resolv.conf"), format!("nameserver {address}\n")).unwrap();
        until("unbound answers", || ask((address, port).into(), POOL, A).ok());
    }

    /// Stops a host, and waits until the others miss it.
    fn stop(&mut self, host: usize) {
        self.hosts[host] = None;
        self.until_every_host("misses it", |status| {
            status["hosts"]["peers"].as_array().unwrap().iter().any(|peer| peer["reachable"] == false)
        });
    }

    /// Puts a server with this answer for the zone in the place of a host.
    fn replace_by_bind(&mut self, host: usize, zone: &str, records: &str) {
        self.stop(host);
        self.start_bind("instead", (self.own[host], self.port).into(), zone, records);
    }

    /// The zone of the pool as BIND has it, with the answer of the hosts and this serial.
    fn zone(&self, serial: u32) -> String {
        let servers = self.own.iter().zip(1..).map(|(address, n)| format!("@ NS ns{n}\nns{n} A {address}\n"));
        let nodes = self.nodes.addresses().into_iter().map(|address| format!("@ 5 A {address}\n"));
        HEAD.replace("2026120101", &serial.to_string()) + &servers.chain(nodes).collect::<String>()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let config = self.config(0);
        let resolv_conf = self.nodes.path("resolv.conf");
        let port = self.port.to_string();
        let mut command = daymark(&["doctor", "-c", config.to_str().unwrap(), "--port", &port, "--resolv-conf"]);
        command.arg(resolv_conf).args(arguments);
        for host in self.hosts.iter().flatten() {
            command.args(["--host-api", &host.api()]);
        }
        command
    }

    /// Runs `doctor` with the parent zone, and reads its report.
    fn doctor(&self, arguments: &[&str]) -> Seen {
        let parent = self.parent().to_string();
        let Finished { code, stdout, stderr } =
            finish(self.command(&["--parent", &parent, "-o", "json"]).args(arguments));
        assert_eq!(stderr, "", "{stdout}");
        let report = serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}"));
        Seen { code, report }
    }
}

#[test]
fn a_sound_setup_has_no_fault() {
    let fixture = DoctorFixture::sound();
    let seen = fixture.doctor(&["--resolver", &format!("{}:{}", fixture.resolver, fixture.port)]);
    seen.finds(1, &[]);
    assert_eq!((&seen.report["format"], &seen.report["level"]), (&Value::from(1), &Value::from("warn")));
    let sections: BTreeSet<&str> =
        seen.report["diagnoses"].as_array().unwrap().iter().map(|of| of["section"].as_str().unwrap()).collect();
    let expected = ["configuration", "delegation", "failover", "hosts", "local", "nameServers", "nodes", "resolvers"];
    assert_eq!(sections, expected.into(), "{:#}", seen.report);
}

#[test]
fn the_parent_is_found_from_the_root() {
    let mut fixture = DoctorFixture::sound();
    let zone = format!("{HEAD}@ NS ns.kube-cp.com.\nkube-cp.com. NS ns.kube-cp.com.\nns.kube-cp.com. AAAA ::1\n");
    let root = SocketAddr::from((Ipv6Addr::LOCALHOST, free_port()));
    fixture.start_bind("root", root, ".", &zone);
    let Finished { code, stdout, .. } = finish(&mut fixture.command(&["--root", &root.to_string()]));
    let line = format!(
        "  ok    {POOL}: {} delegates to ns1.{POOL}, ns2.{POOL}, ns3.{POOL}, with the addresses needed\n",
        fixture.parent()
    );
    assert!(code == Some(1) && stdout.contains(&line), "{stdout}");
}

#[test]
fn a_root_that_cannot_be_reached_is_a_warning_that_names_the_option() {
    let fixture = DoctorFixture::sound();
    let root = SocketAddr::from((Ipv6Addr::LOCALHOST, free_port()));
    let Finished { code, stdout, .. } = finish(&mut fixture.command(&["--root", &root.to_string()]));
    let line = format!(
        "  warn  {POOL}: the root servers cannot be reached from here, so the delegation is not looked at; name a server of the \
         parent zone by `--parent ADDRESS[:PORT]`\n"
    );
    assert!(code == Some(1) && stdout.contains(&line), "{stdout}");
}

#[test]
fn a_zone_without_a_delegation_is_found() {
    let mut fixture = DoctorFixture::hosts();
    fixture.start_parent("");
    fixture.start_resolver("");
    let messages = fixture.doctor(&[]).finds(2, &["delegation noDelegation"]);
    assert!(messages.contains(&format!("add `{POOL}. NS ns1.{POOL}.`, ")), "{messages}");
}

#[test]
fn missing_glue_is_found() {
    let mut fixture = DoctorFixture::hosts();
    fixture.start_parent(&fixture.delegation().replace(&format!("ns2.lb A {}\n", fixture.own[1]), ""));
    fixture.start_resolver("");
    let messages = fixture.doctor(&[]).finds(2, &["delegation noGlue"]);
    assert!(messages.contains(&format!("no glue for ns2.{POOL}, ")), "{messages}");
    assert!(messages.contains(&format!("add `ns2.{POOL}. A {}` to {PARENT}", fixture.own[1])), "{messages}");
}

#[test]
fn a_lame_server_is_found() {
    let mut fixture = DoctorFixture::sound();
    fixture.replace_by_bind(1, "other.example", &format!("{HEAD}@ NS ns.kube-cp.com.\n"));
    let symptoms = ["nameServers lame", "hosts hostUnreachable"];
    let messages = fixture.doctor(&[]).finds(2, &symptoms);
    assert!(messages.contains(&format!("{}: is lame by UDP: ", fixture.server(1))), "{messages}");
}

#[test]
fn a_lame_server_that_only_the_parent_has_is_found() {
    let mut fixture = DoctorFixture::hosts();
    fixture.start_parent(&(fixture.delegation() + "lb NS ns4.lb\nns4.lb AAAA ::1\n"));
    fixture.start_resolver("");
    let messages = fixture.doctor(&[]).finds(2, &["delegation lame"]);
    assert!(messages.contains(&format!("delegates to ns4.{POOL}, which is lame")), "{messages}");
}

#[test]
fn a_host_that_is_down_is_found() {
    let mut fixture = DoctorFixture::sound();
    fixture.stop(2);
    let messages = fixture.doctor(&[]).finds(2, &["nameServers unreachable", "hosts hostUnreachable"]);
    let name_server = format!("{}: does not answer by UDP or TCP", fixture.server(2));
    assert!(
        messages.contains(&name_server) && messages.contains("dns-3: is unreachable for dns-1; start"),
        "{messages}"
    );
}

#[test]
fn another_configuration_of_a_host_is_found() {
    let nodes = Nodes::start(3);
    let third = format!("      - {{name: cp-3, addresses: [\"{}\"]}}\n", nodes.addresses()[2]);
    let mut fixture = DoctorFixture::start(nodes, |host, text| if host == 1 { text.replace(&third, "") } else { text });
    fixture.until_every_host("sees the difference", |status| {
        status["pools"][0]["basis"] == "ready"
            && status["hosts"]["peers"].to_string().contains(&format!("\"differs\":[\"{POOL}\"]"))
    });
    fixture.start_parent(&fixture.delegation());
    fixture.start_resolver("");
    let symptoms = ["nameServers answersDiffer", "hosts configurationDiffers"];
    let messages = fixture.doctor(&[]).finds(2, &symptoms);
    assert!(
        messages.contains(&format!("dns-2: its configuration of {POOL} differs from that of dns-1; ")),
        "{messages}"
    );
    assert!(
        messages.contains(&format!("dns-2: {POOL} differs from the configuration file: the file has cp-3 ")),
        "{messages}"
    );
}

#[test]
fn serials_that_are_apart_are_found() {
    for serial in [1, 2_026_120_101] {
        let mut fixture = DoctorFixture::sound();
        fixture.replace_by_bind(1, POOL, &fixture.zone(serial));
        let symptoms = ["nameServers serialApart", "hosts hostUnreachable"];
        let messages = fixture.doctor(&[]).finds(2, &symptoms);
        assert!(
            messages.contains("the serials are ") && messages.contains(&format!(" {serial} at ns2.")),
            "{messages}"
        );
    }
}

#[test]
fn private_addresses_that_a_resolver_filters_are_found() {
    let mut fixture = DoctorFixture::hosts();
    fixture.start_parent(&fixture.delegation());
    fixture.start_resolver("  private-address: 127.0.0.0/8\n");
    let messages = fixture.doctor(&[]).finds(2, &["resolvers filtered"]);
    assert!(messages.contains("out of the answer (rebind protection)"), "{messages}");
}

#[test]
fn a_resolver_that_keeps_answers_for_too_long_is_found() {
    let mut fixture = DoctorFixture::hosts();
    fixture.start_parent(&fixture.delegation());
    fixture.start_resolver("  cache-min-ttl: 300\n");
    fixture.doctor(&[]).finds(1, &["resolvers ttlRaised"]);
}

#[test]
fn a_certificate_without_the_name_is_found() {
    let fixture = DoctorFixture::sound();
    fixture.nodes.set(0, Behaviour::WrongNames);
    let messages = fixture.doctor(&[]).finds(2, &["nodes wrongName"]);
    assert!(messages.contains(&format!("the certificate lacks {POOL}; it has ")), "{messages}");
    assert!(messages.contains("add the name to `apiServer.certSANs`"), "{messages}");
}

#[test]
fn an_expired_ca_is_found() {
    let authority = FakeAuthority::with_validity("kubernetes", Validity::Past).unwrap();
    let nodes = Nodes::of(authority, &addresses(3));
    let mut fixture = DoctorFixture::start(nodes, |_, text| text);
    fixture.start_parent(&fixture.delegation());
    fixture.start_resolver("");
    let seen = fixture.doctor(&[]);
    let messages = seen.finds(2, &["nodes expired", "hosts alarm"]);
    assert!(messages.contains("the CA that issued the certificate has expired: "), "{messages}");
}

#[test]
fn refused_credentials_are_found_with_their_mend() {
    let fixture = DoctorFixture::sound();
    fixture.nodes.set(0, Behaviour::Unauthorized);
    let messages = fixture.doctor(&[]).finds(1, &["nodes unauthorized"]);
    assert!(messages.contains("401: ") && messages.contains("allow anonymous reading of the path"), "{messages}");
}

#[test]
fn a_clock_that_is_apart_is_found() {
    let fixture = DoctorFixture::sound();
    let mut status = fixture.hosts[1].as_ref().unwrap().json("/api/v1/status");
    let now: jiff::Timestamp = status["now"].as_str().unwrap().parse().unwrap();
    let ahead = now + jiff::SignedDuration::from_mins(10);
    status["now"] = Value::from(format!("{ahead:.3}"));
    let api = serve(status.to_string());
    let seen = fixture.doctor(&["--host-api", &api.to_string()]);
    let messages = seen.finds(2, &["hosts clockApart"]);
    assert!(messages.contains("dns-2: its clock is ") && messages.contains(" ahead of this machine's; "), "{messages}");
}

#[test]
fn a_listen_address_that_another_process_has_is_found() {
    let mut fixture = DoctorFixture::sound();
    let taken = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    fixture.start_bind("taken", taken, "other.example", &format!("{HEAD}@ NS ns.kube-cp.com.\n"));
    let text = fixture
        .text(0)
        .replace(&format!("listen: [\"{}:{}\"]", fixture.own[0], fixture.port), &format!("listen: [\"{taken}\"]"));
    fs::write(fixture.config(0), text).unwrap();
    let messages = fixture.doctor(&[]).finds(2, &["local addressTaken"]);
    assert!(messages.contains(&format!("listen {taken}: the process named has {taken} by ")), "{messages}");
}

#[test]
fn a_key_that_everyone_may_read_is_found() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = DoctorFixture::sound();
    let key = fixture.nodes.path("gossip.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let seen = fixture.doctor(&[]);
    let messages = seen.finds(2, &["local fileAccess", "hosts alarm"]);
    assert!(messages.contains(&format!("run `chmod o-rwx {}`", key.display())), "{messages}");
}

#[test]
fn the_checks_of_cloudflare_are_asked() {
    let fixture = ZoneFixture::new(1);
    let config = fixture.config();
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("ns1.example.net", "ns1.example.net, addresses: [127.0.0.1]")).unwrap();
    // Nothing else of this setup runs.
    let elsewhere = format!("127.0.0.1:{}", free_port());
    let cloudflare = || {
        let arguments = ["-c", config.to_str().unwrap(), "-o", "json", "--parent", &elsewhere];
        let mut command = daymark(&[&["doctor"], &arguments[..], &["--resolv-conf", "/nonexistent"]].concat());
        let Finished { stdout, .. } = finish(&mut command);
        let report: Value = serde_json::from_str(&stdout).unwrap();
        let diagnoses = report["diagnoses"].as_array().unwrap();
        diagnoses.iter().find(|of| of["section"] == "cloudflare").unwrap().clone()
    };
    let sound = cloudflare();
    assert_eq!((&sound["subject"], &sound["level"]), (&Value::from("cloudflare"), &Value::from("ok")), "{sound}");
    let token = fixture.zone.cloudflare.token();
    fixture.zone.store(|store| store.token(&token).status = FakeTokenStatus::Disabled);
    let inactive = cloudflare();
    assert_eq!(
        (&inactive["level"], &inactive["symptom"]),
        (&Value::from("fail"), &Value::from("finding")),
        "{inactive}"
    );
}

#[test]
fn a_configuration_with_an_error_is_refused_before_anything_is_looked_at() {
    let Finished { code, stdout, stderr } = finish(&mut daymark(&["doctor", "-c", "/nonexistent/daymark.yaml"]));
    assert!(code == Some(2) && stdout.is_empty() && stderr.contains("/nonexistent/daymark.yaml"), "{stderr}");
}

/// A port that nobody uses on `::1` or 127.0.0.1. The hosts have it also on addresses of their own.
fn free_port() -> u16 {
    until("a port is free", || {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let is_free = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
            && UdpSocket::bind((Ipv6Addr::LOCALHOST, port)).is_ok()
            && TcpListener::bind((Ipv6Addr::LOCALHOST, port)).is_ok();
        is_free.then_some(port)
    })
}

/// Answers every request with this JSON, until the test process ends.
fn serve(body: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let length = body.len();
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        }
    });
    address
}
