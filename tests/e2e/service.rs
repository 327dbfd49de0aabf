//! What a service manager is told, and which Daymark it is.

use std::collections::VecDeque;
use std::io;
use std::os::unix::net::UnixDatagram;

use serde_json::Value;

use crate::support::nodes::Nodes;
use crate::support::{Daymark, daymark, output, until};

/// A service manager, and what it was told and has not looked at yet.
struct Manager {
    socket: UnixDatagram,
    told: VecDeque<String>,
}

impl Manager {
    /// Waits until it is told that, and forgets what was told before.
    fn hears(&mut self, line: &str) {
        until(&format!("{line} is told"), || {
            self.receive();
            std::iter::from_fn(|| self.told.pop_front()).any(|told| told == line).then_some(())
        });
    }

    fn receive(&mut self) {
        let mut buffer = [0; 1_000];
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(length) => {
                    self.told.extend(String::from_utf8_lossy(&buffer[..length]).lines().map(ToOwned::to_owned));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn a_service_manager_is_told_of_the_start_of_a_reload_of_the_end_and_that_nothing_is_stuck() {
    let (nodes, dir) = (Nodes::start(1), tempfile::tempdir().unwrap());
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut manager = Manager { socket, told: VecDeque::new() };
    let config = nodes.write(&nodes.plan());
    let mut command = daymark(&["run", "-c", config.to_str().unwrap()]);
    let mut running = Daymark::start(command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "50000"));
    manager.hears("READY=1");
    manager.hears("WATCHDOG=1");
    manager.hears("WATCHDOG=1");
    running.process.signal("HUP");
    manager.hears("RELOADING=1");
    manager.hears("READY=1");
    running.process.signal("TERM");
    manager.hears("STOPPING=1");
    assert!(running.process.wait().success());
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
    let page = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    assert!(page("daymark.1").contains("Kubernetes control plane"));
    assert!(page("daymark-drain.1").contains("Take a node out of the answer"));
}
