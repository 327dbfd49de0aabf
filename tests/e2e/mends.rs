//! Regressions: full disks, closed readers, unusual names, idle clients.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use daymark_fake_apiserver::Behaviour;
use serde_json::Value;

use crate::support::dns::{A, ask};
use crate::support::nodes::{Nodes, Plan, addresses};
use crate::support::{Daymark, POOL, Process, daymark, finish, http, until};

fn full_disk() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

/// The addresses of a Daymark without a readable log: ports that the kernel gives to no client, on addresses of one test.
struct Places {
    dns: SocketAddr,
    admin: SocketAddr,
}

impl Places {
    fn own() -> Self {
        let own = addresses(2);
        Self { dns: SocketAddr::new(own[0], 5300), admin: SocketAddr::new(own[1], 9300) }
    }

    fn plan(&self, nodes: &Nodes, count: usize) -> Plan {
        let plan = Plan { listen: self.dns.to_string(), admin: self.admin.to_string(), ..nodes.plan() };
        Plan { nodes: plan.nodes[..count].to_vec(), ..plan }
    }

    /// Waits until the DNS answer has this many addresses.
    fn answer(&self, process: &mut Process, count: usize) {
        until(&format!("the answer has {count} addresses"), || {
            assert_eq!(process.0.try_wait().unwrap(), None, "it runs");
            // Before the server listens, the query is refused.
            (ask(self.dns, POOL, A).ok()?.addresses.len() == count).then_some(())
        });
    }
}

fn reloads(admin: SocketAddr) -> usize {
    let (code, body) = http(admin, "GET", "/api/v1/events", None, "");
    assert_eq!(code, 200, "{body}");
    let events: Vec<Value> = serde_json::from_str(&body).unwrap();
    events.iter().filter(|event| event["event"] == "reload").count()
}

/// Asserts that a Daymark without a readable log serves, and applies a new configuration.
fn serves_and_reloads(mut process: Process, nodes: &Nodes, places: &Places) {
    places.answer(&mut process, 2);
    // The file is unchanged, so that only the signal can cause the reload.
    process.signal("HUP");
    until("the signal is followed", || (reloads(places.admin) > 0).then_some(()));
    nodes.write(&places.plan(nodes, 1));
    process.signal("HUP");
    places.answer(&mut process, 1);
    process.signal("TERM");
    assert_eq!(process.wait().code(), Some(0));
}

#[test]
fn a_log_on_a_full_disk_does_not_stop_the_service() {
    for format in ["text", "json"] {
        let nodes = Nodes::start(2);
        let places = Places::own();
        let config = nodes.write(&places.plan(&nodes, 2));
        let mut command = daymark(&["run", "-c", config.to_str().unwrap(), "--log-format", format]);
        let process = Process::spawn(command.stdout(full_disk()).stderr(full_disk()));
        serves_and_reloads(process, &nodes, &places);
    }
}

#[test]
fn a_log_with_a_closed_reader_does_not_stop_the_service() {
    let nodes = Nodes::start(2);
    let places = Places::own();
    let config = nodes.write(&places.plan(&nodes, 2));
    let (reader, writer) = std::io::pipe().unwrap();
    let process =
        Process::spawn(daymark(&["run", "-c", config.to_str().unwrap()]).stdout(Stdio::null()).stderr(writer));
    let mut line = String::new();
    BufReader::new(reader).read_line(&mut line).unwrap();
    assert!(line.ends_with('\n'), "{line:?}");
    serves_and_reloads(process, &nodes, &places);
}

/// Creates a full pipe, whose writers wait until someone reads.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = std::io::pipe().unwrap();
    // The writer is opened anew, since it must not inherit the non-blocking mode.
    let path = format!("/proc/self/fd/{}", writer.as_raw_fd());
    let mut filler = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(path).unwrap();
    while filler.write(b"\n").is_ok() {}
    (reader, writer)
}

#[test]
fn a_log_that_nobody_reads_does_not_stop_the_service() {
    let nodes = Nodes::start(2);
    let places = Places::own();
    let config = nodes.write(&places.plan(&nodes, 2));
    let (_reader, writer) = full_pipe();
    let mut command = daymark(&["run", "-c", config.to_str().unwrap()]);
    let mut process = Process::spawn(command.env("DAYMARK_LOG", "debug").stdout(Stdio::null()).stderr(writer));
    places.answer(&mut process, 2);
    nodes.set(1, Behaviour::Dead);
    places.answer(&mut process, 1);
    nodes.set(1, Behaviour::Ready);
    serves_and_reloads(process, &nodes, &places);
}

#[test]
fn an_error_that_nobody_reads_still_ends_the_process() {
    let (_reader, writer) = full_pipe();
    let mut process = Process::spawn(daymark(&["status", "--api", "127.0.0.1:1"]).stderr(writer));
    assert_eq!(process.wait().code(), Some(1));
}

#[test]
#[cfg(feature = "demo")]
fn the_demo_goes_on_if_nobody_reads_its_output() {
    let dir = tempfile::tempdir().unwrap();
    let places = Places::own();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = daymark(&["demo", "--listen", &places.dns.to_string(), "--api", &places.admin.to_string()]);
    command.env("TMPDIR", dir.path()).stdout(writer.try_clone().unwrap()).stderr(writer);
    let mut demo = Process::spawn(&mut command);
    // The command holds the writing end too, so it is dropped.
    drop(command);
    let mut line = String::new();
    BufReader::new(reader).read_line(&mut line).unwrap();
    assert!(line.starts_with("The pool lb.kube-cp.com has three fake apiservers"), "{line}");
    places.answer(&mut demo, 3);
    let broken = finish(&mut daymark(&["demo", "--api", &places.admin.to_string(), "fail", "kube-cp-2"]));
    assert_eq!(broken.code, Some(0), "{}", broken.stderr);
    places.answer(&mut demo, 2);
}

