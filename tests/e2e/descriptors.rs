//! A process with few file descriptors, and clients that would take them all.

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use daymark_fake_apiserver::Behaviour;
use socket2::{Domain, Socket, Type};

use crate::support::dns::look_up;
use crate::support::nodes::Nodes;
use crate::support::{BINARY, Daymark, EndOnDrop, Finished, finish, until};

/// A command of `daymark` with this soft and this hard limit of descriptors.
fn with_limits(soft: u32, hard: u32, arguments: &[&str], config: &Path) -> Command {
    let mut command = Command::new("sh");
    let script = format!("ulimit -Sn {soft} && ulimit -Hn {hard} && exec \"$0\" \"$@\"");
    command.args(["-c", &script, BINARY]).args(arguments).arg("-c").arg(config);
    command
}

/// Opens a connection from one of eight clients, which then says nothing.
fn idle(to: SocketAddr, n: u8) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1 + n % 8], 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.into()
}

/// Keeps 200 idle connections open until the end: each one that the server closes is opened again.
fn keep_idle(to: SocketAddr, is_over: &AtomicBool, opened: &AtomicUsize) {
    let open = |n| {
        opened.fetch_add(1, Ordering::Relaxed);
        idle(to, n)
    };
    let mut connections: Vec<TcpStream> = (0..200).map(open).collect();
    while !is_over.load(Ordering::Relaxed) {
        for (connection, n) in connections.iter_mut().zip(0..) {
            let is_open = matches!(connection.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
            if !is_open {
                *connection = open(n);
            }
        }
        thread::yield_now();
    }
}

#[test]
fn idle_clients_by_tcp_take_no_descriptor_from_the_probes() {
    let nodes = Nodes::start(3);
    let config = nodes.write(&nodes.plan());
    let daymark = Daymark::start(&mut with_limits(64, 64, &["run"], &config));
    daymark.answers(&nodes.addresses(), "ready");
    let is_over = &AtomicBool::new(false);
    let opened = &AtomicUsize::new(0);
    thread::scope(|scope| {
        let _over = EndOnDrop(is_over);
        for to in [daymark.dns, daymark.admin] {
            scope.spawn(move || keep_idle(to, is_over, opened));
        }
        until("every client has connected", || (opened.load(Ordering::Relaxed) >= 400).then_some(()));
        nodes.set(0, Behaviour::Dead);
        until("the dead node is out", || (look_up(daymark.dns).len() == 2).then_some(()));
        nodes.set(0, Behaviour::Ready);
        until("the node is back", || (look_up(daymark.dns).len() == 3).then_some(()));
    });
    assert_eq!(daymark.get("/livez").0, 200, "the admin API answers too");
    let log = daymark.log();
    assert!(log.contains("WARN this process may open 64 file descriptors and needs up to "), "{log}");
    assert!(!log.contains("Too many open files"), "{log}");
}

#[test]
fn the_soft_limit_is_raised_to_the_hard_one() {
    let nodes = Nodes::start(1);
    let config = nodes.write(&nodes.plan());
    let daymark = Daymark::start(&mut with_limits(64, 1000, &["run"], &config));
    let limits = fs::read_to_string(format!("/proc/{}/limits", daymark.process.0.id())).unwrap();
    let of_files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    assert_eq!(of_files.split_whitespace().collect::<Vec<_>>(), ["1000", "1000", "files"]);
    assert!(!daymark.log().contains("file descriptors"), "{}", daymark.log());
}

#[test]
fn check_warns_of_a_limit_that_is_too_low_for_the_configuration() {
    let nodes = Nodes::start(3);
    let mut plan = nodes.plan();
    let config = nodes.write(&plan);
    let Finished { code, stdout, .. } = finish(&mut with_limits(500, 500, &["check"], &config));
    assert!(code == Some(0) && !stdout.contains("file descriptors"), "{stdout}");
    plan.provider = "    maxTcpConnections: 5000\n".to_owned();
    let config = nodes.write(&plan);
    let Finished { code, stdout, .. } = finish(&mut with_limits(500, 500, &["check"], &config));
    let warning = stdout.lines().find(|line| line.contains("file descriptors")).unwrap();
    assert_eq!(code, Some(0), "{stdout}");
    for words in [
        "warning: ",
        "providers[0].maxTcpConnections: this process may open 500 file descriptors and needs up to 5",
        " TCP connections of DNS instead of 5000 and 64 of the admin API instead of 64 are open at once; raise the limit to 5",
        ", or lower `maxTcpConnections` to ",
    ] {
        assert!(warning.contains(words), "{words} is missing in {warning}");
    }
    let lower: usize = warning.rsplit_once(" to ").unwrap().1.parse().unwrap();
    plan.provider = format!("    maxTcpConnections: {lower}\n");
    let config = nodes.write(&plan);
    let Finished { stdout, .. } = finish(&mut with_limits(500, 500, &["check"], &config));
    assert!(!stdout.contains("file descriptors"), "the named number is enough: {stdout}");
}

#[test]
fn a_reload_that_needs_more_descriptors_than_there_are_is_a_warning() {
    let nodes = Nodes::start(1);
    let mut plan = nodes.plan();
    plan.provider = "    maxTcpConnections: 9\n".to_owned();
    let config = nodes.write(&plan);
    let daymark = Daymark::start(&mut with_limits(300, 300, &["run"], &config));
    assert!(!daymark.log().contains("file descriptors"), "{}", daymark.log());
    plan.nodes.extend((1..60).map(|n| (format!("more-{n}"), format!("127.0.3.{n}"))));
    nodes.write(&plan);
    daymark.process.signal("HUP");
    daymark.logs("this process may open 300 file descriptors and needs up to ");
    daymark.logs(", and probes may fail; raise the limit to ");
    daymark.logs("; until a restart more connections may be open");
}
