//! A changed configuration is applied whole or not at all, and no query is lost meanwhile.

use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use serde_json::Value;

use crate::support::dns::{A, ask, short};
use crate::support::nodes::{Nodes, Plan, write};
use crate::support::{Daymark, POOL, finish, until};

/// Sends queries without a pause until it is stopped.
struct Asking {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<usize>>>,
}

impl Asking {
    fn of(server: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut count = 0;
            while !until.load(Ordering::Relaxed) {
                let reply = ask(server, POOL, A)?;
                if reply.code != 0 || reply.addresses.is_empty() {
                    return Err(io::Error::other(format!("question {count} gets {reply:?}")));
                }
                count += 1;
            }
            Ok(count)
        });
        Self { stop, thread: Some(thread) }
    }

    /// Asserts that every query got an answer.
    fn was_answered(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let count = self.thread.take().unwrap().join().unwrap().unwrap();
        assert!(count > 0);
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn events(daymark: &Daymark, kind: &str) -> Vec<Value> {
    let events = daymark.json("/api/v1/events");
    events.as_array().unwrap().iter().filter(|event| event["event"] == kind).cloned().collect()
}

/// The grades that an address has had, by their names.
fn grades(daymark: &Daymark, address: IpAddr) -> Vec<String> {
    let address = address.to_string();
    let of_address = |event: &&Value| event["target"]["address"] == address.as_str();
    let transitions = events(daymark, "grade");
    transitions.iter().filter(of_address).map(|event| event["to"].as_str().unwrap().to_owned()).collect()
}

/// Makes a plan with some of the fakes as its nodes.
fn only(nodes: &Nodes, indices: &[usize]) -> Plan {
    let plan = nodes.plan();
    let chosen = indices.iter().map(|&index| plan.nodes[index].clone()).collect();
    Plan { nodes: chosen, ..plan }
}

#[test]
fn a_reload_by_signal_or_changed_file_adds_and_removes_nodes_and_keeps_the_health_of_the_others() {
    let nodes = Nodes::start(3);
    let all = nodes.addresses();
    let daymark = Daymark::run(&nodes.write(&only(&nodes, &[0, 1])));
    daymark.answers(&all[..2], "ready");
    let asking = Asking::of(daymark.dns);
    let since = daymark.pool()["targets"][1]["since"].clone();

    nodes.write(&nodes.plan());
    daymark.process.signal("HUP");
    daymark.answers(&all, "ready");
    nodes.write(&only(&nodes, &[1, 2]));
    daymark.answers(&all[1..], "ready");
    asking.was_answered();

    let pool = daymark.pool();
    assert_eq!(pool["targets"].as_array().unwrap().len(), 2, "the node that has gone is not shown any more: {pool}");
    assert_eq!(pool["targets"][0]["since"], since, "the grade of a node that stays has not turned");
    assert_eq!(grades(&daymark, all[1]), ["ready"]);
    assert_eq!(grades(&daymark, all[2]), ["ready"]);
    let mut counts: Vec<_> = events(&daymark, "reload").iter().map(|event| event["targetCount"].clone()).collect();
    // The file may be noticed before the signal; then it is applied twice.
    counts.dedup();
    assert_eq!(counts, [3, 2]);
    let (_, metrics) = daymark.get("/metrics");
    assert!(!metrics.contains(&format!("\"{}\"", all[0])), "no metric of the node that has gone is left: {metrics}");
}

/// Asks for a name without a pause until `stop` is set. Returns the codes of the responses, each once for those in a row.
fn codes_until(stop: &AtomicBool, server: SocketAddr, name: &str) -> io::Result<Vec<u8>> {
    let mut codes = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let reply = ask(server, name, A)?;
        assert_eq!(reply.addresses.is_empty(), reply.code != 0, "no answer is empty: {reply:?}");
        codes.push(reply.code);
        codes.dedup();
    }
    Ok(codes)
}

#[test]
fn a_pool_that_reloads_add_and_remove_has_an_answer_whenever_it_is_served() {
    const ADDED: &str = "lb2.kube-cp.com";
    const ROUNDS: usize = 10;
    const REFUSED: u8 = 5;
    const NO_SUCH_NAME: u8 = 3;
    for (zone, code_without) in [("", REFUSED), ("    zone: kube-cp.com", NO_SUCH_NAME)] {
        let nodes = Nodes::start(1);
        let without = Plan { provider: zone.to_owned(), ..nodes.plan() }.to_string();
        let address = nodes.addresses()[0];
        let pool =
            format!("  - {{name: {ADDED}, nodes: [{{name: a, addresses: [\"{address}\"]}}], probe: {{ca: ca.crt}}}}");
        let with = without.replace("providers:", &format!("{pool}\nproviders:"));
        let daymark = Daymark::run(&nodes.write(&Plan { provider: zone.to_owned(), ..nodes.plan() }));
        daymark.answers(&nodes.addresses(), "ready");
        let asking = Asking::of(daymark.dns);
        let stop = Arc::new(AtomicBool::new(false));
        let codes = std::thread::spawn({
            let stop = Arc::clone(&stop);
            let server = daymark.dns;
            move || codes_until(&stop, server, ADDED)
        });
        for _ in 0..ROUNDS {
            for (text, code) in [(&with, 0), (&without, code_without)] {
                fs::write(nodes.path("daymark.yaml"), text).unwrap();
                daymark.process.signal("HUP");
                until("the reload is applied", || (ask(daymark.dns, ADDED, A).unwrap().code == code).then_some(()));
            }
        }
        stop.store(true, Ordering::Relaxed);
        asking.was_answered();
        let codes = codes.join().unwrap().unwrap();
        assert!(codes.iter().all(|code| [0, code_without].contains(code)), "{codes:?}");
        assert!(codes.len() <= 2 * ROUNDS + 1, "each reload changes the code once: {codes:?}");
    }
}