#[test]
fn output_to_a_full_disk_is_a_failure() {
    let nodes = Nodes::start(1);
    let config = nodes.write(&nodes.plan());
    let check = ["check", "-c", config.to_str().unwrap()];
    for arguments in [&["schema"][..], &["completions", "bash"], &check, &["--help"], &["--version"], &["demo"]] {
        let mut said = tempfile::NamedTempFile::new().unwrap();
        let mut command = daymark(arguments);
        if arguments == ["demo"] {
            command.args(["--listen", "127.0.0.1:0", "--api", "127.0.0.1:0"]);
        }
        let mut process = Process::spawn(command.stdout(full_disk()).stderr(said.reopen().unwrap()));
        assert_eq!(process.wait().code(), Some(1), "{arguments:?}");
        let mut text = String::new();
        said.read_to_string(&mut text).unwrap();
        let message = "the output cannot be written: No space left on device (os error 28)\n";
        assert_eq!(text, message, "{arguments:?}");
    }
}

#[test]
fn an_error_that_cannot_be_printed_keeps_its_exit_code() {
    let mut process = Process::spawn(daymark(&["check", "-c", "/nonexistent"]).stderr(full_disk()));
    assert_eq!(process.wait().code(), Some(2));
    let mut process = Process::spawn(daymark(&["explode"]).stderr(full_disk()));
    assert_eq!(process.wait().code(), Some(2));
}

#[test]
fn a_node_with_any_name_is_drained_and_cleared() {
    let nodes = Nodes::start(2);
    for name in ["a/b", "50%", "%2F", "what?", "#1", "...", "Köln", "a+b&c=d;e"] {
        let mut plan = nodes.plan();
        plan.nodes[0].0 = format!("\"{name}\"");
        let daymark = Daymark::run(&nodes.write(&plan));
        let api = daymark.api();
        let token = nodes.path("state/admin.token");
        daymark.answers(&nodes.addresses(), "ready");
        let say = |arguments: &[&str]| {
            let mut command = crate::support::daymark(arguments);
            let done = finish(command.env("DAYMARK_API", &api).env("DAYMARK_TOKEN_FILE", &token));
            assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{arguments:?}");
            done.stdout
        };
        assert!(say(&["drain", name]).contains("out: drained "), "{name}");
        daymark.answers(&nodes.addresses()[1..], "ready");
        say(&["undrain", name]);
        assert!(say(&["force", name]).contains("in: forced "), "{name}");
        say(&["undrain", name]);
        daymark.answers(&nodes.addresses(), "ready");
    }
}

#[test]
fn only_drain_has_the_flag_insist() {
    let done = finish(&mut daymark(&["force", "cp-1", "--insist"]));
    assert_eq!(done.code, Some(2));
    assert!(done.stderr.contains("unexpected argument '--insist'"), "{}", done.stderr);
    assert!(finish(&mut daymark(&["drain", "--help"])).stdout.contains("--insist"));
}

#[test]
fn many_idle_connections_do_not_block_livez() {
    livez_answers_beside_300_connections_that_sent("");
}

#[test]
fn many_requests_without_their_body_do_not_block_livez() {
    let head = format!(
        "PUT /api/v1/pools/{POOL}/nodes/cp-1/override HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
    );
    livez_answers_beside_300_connections_that_sent(&head);
    livez_answers_beside_300_connections_that_sent(&head.replace("PUT", "GET"));
}

fn livez_answers_beside_300_connections_that_sent(bytes: &str) {
    let nodes = Nodes::start(1);
    let daymark = Daymark::run(&nodes.write(&nodes.plan()));
    let send = |mut stream: TcpStream| stream.write_all(bytes.as_bytes()).map(|()| stream);
    let _idle: Vec<TcpStream> = (0..300).map(|_| TcpStream::connect(daymark.admin).and_then(send).unwrap()).collect();
    let mut stream = TcpStream::connect(daymark.admin).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut begun = [0; 12];
    stream.read_exact(&mut begun).expect("it answers while the others still wait");
    assert_eq!(&begun, b"HTTP/1.1 200");
}

#[test]
fn a_body_that_is_too_long_is_answered_with_a_problem() {
    let nodes = Nodes::start(1);
    let daymark = Daymark::run(&nodes.write(&nodes.plan()));
    let path = format!("/api/v1/pools/{POOL}/nodes/cp-1/override");
    let (code, body) = http(daymark.admin, "PUT", &path, None, &" ".repeat(20_000));
    assert_eq!(code, 400, "{body}");
    let problem: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(problem["error"], "the body cannot be read: length limit exceeded");
}

#[test]
fn an_empty_token_file_is_filled_at_the_start() {
    let nodes = Nodes::start(2);
    std::fs::create_dir(nodes.path("state")).unwrap();
    std::fs::write(nodes.path("state/admin.token"), "").unwrap();
    let daymark = Daymark::run(&nodes.write(&nodes.plan()));
    daymark.answers(&nodes.addresses(), "ready");
    let mut command = Command::new(crate::support::BINARY);
    let token = nodes.path("state/admin.token");
    let done = finish(command.args(["drain", "cp-1", "--api", &daymark.api(), "--token-file"]).arg(token));
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
}
