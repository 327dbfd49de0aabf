//! Apiservers by another implementation, each a separate process, broken like those of a real node.

use std::fs;
use std::net::{IpAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use daymark_fake_apiserver::{FakeAuthority, Validity};
use tempfile::TempDir;

use crate::support::dns::all_find;
use crate::support::nodes::{Plan, addresses, write};
use crate::support::{Daymark, POOL, Process, until};

const OK: &str = "200\nok";
/// The answer of kube-apiserver while it has lost etcd.
const NO_ETCD: &str = "500\n[+]ping ok\n[+]log ok\n[-]etcd failed: reason withheld\n[-]etcd-readiness failed: reason \
                       withheld\n[+]informer-sync ok\n[+]shutdown ok\nreadyz check failed\n";

/// Apiserver processes, all at one port.
struct Servers {
    dir: TempDir,
    addresses: Vec<IpAddr>,
    port: u16,
    processes: Vec<Process>,
}

impl Servers {
    fn start(count: u8) -> Self {
        let authority = FakeAuthority::new("kubernetes").unwrap();
        let identity = authority.issue(&[POOL, "kubernetes"], Validity::Current).unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("ca.crt"), authority.pem()).unwrap();
        fs::write(dir.path().join("server.crt"), identity.certificate_pem()).unwrap();
        fs::write(dir.path().join("server.key"), identity.key_pem()).unwrap();
        let addresses = addresses(count);
        let port = TcpListener::bind((addresses[0], 0)).unwrap().local_addr().unwrap().port();
        let mut servers = Self { dir, addresses, port, processes: Vec::new() };
        for index in 0..servers.addresses.len() {
            servers.say(index, OK);
            let process = servers.process(index);
            servers.processes.push(process);
        }
        servers
    }

    fn process(&self, index: usize) -> Process {
        let address = self.addresses[index];
        let port = self.port;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/apiserver.py");
        let mut command = Command::new("python3");
        command.arg(script).arg(address.to_string()).arg(port.to_string());
        command.arg(self.path("server.crt")).arg(self.path("server.key")).arg(self.answer(index));
        let mut process = Process::spawn(command.stdout(Stdio::null()));
        until("the server listens", || {
            assert_eq!(process.0.try_wait().unwrap(), None, "the server runs");
            TcpStream::connect((address, port)).ok()
        });
        process
    }

    fn say(&self, index: usize, answer: &str) {
        // The file is renamed into place, so that no reader sees half of it.
        let new = self.path("new");
        fs::write(&new, answer).unwrap();
        fs::rename(new, self.answer(index)).unwrap();
    }

    fn answer(&self, index: usize) -> PathBuf {
        self.path(&format!("readyz.{index}"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

#[test]
fn killed_stopped_and_unready_processes_leave_the_answer_and_return() {
    let mut servers = Servers::start(4);
    let all = servers.addresses.clone();
    let config = write(&servers.path("daymark.yaml"), &Plan::of(&all, servers.port));
    let daymark = Daymark::run(&config);
    let message = |index: usize| daymark.pool()["targets"][index]["message"].as_str().unwrap().to_owned();
    let finds = |addresses: &[IpAddr]| {
        daymark.answers(addresses, "ready");
        all_find(daymark.dns, addresses);
    };
    finds(&all);

    servers.processes[0].signal("KILL");
    finds(&all[1..]);
    assert!(message(0).contains("connection refused"), "{}", message(0));
    servers.processes[1].signal("STOP");
    finds(&all[2..]);
    assert!(message(1).contains("in time"), "{}", message(1));
    servers.say(2, NO_ETCD);
    finds(&all[3..]);
    assert!(message(2).contains("500: failing checks: etcd, etcd-readiness"), "{}", message(2));

    servers.say(2, OK);
    finds(&all[2..]);
    servers.processes[1].signal("CONT");
    finds(&all[1..]);
    servers.processes[0] = servers.process(0);
    finds(&all);
}
