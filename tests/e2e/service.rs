//! Notifications to the service manager, inherited sockets, version and man pages.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use serde_json::Value;

use crate::support::dns::{A, Asked, AskedByTcp, Clients, short};
use crate::support::nodes::{Nodes, Plan};
use crate::support::sockets::SocketUnit;
use crate::support::{BINARY, Daymark, POOL, daymark, finish, output, until};

/// The number of upgrades, one after the other.
const UPGRADES: usize = 10;
/// The queries that are sent while no process runs. The socket has room for more.
const WAITING: usize = 50;

/// A service manager and the notifications that it has not read yet.
struct Manager {
    socket: UnixDatagram,
    notifications: VecDeque<String>,
}

impl Manager {
    /// Waits for this notification, and drops those before it.
    fn expects(&mut self, line: &str) {
        until(&format!("{line} arrives"), || {
            self.receive();
            std::iter::from_fn(|| self.notifications.pop_front()).any(|notification| notification == line).then_some(())
        });
    }

    fn receive(&mut self) {
        let mut buffer = [0; 1_000];
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(length) => {
                    self.notifications
                        .extend(String::from_utf8_lossy(&buffer[..length]).lines().map(ToOwned::to_owned));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn the_service_manager_is_notified_of_start_reload_stop_and_watchdog() {
    let nodes = Nodes::start(1);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut manager = Manager { socket, notifications: VecDeque::new() };
    let config = nodes.write(&nodes.plan());
    let mut command = daymark(&["run", "-c", config.to_str().unwrap()]);
    let mut running = Daymark::start(command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "50000"));
    manager.expects("READY=1");
    manager.expects("WATCHDOG=1");
    manager.expects("WATCHDOG=1");
    running.process.signal("HUP");
    manager.expects("RELOADING=1");
    manager.expects("READY=1");
    running.process.signal("TERM");
    manager.expects("STOPPING=1");
    assert!(running.process.wait().success());
}

#[test]
fn queries_wait_in_the_sockets_of_the_service_manager_while_daymark_is_stopped() {
    let nodes = Nodes::start(1);
    let sockets = SocketUnit::bind();
    let config = nodes.write(&Plan { listen: sockets.address.to_string(), ..nodes.plan() });
    let log = nodes.path("log");
    for ending in ["TERM", "KILL"] {
        let asked = Asked::send(sockets.address, POOL, A).unwrap();
        let mut running = sockets.run(&config, &log);
        assert_eq!(asked.reply().unwrap().addresses, nodes.addresses());
        assert_eq!(short("dig", sockets.address, &[POOL, "+tcp"]), [nodes.addresses()[0].to_string()]);
        running.signal(ending);
        running.wait();
    }
    let log = fs::read_to_string(log).unwrap();
    assert!(!log.contains("the service manager"), "{log}");
}

#[test]
fn no_query_is_lost_while_one_process_after_the_other_serves_the_sockets_of_the_service_manager() {
    let nodes = Nodes::start(1);
    let sockets = SocketUnit::bind();
    let config = nodes.write(&Plan { listen: sockets.address.to_string(), ..nodes.plan() });
    let log = nodes.path("log");
    let clients = Clients::start(sockets.address, &nodes.addresses().iter().copied().collect());
    let mut running = sockets.run(&config, &log);
    for _ in 0..UPGRADES {
        clients.go_on();
        running.signal("TERM");
        assert!(running.wait().success(), "the former one ends in order");
        let by_udp: Vec<Asked> = (0..WAITING).map(|_| Asked::send(sockets.address, POOL, A).unwrap()).collect();
        let by_tcp = AskedByTcp::send(sockets.address, POOL, A).unwrap();
        running = sockets.run(&config, &log);
        for asked in by_udp {
            assert_eq!(asked.reply().unwrap().addresses, nodes.addresses());
        }
        assert_eq!(by_tcp.reply().unwrap().addresses, nodes.addresses());
    }
    clients.end();
}

#[test]
fn an_inherited_socket_on_an_unconfigured_address_is_a_warning() {
    let nodes = Nodes::start(1);
    let sockets = SocketUnit::bind();
    let log = nodes.path("log");
    let _running = sockets.run(&nodes.write(&nodes.plan()), &log);
    for transport in ["udp", "tcp"] {
        let said = format!(
            "the service manager has bound {} by {transport}, but the configuration has no such `listen`",
            sockets.address
        );
        until(&said, || fs::read_to_string(&log).unwrap().contains(&said).then_some(()));
    }
    until("it serves all the same", || fs::read_to_string(&log).unwrap().contains("DNS is served on").then_some(()));
}

#[test]
fn an_inherited_descriptor_that_is_no_dns_socket_is_refused() {
    let nodes = Nodes::start(1);
    let config = nodes.write(&nodes.plan());
    let passing = "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" run -c \"$1\" 3</dev/null";
    let done = finish(Command::new("sh").args(["-c", passing, BINARY, config.to_str().unwrap()]));
    assert_eq!(done.code, Some(2));
    assert!(done.stderr.contains("passed a file descriptor that is not a UDP or TCP socket: fd 3"), "{}", done.stderr);
}

#[test]
fn the_version_has_the_commit_and_the_date() {
    let text = output(&["version"]);
    let parsed: Value = serde_json::from_str(&output(&["version", "-o", "json"])).unwrap();
    assert_eq!(parsed["version"], env!("CARGO_PKG_VERSION"));
    for key in ["version", "commit", "date", "target"] {
        let value = parsed[key].as_str().unwrap();
        assert!(!value.is_empty() && text.contains(value), "{key} is {value} in\n{text}");
    }
}

#[test]
fn every_command_has_a_man_page() {
    let dir = tempfile::tempdir().unwrap();
    output(&["man", dir.path().to_str().unwrap()]);
    let page = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    assert!(page("daymark.1").contains("Kubernetes control plane"));
    assert!(page("daymark-drain.1").contains("Take a node out of the answer"));
}
