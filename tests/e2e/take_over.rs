//! Upgrades: a new process takes the place of the one that runs, and no query is lost.

use std::fs::{self, File};
use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use daymark_fake_apiserver::Behaviour;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use crate::support::dns::{Clients, look_up};
use crate::support::nodes::{self, Nodes, Plan};
use crate::support::sockets::SocketUnit;
use crate::support::{Daymark, Finished, POOL, daymark, finish, http, until};

/// The number of upgrades, one after the other.
const UPGRADES: usize = 10;

fn take_over(config: &Path) -> Command {
    daymark(&["run", "--take-over", "-c", config.to_str().unwrap()])
}

/// A running Daymark, and the configuration of its successors: it has the addresses that the kernel chose.
struct Running {
    nodes: Nodes,
    daymark: Daymark,
    plan: Plan,
    config: PathBuf,
}

impl Running {
    fn start(count: u8) -> Self {
        Self::start_with(count, |_| {})
    }

    fn start_with(count: u8, change: impl Fn(&mut Plan)) -> Self {
        let nodes = Nodes::start(count);
        let mut plan = nodes.plan();
        change(&mut plan);
        let daymark = Daymark::run(&nodes.write(&plan));
        daymark.answers(&nodes.addresses(), "ready");
        plan.listen = daymark.dns.to_string();
        plan.admin = daymark.admin.to_string();
        let config = nodes::write(&nodes.path("newer.yaml"), &plan);
        Self { nodes, daymark, plan, config }
    }

    /// Writes another configuration of the successors.
    fn configure(&self, change: impl Fn(&mut Plan)) -> PathBuf {
        let mut plan = self.plan.clone();
        change(&mut plan);
        nodes::write(&self.nodes.path("changed.yaml"), &plan)
    }

    /// Asserts that a process that was to take over has failed, and that this one serves on.
    fn survives(&mut self, failed: &Finished, code: i32, words: &str) {
        assert_eq!(failed.code, Some(code), "{}", failed.stderr);
        assert!(failed.stderr.contains(words), "{words:?} is missing in {}", failed.stderr);
        assert_eq!(self.daymark.process.0.try_wait().unwrap(), None, "{}", self.daymark.log());
        assert_eq!(look_up(self.daymark.dns).len(), self.nodes.addresses().len());
        self.daymark.answers(&self.nodes.addresses(), "ready");
    }
}

#[test]
fn no_query_is_lost_while_one_process_after_the_other_takes_over() {
    let Running { nodes, daymark: mut running, config, .. } =
        Running::start_with(3, |plan| plan.provider = "    udpWorkers: 2".to_owned());
    let (dns, admin) = (running.dns, running.admin);
    nodes.set(0, Behaviour::Dead);
    running.answers(&nodes.addresses()[1..], "ready");
    // No dead node comes back.
    let expected = nodes.addresses()[1..].iter().copied().collect();
    let clients = Clients::start(dns, &expected);
    for _ in 0..UPGRADES {
        let next = Daymark::start(&mut take_over(&config));
        assert!(running.process.wait().success(), "the former one ends in order");
        clients.go_on();
        running = next;
        assert_eq!((running.admin, running.get("/livez").0), (admin, 200));
    }
    clients.end();
    assert_eq!(running.dns, dns);
    running.answers(&nodes.addresses()[1..], "ready");
    let log = running.log();
    assert!(!log.contains("ERROR") && !log.contains("this configuration has no such"), "{log}");
}

#[test]
fn without_one_to_take_over_from_daymark_starts_as_always() {
    let nodes = Nodes::start(1);
    let config = nodes.write(&nodes.plan());
    let running = Daymark::start(&mut take_over(&config));
    running.answers(&nodes.addresses(), "ready");
    running.kill();
    // The socket of the killed process is there still.
    let running = Daymark::start(&mut take_over(&config));
    running.answers(&nodes.addresses(), "ready");
}

#[test]
fn a_process_that_cannot_run_leaves_the_running_one_alone() {
    let mut running = Running::start(1);
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap();
    let wrong = running.configure(|plan| plan.interval = "nonsense");
    running.survives(&finish(&mut take_over(&wrong)), 2, "interval");
    let in_use = running.configure(|plan| plan.admin = taken.to_string());
    running.survives(&finish(&mut take_over(&in_use)), 2, &format!("cannot listen on {taken} by tcp: the address is"));
    let without_token = running.configure(|plan| {
        plan.provider =
            "  - {type: cloudflare, mode: records, zone: kube-cp.com, tokenVariable: DAYMARK_NO_TOKEN}\n".to_owned();
    });
    running.survives(&finish(&mut take_over(&without_token)), 2, "DAYMARK_NO_TOKEN");
    let without_state = finish(&mut daymark(&["run", "--take-over", "--pool", POOL, "--node", "cp-1=127.0.0.1"]));
    running.survives(&without_state, 2, "--take-over needs `stateDir`");
    running.daymark.logs("does not take its place: it has ended");
}