#[test]
fn an_edit_while_the_configuration_is_being_read_is_applied() {
    let nodes = Nodes::start(2);
    let config = nodes.path("daymark.yaml");
    // Daymark reads a pipe as slowly as this test writes.
    assert!(Command::new("mkfifo").arg(&config).status().unwrap().success());
    let edited = write(&nodes.path("edited.yaml"), &nodes.plan());
    let writer = std::thread::spawn({
        let former = only(&nodes, &[0]).to_string();
        move || {
            let mut pipe = fs::OpenOptions::new().write(true).open(&config).unwrap();
            fs::rename(edited, config).unwrap();
            pipe.write_all(former.as_bytes()).unwrap();
        }
    });
    let daymark = Daymark::run(&nodes.path("daymark.yaml"));
    writer.join().unwrap();
    daymark.answers(&nodes.addresses(), "ready");
    assert_eq!(events(&daymark, "reload").len(), 1, "it has started with the former one");
}

/// A directory like a mounted `ConfigMap`: `..data` links to one version, and every file links through it.
fn publish_version(mount: &Path, version: &str, plan: &Plan, ca: &str) {
    fs::create_dir(mount.join(version)).unwrap();
    write(&mount.join(version).join("daymark.yaml"), plan);
    fs::write(mount.join(version).join("ca.crt"), ca).unwrap();
    symlink(version, mount.join("..data_tmp")).unwrap();
    fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
}

#[test]
fn the_swap_of_a_mounted_config_map_is_noticed() {
    let nodes = Nodes::start(3);
    let all = nodes.addresses();
    let mount = nodes.path("etc");
    fs::create_dir(&mount).unwrap();
    let state = nodes.path("state").display().to_string();
    let with_state = |plan: Plan| Plan { state: state.clone(), ..plan };
    publish_version(&mount, "..2026_11_22_10_00_00.1", &with_state(only(&nodes, &[0, 1])), nodes.authority.pem());
    for name in ["daymark.yaml", "ca.crt"] {
        symlink(Path::new("..data").join(name), mount.join(name)).unwrap();
    }
    let daymark = Daymark::run(&mount.join("daymark.yaml"));
    daymark.answers(&all[..2], "ready");
    let asking = Asking::of(daymark.dns);

    publish_version(&mount, "..2026_11_22_10_05_00.2", &with_state(nodes.plan()), nodes.authority.pem());
    fs::remove_dir_all(mount.join("..2026_11_22_10_00_00.1")).unwrap();
    daymark.answers(&all, "ready");
    asking.was_answered();
    assert_eq!((grades(&daymark, all[0]), grades(&daymark, all[1])), (vec!["ready".into()], vec!["ready".into()]));
}

#[test]
fn the_override_of_a_removed_node_is_pending_and_can_be_cleared() {
    let nodes = Nodes::start(2);
    let all = nodes.addresses();
    let daymark = Daymark::run(&nodes.write(&nodes.plan()));
    daymark.answers(&all, "ready");
    let token = nodes.path("state/admin.token");
    let say = |arguments: &[&str]| {
        let mut command = crate::support::daymark(arguments);
        finish(command.env("DAYMARK_API", daymark.api()).env("DAYMARK_TOKEN_FILE", &token))
    };
    assert_eq!(say(&["drain", "cp-2", "--author", "ada"]).code, Some(0));
    nodes.write(&only(&nodes, &[0]));
    daymark.process.signal("HUP");
    daymark.logs("configuration applied: ");
    for command in [&["status"][..], &["explain", "cp-2"]] {
        let shown = say(command).stdout;
        assert!(
            shown.contains("cp-2: override pending until the node is configured; drained by ada since "),
            "{shown}"
        );
    }
    let done = say(&["undrain", "cp-2"]);
    assert_eq!((done.code, done.stdout), (Some(0), format!("{POOL} -> {}\n", all[0])));
    assert!(!say(&["status"]).stdout.contains("cp-2"));
    assert_eq!(say(&["undrain", "cp-2"]).code, Some(1));
}

