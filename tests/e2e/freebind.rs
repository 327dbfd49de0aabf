//! Addresses that the host gets after Daymark has started, in a network namespace.

use std::process::{Command, Stdio};

use crate::support::nodes::{Nodes, Plan};
use crate::support::{BINARY, Daymark, Finished, POOL, finish, until};

/// An address that is reserved for documentation, so no host has it.
const VIRTUAL: &str = "192.0.2.53";

/// A command that runs Daymark with one argument, its configuration, in a network namespace with loopback alone.
fn isolated(config: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", "ip link set lo up && exec \"$0\" run -c \"$1\"", BINARY, config]);
    command
}

/// Runs a command in the network namespace of a process.
fn beside(daymark: &Daymark, command: &[&str]) -> Finished {
    let net = format!("--net=/proc/{}/ns/net", daymark.process.0.id());
    finish(Command::new("nsenter").arg(net).args(command).stdin(Stdio::null()))
}

#[test]
fn a_standby_answers_at_the_virtual_address_as_soon_as_it_has_it() {
    if finish(Command::new("unshare").args(["--net", "ip", "link", "set", "lo", "up"])).code != Some(0) {
        eprintln!("skipped: this user may not make a network namespace");
        return;
    }
    let nodes = Nodes::start(1);
    let plan = Plan { listen: format!("{VIRTUAL}:53"), admin: format!("{VIRTUAL}:9353"), ..nodes.plan() };
    let config = nodes.write(&plan);
    let config = config.to_str().unwrap();
    let Finished { code, stderr, .. } = finish(&mut isolated(config));
    let mend = "this host does not have the address; one of its own is needed, or `freebind: true` beside `listen`";
    assert_eq!((code, stderr.matches(mend).count()), (Some(2), 3), "by UDP, by TCP and for the admin API: {stderr}");

    let provider = "    freebind: true\n".to_owned();
    nodes.write(&Plan { provider, admin_keys: ", freebind: true", ..plan });
    let daymark = Daymark::start(&mut isolated(config));
    let ask = ["dig", "+short", "+time=1", "+tries=1", &format!("@{VIRTUAL}"), POOL];
    assert_ne!(beside(&daymark, &ask).code, Some(0), "the host does not have the address");
    assert_eq!(beside(&daymark, &["ip", "address", "add", VIRTUAL, "dev", "lo"]).code, Some(0));
    let answer = until("the virtual address answers", || {
        let Finished { code, stdout, .. } = beside(&daymark, &ask);
        (code == Some(0) && !stdout.is_empty()).then_some(stdout)
    });
    assert_eq!(answer.trim(), nodes.addresses()[0].to_string());
    let status = beside(&daymark, &[BINARY, "status", "--api", &format!("{VIRTUAL}:9353")]);
    assert_eq!((status.code, status.stderr.as_str()), (Some(0), ""));
}
