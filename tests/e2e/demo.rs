//! The demo, with its three fake apiservers to break and to heal.

use std::net::SocketAddr;

use crate::support::dns::{all_find, short};
use crate::support::nodes::addresses;
use crate::support::{Daymark, POOL, daymark, finish, output, until};

#[test]
fn the_demo_is_broken_and_healed_from_another_terminal_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = daymark(&["demo", "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0"]);
    let mut demo = Daymark::start(command.env("TMPDIR", dir.path()));
    let api = demo.api();
    let all: Vec<_> = (11..=13).map(|n| std::net::Ipv4Addr::new(127, 0, 0, n).into()).collect();
    demo.answers(&all, "ready");
    all_find(demo.dns, &all);

    assert_eq!(output(&["demo", "--api", &api, "fail", "kube-cp-2"]), "kube-cp-2 has the behaviour `dead` now\n");
    demo.answers(&[all[0], all[2]], "ready");
    assert_eq!(
        output(&["demo", "--api", &api, "shutdown", "kube-cp-3"]),
        "kube-cp-3 has the behaviour `shutdown` now\n"
    );
    demo.answers(&all[..1], "ready");
    assert_eq!(short("kdig", demo.dns, &[POOL, "A"]), ["127.0.0.11"]);
    assert_eq!(output(&["demo", "--api", &api, "heal", "kube-cp-2"]), "kube-cp-2 has the behaviour `ready` now\n");
    output(&["demo", "--api", &api, "heal", "kube-cp-3"]);
    demo.answers(&all, "ready");

    let text = output(&["status", "--api", &api]);
    assert!(text.contains("kube-cp-3"), "{text}");
    let wrong = finish(&mut daymark(&["demo", "--api", &api, "fail", "kube-cp-9"]));
    assert_eq!(wrong.code, Some(1));
    assert!(wrong.stderr.contains("there is no fake kube-cp-9; there are kube-cp-1"), "{}", wrong.stderr);
    let wrong = finish(&mut daymark(&["demo", "--api", &api, "explode", "kube-cp-1"]));
    assert_eq!(wrong.code, Some(2));
    assert!(
        wrong.stderr.contains("unknown behaviour `explode`; the behaviours are: ready, not-ready"),
        "{}",
        wrong.stderr
    );

    demo.process.signal("TERM");
    assert_eq!(demo.process.wait().code(), Some(0));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "its files are gone");
}

#[test]
fn the_commands_that_the_demo_prints_work() {
    let dir = tempfile::tempdir().unwrap();
    // These ports are below those that the kernel gives to clients, on addresses of this test.
    let own = addresses(2);
    let dns = SocketAddr::new(own[0], 5300);
    let api = SocketAddr::new(own[1], 9300);
    let said = tempfile::NamedTempFile::new().unwrap();
    let listen = dns.to_string();
    let admin = api.to_string();
    let mut command = daymark(&["demo", "--listen", &listen, "--api", &admin]);
    command.env("TMPDIR", dir.path()).stdout(said.reopen().unwrap()).stderr(std::process::Stdio::null());
    let mut demo = crate::support::Process::spawn(&mut command);
    let text = until("the demo says what to type", || {
        let text = std::fs::read_to_string(said.path()).unwrap();
        text.contains("Ctrl-C").then_some(text)
    });
    until("the demo serves", || {
        assert_eq!(demo.0.try_wait().unwrap(), None, "the demo runs");
        std::net::TcpStream::connect(api).ok()
    });
    for line in text.lines().filter(|line| line.starts_with("  ")) {
        let typed = line.trim().replace("lb.kube-cp.com", POOL);
        let tool = typed.split(' ').next().unwrap();
        if finish(std::process::Command::new("bash").args(["-c", &format!("command -v '{tool}'")])).code != Some(0) {
            eprintln!("skipped: there is no {tool} to type {typed}");
            continue;
        }
        let done = finish(std::process::Command::new("bash").args(["-c", &typed]));
        assert_eq!(done.code, Some(0), "{typed}: {}", done.stderr);
        assert!(!done.stdout.is_empty(), "{typed}");
    }
}
