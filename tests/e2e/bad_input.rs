//! Invalid input ends the process before anything starts: exit code 2, all errors, and no file, socket or other line.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::Command;

use crate::support::nodes::{Nodes, Plan, addresses};
use crate::support::{BINARY, daymark, finish};

/// Runs a command that must be refused, and returns the lines of its errors.
fn refused(command: &mut Command, nodes: &Nodes) -> Vec<String> {
    let done = finish(command);
    assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{}", done.stderr);
    assert!(!nodes.path("state").exists(), "nothing was started");
    done.stderr.lines().filter(|line| !line.contains(" WARN ")).map(str::to_owned).collect()
}

fn run(config: &Path) -> Command {
    daymark(&["run", "-c", config.to_str().unwrap()])
}

#[test]
fn run_check_and_probe_report_every_error_of_a_configuration_at_once() {
    let nodes = Nodes::start(1);
    let good = nodes.plan().to_string();
    let bad = good
        .replace("lb.kube-cp.com", "lb_kube")
        .replace("interval: 100ms", "interval: 1")
        .replace("ca: ca.crt", "ca: .")
        .replace("listen: [\"127.0.0.1:0\"]", "listen: [nowhere]")
        .replace("stateDir:", "stateDirectory:");
    let config = nodes.path("daymark.yaml");
    fs::write(&config, bad).unwrap();
    let path = config.display();
    let wanted = [
        format!("{path}:2:11: pools[0].name: "),
        format!("{path}:7:11: pools[0].probe.ca: "),
        format!("{path}:8:17: pools[0].probe.interval: "),
        format!("{path}:15:14: providers[0].listen[0]: "),
        format!("{path}:19:1: the file: unknown key `stateDirectory`; "),
    ];
    for command in ["run", "check", "probe"] {
        let lines = refused(&mut daymark(&[command, "-c", config.to_str().unwrap()]), &nodes);
        assert_eq!(lines.len(), wanted.len(), "{lines:#?}");
        for (line, wanted) in lines.iter().zip(&wanted) {
            assert!(line.starts_with(wanted), "{line} begins with {wanted}");
        }
    }
}

#[test]
fn a_missing_file_and_an_unknown_flag_are_refused() {
    let nodes = Nodes::start(1);
    let lines = refused(&mut run(&nodes.path("missing.yaml")), &nodes);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains("missing.yaml: the file: cannot be read: No such file or directory"), "{lines:?}");
    let lines = refused(&mut run(nodes.dir.path()), &nodes);
    assert!(lines[0].contains("is a directory; a YAML file is needed"), "{lines:?}");
    let lines = refused(&mut daymark(&["run", "--conifg", "daymark.yaml"]), &nodes);
    assert!(lines[0].contains("unexpected argument '--conifg'"), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("a similar argument exists: '--config'")), "{lines:?}");
    let lines = refused(&mut daymark(&["run"]), &nodes);
    assert!(lines[0].starts_with("/etc/daymark/daymark.yaml: the file: cannot be read"), "{lines:?}");
    let lines = refused(&mut daymark(&["run", "--pool", "lb.kube-cp.com"]), &nodes);
    assert!(lines.iter().any(|line| line.contains("--node")), "{lines:?}");
    let lines = refused(&mut daymark(&["run", "--pool", "lb.kube-cp.com:0", "--node", "cp-1"]), &nodes);
    assert!(lines.iter().any(|line| line.starts_with("--pool")), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("--node")), "{lines:?}");
    refused(&mut daymark(&["demo", "explode", "kube-cp-1"]), &nodes);
}

#[test]
fn ports_in_use_are_reported_with_their_transport_and_all_at_once() {
    let nodes = Nodes::start(1);
    let at = addresses(3);
    let udp = UdpSocket::bind((at[0], 0)).unwrap();
    let tcp = TcpListener::bind((at[1], 0)).unwrap();
    let api = TcpListener::bind((at[2], 0)).unwrap();
    let udp_at = udp.local_addr().unwrap();
    let tcp_at = tcp.local_addr().unwrap();
    let api_at = api.local_addr().unwrap();
    let try_with = |listen: String, admin: String| {
        refused(&mut run(&nodes.write(&Plan { listen, admin, ..nodes.plan() })), &nodes)
    };
    let path = nodes.path("daymark.yaml").display().to_string();
    let in_use = |place: &str, address, transport| {
        format!(
            "{path}:{place}: cannot listen on {address} by {transport}: the address is in use; a free one is needed"
        )
    };
    let free = || "127.0.0.1:0".to_owned();
    let udp_said = in_use("15:14: providers[0].listen[0]", udp_at, "udp");
    let tcp_said = in_use("15:14: providers[0].listen[0]", tcp_at, "tcp");
    let api_said = in_use("18:17: admin.listen", api_at, "tcp");
    assert_eq!(try_with(udp_at.to_string(), free()), [udp_said.as_str()]);
    assert_eq!(try_with(tcp_at.to_string(), free()), [tcp_said.as_str()]);
    let said = try_with(free(), api_at.to_string());
    assert_eq!(said, [api_said.as_str()]);

    let both = format!("{udp_at}\", \"{tcp_at}");
    let column = 14 + udp_at.to_string().len() + 4;
    let tcp_said = in_use(&format!("15:{column}: providers[0].listen[1]"), tcp_at, "tcp");
    let said = try_with(both, api_at.to_string());
    assert_eq!(said, [udp_said, tcp_said, api_said]);
}

#[test]
fn ports_in_use_of_the_api_and_of_the_metrics_are_reported_at_once() {
    let nodes = Nodes::start(1);
    let api = TcpListener::bind("127.0.0.1:0").unwrap();
    let metrics = TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = api.local_addr().unwrap().to_string();
    let admin_keys = format!(", metricsListen: \"{}\"", metrics.local_addr().unwrap()).leak();
    let said = refused(&mut run(&nodes.write(&Plan { admin, admin_keys, ..nodes.plan() })), &nodes);
    assert_eq!(said.len(), 2, "{said:?}");
    for (line, key) in said.iter().zip(["admin.listen: ", "admin.metricsListen: "]) {
        assert!(line.contains(key) && line.contains("the address is in use"), "{line}");
    }
}

#[test]
fn a_missing_permission_to_bind_port_53_is_reported_with_the_remedy() {
    let limit = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap_or_default();
    if limit.trim().parse().is_ok_and(|limit: u16| limit <= 53) {
        return eprintln!("skipped: everyone may bind port 53 here");
    }
    let nodes = Nodes::start(1);
    let listen = format!("{}:53", addresses(1)[0]);
    let config = nodes.write(&Plan { listen: listen.clone(), ..nodes.plan() });
    // This drops one capability of the superuser. Another user lacks it anyway, and may not call this at all.
    let setpriv = ["--bounding-set", "-net_bind_service", "--inh-caps", "-net_bind_service"];
    let mut command = run(&config);
    if finish(Command::new("setpriv").args(setpriv).arg("true")).code == Some(0) {
        command = Command::new("setpriv");
        command.args(setpriv).args([BINARY, "run", "-c"]).arg(&config);
    }
    let said = refused(&mut command, &nodes).join("\n");
    for transport in ["udp", "tcp"] {
        let wanted = format!(
            "cannot listen on {listen} by {transport}: this process may not bind port 53; run it as root or give it \
             CAP_NET_BIND_SERVICE"
        );
        assert!(said.contains(&wanted), "{said}");
    }
}