#[test]
fn an_invalid_file_changes_nothing_and_the_log_has_the_line_and_the_key() {
    let nodes = Nodes::start(2);
    let all = nodes.addresses();
    let config = nodes.write(&nodes.plan());
    let daymark = Daymark::run(&config);
    daymark.answers(&all, "ready");
    let asking = Asking::of(daymark.dns);
    let good = fs::read_to_string(&config).unwrap();
    let bad = good.replace("interval: 100ms", "interval: 100").replace("rise: 2", "raise: 2");
    let line = |key: &str| bad.lines().position(|line| line.contains(key)).unwrap() + 1;

    fs::write(&config, &bad).unwrap();
    daymark.process.signal("HUP");
    daymark.logs("the new configuration is refused, and the old one stays");
    daymark.logs(&format!("daymark.yaml:{}:17: pools[0].probe.interval: ", line("interval: 100")));
    daymark.logs(&format!("daymark.yaml:{}:7: pools[0].probe: unknown key `raise`", line("raise: 2")));
    let alarms = || daymark.json("/api/v1/status")["alarms"].to_string();
    let alarm = format!("the new configuration is refused, and the old one stays: {}:", config.display());
    assert!(alarms().contains(&alarm) && alarms().contains(" more in the log)"), "{}", alarms());
    assert!(daymark.get("/metrics").1.contains("\ndaymark_config_refused 1\n"));
    fs::write(&config, "").unwrap();
    daymark.process.signal("HUP");
    daymark.logs("daymark.yaml:1:1: the file: is empty; ");
    fs::remove_file(&config).unwrap();
    daymark.process.signal("HUP");
    daymark.logs("daymark.yaml: the file: cannot be read: No such file or directory");
    assert_eq!(short("kdig", daymark.dns, &[POOL, "A"]).len(), 2);
    assert_eq!(events(&daymark, "reload"), Vec::<Value>::new());

    nodes.write(&only(&nodes, &[0]));
    daymark.answers(&all[..1], "ready");
    asking.was_answered();
    daymark.logs("configuration applied: ");
    until("the alarm ends", || (alarms() == "[]").then_some(()));
    assert!(daymark.get("/metrics").1.contains("\ndaymark_config_refused 0\n"));
}

#[test]
fn a_ca_that_does_not_exist_is_refused_for_a_pool_that_is_probed_already() {
    let nodes = Nodes::start(1);
    let daymark = Daymark::run(&nodes.write(&nodes.plan()));
    daymark.answers(&nodes.addresses(), "ready");
    let text = nodes.plan().to_string().replace("ca: ca.crt", "ca: absent.crt");
    fs::write(nodes.path("daymark.yaml"), text).unwrap();
    daymark.process.signal("HUP");
    daymark.logs("absent.crt does not exist; a file is needed, because the pool is probed already");
    daymark.answers(&nodes.addresses(), "ready");
}

#[test]
fn changes_that_need_a_restart_are_refused_and_reported_all_at_once() {
    let nodes = Nodes::start(2);
    let all = nodes.addresses();
    let daymark = Daymark::run(&nodes.write(&nodes.plan()));
    daymark.answers(&all, "ready");
    let elsewhere = Plan {
        listen: "127.0.0.1:1".to_owned(),
        admin: "127.0.0.1:2".to_owned(),
        state: "other".to_owned(),
        provider: "    maxTcpConnections: 9".to_owned(),
        ..only(&nodes, &[0])
    };
    nodes.write(&elsewhere);
    daymark.process.signal("HUP");
    for key in ["providers[0].listen", "providers[0].maxTcpConnections", "admin.listen", "stateDir"] {
        daymark.logs(&format!("{key} cannot change while Daymark runs; restart Daymark"));
    }
    assert_eq!(events(&daymark, "reload"), Vec::<Value>::new());
    daymark.answers(&all, "ready");
}

#[test]
fn a_reload_of_a_daymark_started_with_flags_says_that_there_is_no_file() {
    let nodes = Nodes::start(1);
    let pool = format!("{POOL}:{}", nodes.port());
    let node = format!("cp-1={}", nodes.addresses()[0]);
    let ca = nodes.path("ca.crt");
    let arguments = ["run", "--pool", &pool, "--node", &node, "--ca", ca.to_str().unwrap()];
    let more = ["--listen", "127.0.0.1:0", "--nameserver", "ns1.example.net", "--admin", "127.0.0.1:0"];
    let daymark = Daymark::start(crate::support::daymark(&arguments).args(more));
    daymark.process.signal("HUP");
    daymark.logs("there is no configuration file to read again, because Daymark was started with flags");
    daymark.answers(&nodes.addresses(), "ready");
    until("it is still there", || (daymark.get("/livez").0 == 200).then_some(()));
}
