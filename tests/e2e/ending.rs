//! The first signal ends the process cleanly, the second at once.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use daymark_fake_apiserver::Behaviour;
use daymark_fake_cloudflare::{Fault, RequestMatcher};
use tempfile::NamedTempFile;

use crate::support::nodes::Nodes;
use crate::support::zone::ZoneFixture;
use crate::support::{Daymark, LONG, Process, daymark, until, until_within};

#[test]
fn the_first_signal_ends_the_process_cleanly_even_with_open_connections() {
    for signal in ["TERM", "INT"] {
        let nodes = Nodes::start(2);
        let mut daymark = Daymark::run(&nodes.write(&nodes.plan()));
        daymark.answers(&nodes.addresses(), "ready");
        let connect = |to| TcpStream::connect(to).unwrap();
        let mut half_asked = connect(daymark.admin);
        let mut kept = connect(daymark.admin);
        half_asked.write_all(b"GET /livez HTT").unwrap();
        kept.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut begun = [0; 12];
        kept.read_exact(&mut begun).unwrap();
        assert_eq!(&begun, b"HTTP/1.1 200");
        let _silent = connect(daymark.dns);
        let mut half_a_query = connect(daymark.dns);
        half_a_query.write_all(&[0, 40, 1, 2, 3]).unwrap();

        daymark.process.signal(signal);
        assert_eq!(daymark.process.wait().code(), Some(0), "{signal}: {}", daymark.log());
        assert!(daymark.log().contains("stopping; a second signal stops at once"));
        half_a_query.set_read_timeout(Some(LONG)).unwrap();
        // The connection may be closed or reset, but not left open.
        let _ = half_a_query.read(&mut begun);
        let again = Daymark::run(&nodes.write(&nodes.plan()));
        again.answers(&nodes.addresses(), "ready");
    }
}

#[test]
fn a_signal_right_after_the_start_ends_the_process_cleanly() {
    let nodes = Nodes::start(1);
    let mut daymark = Daymark::run(&nodes.write(&nodes.plan()));
    daymark.process.signal("TERM");
    assert_eq!(daymark.process.wait().code(), Some(0), "{}", daymark.log());
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    for command in ["run", "sync"] {
        let fixture = ZoneFixture::new(1);
        let log = NamedTempFile::new().unwrap();
        fixture.zone.cloudflare.inject(Fault::StallAfter, RequestMatcher::method("POST"));
        let mut command = daymark(&[command, "-c", fixture.config().to_str().unwrap()]);
        let mut process = Process::spawn(command.stderr(log.reopen().unwrap()));
        until("it writes", || (fixture.zone.writes() > 0).then_some(()));
        // The kernel may merge two pending signals of one kind.
        process.signal("TERM");
        process.signal("INT");
        let code = process.wait().code();
        let output = fs::read_to_string(log.path()).unwrap();
        assert!(code == Some(1) && output.ends_with("stopped at once by a second signal\n"), "{code:?}: {output}");
    }
}

/// The time that a service manager and a kubelet give to the shutdown, as in the unit and in the static Pod.
const GRACE_PERIOD: Duration = Duration::from_secs(10);

#[test]
fn a_stop_with_everything_slow_is_over_within_the_grace_period() {
    let fixture = ZoneFixture::new(2);
    let mut daymark = Daymark::run(&fixture.config());
    daymark.answers(&fixture.nodes.addresses(), "ready");
    // Clients that ask again and again, and never read.
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(50);
    let mut deaf: Vec<TcpStream> = (0..8).map(|_| TcpStream::connect(daymark.admin).unwrap()).collect();
    for client in &mut deaf {
        client.write_all(request.as_bytes()).unwrap();
    }
    // A disk that does not answer: a save waits for a reader of the pipe.
    for file in ["state.json.new", "provider-cloudflare.json.new"] {
        let pipe = fixture.nodes.path("state").join(file);
        let _ = fs::remove_file(&pipe);
        assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
    }
    // A provider that takes each call and never answers.
    let calls = || fixture.zone.cloudflare.calls().len();
    let before = calls();
    for _ in 0..100 {
        fixture.zone.cloudflare.inject(Fault::StallAfter, RequestMatcher::any());
    }
    fixture.nodes.set(0, Behaviour::Dead);
    until("a call hangs", || (calls() > before).then_some(()));
    daymark.logs("the disk does not answer");

    daymark.process.signal("TERM");
    let status = until_within(GRACE_PERIOD, "the process has ended", || daymark.process.0.try_wait().unwrap());
    assert_eq!(status.code(), Some(0), "{}", daymark.log());
}