#[test]
fn a_second_process_without_take_over_gets_a_hint_at_it() {
    let mut running = Running::start(1);
    let refused = finish(&mut daymark(&["run", "-c", running.config.to_str().unwrap()]));
    running.survives(&refused, 2, "the address is in use");
    running.survives(&refused, 2, "`daymark run --take-over` takes the place of a running one");
}

#[test]
fn of_several_processes_at_once_one_takes_over() {
    let Running { mut daymark, config, nodes: _nodes, .. } = Running::start(1);
    let mut others: Vec<Daymark> = (0..3).map(|_| Daymark::spawn(&mut take_over(&config))).collect();
    assert!(daymark.process.wait().success());
    until("one is left", || {
        others.retain_mut(|other| match other.process.0.try_wait().unwrap() {
            None => true,
            Some(status) => {
                let log = other.log();
                let is_refused = log.contains("another process has taken over meanwhile") || log.contains("in use");
                assert!(status.success() || is_refused, "{status}: {log}");
                false
            }
        });
        (others.len() <= 1).then_some(())
    });
    let last = &mut others[0];
    assert_eq!(last.address_after("DNS is served on "), daymark.dns);
    assert_eq!(look_up(daymark.dns).len(), 1);
}

#[test]
fn a_low_limit_of_descriptors_is_raised_or_named() {
    let mut running = Running::start_with(1, |plan| plan.provider = "    udpWorkers: 40".to_owned());
    let workers = 40;
    let config = running.config.clone();
    let with_limits = |soft: u32, hard: u32| {
        let mut command = Command::new("sh");
        let script = format!("ulimit -Sn {soft} && ulimit -Hn {hard} && exec \"$0\" run --take-over -c \"$1\"");
        command.args(["-c", &script, crate::support::BINARY]).arg(&config);
        command
    };
    let too_few = "more sockets than this process may open file descriptors";
    running.survives(&finish(&mut with_limits(30, 30)), 1, too_few);
    // The sockets fit, and what serving and probing need does not.
    for limit in [workers + 20, 2 * workers + 10, 3 * workers] {
        running.survives(&finish(&mut with_limits(limit, limit)), 2, "of them for itself");
    }
    let next = Daymark::start(&mut with_limits(30, 2000));
    assert!(running.daymark.process.wait().success());
    next.answers(&running.nodes.addresses(), "ready");
}

#[test]
fn a_process_that_could_not_probe_leaves_the_running_one_alone() {
    let mut running = Running::start(1);
    let text = running.plan.to_string().replace("ca: ca.crt", "ca: absent.crt");
    let config = running.nodes.path("changed.yaml");
    fs::write(&config, text).unwrap();
    running.survives(
        &finish(&mut take_over(&config)),
        2,
        "absent.crt does not exist; a file is needed, because the running",
    );
}

#[test]
fn a_process_whose_state_is_not_saved_is_not_replaced() {
    let mut running = Running::start(1);
    let dir = running.nodes.path("state");
    // No file can be made where a directory is.
    fs::create_dir(dir.join("state.json.new")).unwrap();
    let node = format!("/api/v1/pools/{POOL}/nodes/cp-1/override");
    let token = running.nodes.token();
    let body = r#"{"kind": "force", "for": "10m", "author": "ada", "reason": "a change to save"}"#;
    let (code, answer) = http(running.daymark.admin, "PUT", &node, Some(&token), body);
    assert_eq!(code, 200, "{answer}");
    running.daymark.logs("cannot be written");
    running.survives(&finish(&mut take_over(&running.config)), 1, "the running Daymark cannot save its state");
    fs::remove_dir(dir.join("state.json.new")).unwrap();
    running.daymark.logs("can be written again");
    let next = Daymark::start(&mut take_over(&running.config));
    assert!(running.daymark.process.wait().success());
    assert!(next.get("/api/v1/status").1.contains("a change to save"));
}

#[test]
fn one_that_is_ending_is_waited_for() {
    let mut running = Running::start(1);
    // A request without its end keeps the admin API for a second.
    let mut request = TcpStream::connect(running.daymark.admin).unwrap();
    request.write_all(b"GET /api/v1/status HTTP/1.1\r\n").unwrap();
    running.daymark.process.signal("TERM");
    running.daymark.logs("stopping; a second signal");
    let next = Daymark::start(&mut take_over(&running.config));
    assert!(running.daymark.process.wait().success());
    next.answers(&running.nodes.addresses(), "ready");
}

#[test]
fn a_signal_after_the_hand_over_is_the_first_one() {
    let mut running = Running::start(1);
    let mut request = TcpStream::connect(running.daymark.admin).unwrap();
    request.write_all(b"GET /api/v1/status HTTP/1.1\r\n").unwrap();
    let next = Daymark::spawn(&mut take_over(&running.config));
    running.daymark.logs("another Daymark serves in place of this one");
    running.daymark.process.signal("TERM");
    assert!(running.daymark.process.wait().success(), "{}", running.daymark.log());
    next.logs("the admin API listens on");
}

#[test]
fn after_the_state_directory_was_deleted_a_process_can_take_over() {
    let mut running = Running::start(1);
    let dir = running.nodes.path("state");
    fs::remove_dir_all(&dir).unwrap();
    let socket = dir.join("take-over.sock");
    until("the socket is there again", || UnixStream::connect(&socket).ok());
    let next = Daymark::start(&mut take_over(&running.config));
    assert!(running.daymark.process.wait().success());
    next.answers(&running.nodes.addresses(), "ready");
}

#[test]
fn an_address_that_the_new_configuration_does_not_have_is_a_warning() {
    let mut running = Running::start(1);
    let config = running.configure(|plan| plan.listen = "127.0.0.1:0".to_owned());
    let next = Daymark::start(&mut take_over(&config));
    assert!(running.daymark.process.wait().success());
    let dns = running.daymark.dns;
    for transport in ["udp", "tcp"] {
        next.logs(&format!("the running Daymark listens on {dns} by {transport}, and the configuration has no such"));
    }
    assert_ne!(next.dns, dns);
    assert_eq!(look_up(next.dns).len(), 1);
    assert!(!next.log().contains("the service manager"));
}

/// A process that hands its sockets over, as Daymark does, and then does not end.
struct HangingPredecessor {
    nodes: Nodes,
    config: PathBuf,
    lock: File,
    listener: UnixListener,
    sockets: SocketUnit,
}

impl HangingPredecessor {
    fn start() -> Self {
        let nodes = Nodes::start(1);
        let sockets = SocketUnit::bind();
        let plan = Plan { listen: sockets.address.to_string(), ..nodes.plan() };
        let config = nodes.write(&plan);
        fs::create_dir(nodes.path("state")).unwrap();
        let mut lock = File::create(nodes.path("state/state.lock")).unwrap();
        lock.lock().unwrap();
        lock.write_all(b"process 1 (a hanging one)").unwrap();
        let listener = UnixListener::bind(nodes.path("state/take-over.sock")).unwrap();
        Self { nodes, config, lock, listener, sockets }
    }

    fn dns(&self) -> SocketAddr {
        self.sockets.address
    }

    /// Hands the sockets to a new process, and waits until it serves.
    fn hand_over(&self) -> Daymark {
        let successor = Daymark::spawn(&mut take_over(&self.config));
        let (mut stream, _) = self.listener.accept().unwrap();
        for (kind, descriptor) in [(b'u', self.sockets.udp.as_fd()), (b't', self.sockets.tcp.as_fd())] {
            let descriptors = [descriptor];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
            sendmsg(&stream, &[IoSlice::new(&[kind])], &mut control, SendFlags::empty()).unwrap();
        }
        stream.write_all(b".").unwrap();
        let mut answer = [0];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"s");
        stream.write_all(b"o").unwrap();
        successor
    }
}

#[test]
fn a_predecessor_that_does_not_end_is_an_alarm_and_the_new_process_serves() {
    let hanging = HangingPredecessor::start();
    let successor = hanging.hand_over();
    // No answer is saved, so the first one is that of all nodes.
    assert_eq!(look_up(hanging.dns()).len(), 1);
    successor.logs("the former Daymark has not ended: ");
    let mut successor = successor;
    successor.admin = successor.address_after("the admin API listens on ");
    successor.answers(&hanging.nodes.addresses(), "ready");
    let alarm = until("there is an alarm", || {
        let (_, alarms) = successor.get("/api/v1/status");
        alarms.contains("is in use by process 1 (a hanging one)").then_some(alarms)
    });
    assert!(alarm.contains("cannot be written"), "{alarm}");
    hanging.lock.unlock().unwrap();
    successor.logs("is locked now");
    // From now on the next one can take over.
    let socket = hanging.nodes.path("state/take-over.sock");
    until("it listens for its own successor", || UnixStream::connect(&socket).ok());
}

#[test]
fn signals_count_while_the_predecessor_stops() {
    let hanging = HangingPredecessor::start();
    let mut stopped = hanging.hand_over();
    stopped.process.signal("TERM");
    assert_eq!(stopped.process.wait().code(), Some(0), "{}", stopped.log());
    let mut successor = hanging.hand_over();
    successor.process.signal("HUP");
    hanging.lock.unlock().unwrap();
    successor.admin = successor.address_after("the admin API listens on ");
    successor.answers(&hanging.nodes.addresses(), "ready");
    successor.logs("configuration applied");
}
