//! Rollouts: one host after the other is replaced at its own address, as in a `DaemonSet` of the Helm chart.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::dns::{A, Clients, ask};
use crate::support::nodes::{self, Nodes, Plan};
use crate::support::{Daymark, POOL, Process, until};

/// Ports of addresses that no other process uses.
const HOST_PORT: u16 = 5300;
const RESOLVER_PORT: u16 = 5301;

/// A resolver that keeps no answer. It ends with the test.
struct Resolver {
    address: SocketAddr,
    _process: Process,
}

impl Resolver {
    /// Starts one that asks these name servers.
    fn start(dir: &Path, name_servers: &[SocketAddr]) -> Self {
        let address = SocketAddr::new(nodes::addresses(1)[0], RESOLVER_PORT);
        let stubs = name_servers.iter().map(|server| format!("  stub-addr: {}@{}\n", server.ip(), server.port()));
        let stubs: String = stubs.collect();
        let text = format!(
            "server:\n  directory: \"{}\"\n  pidfile: \"\"\n  username: \"\"\n  chroot: \"\"\n  do-daemonize: no\n  \
             use-syslog: no\n  interface: {}@{RESOLVER_PORT}\n  do-ip6: no\n  do-not-query-localhost: no\n  \
             module-config: \"iterator\"\n  cache-max-ttl: 0\n  cache-max-negative-ttl: 0\nstub-zone:\n  name: \
             \"{POOL}\"\n{stubs}remote-control:\n  control-enable: no\n",
            dir.display(),
            address.ip()
        );
        let file = dir.join("unbound.conf");
        fs::write(&file, text).unwrap();
        let mut command = Command::new("unbound");
        command.arg("-d").arg("-c").arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = Process::spawn(&mut command);
        until("unbound answers", || {
            assert_eq!(process.0.try_wait().unwrap(), None, "unbound runs");
            ask(address, POOL, A).ok().filter(|reply| reply.code == 0)
        });
        Self { address, _process: process }
    }
}

#[test]
fn a_resolver_loses_no_lookup_while_one_host_after_the_other_is_replaced() {
    let nodes = Nodes::start(2);
    let name_servers: Vec<SocketAddr> =
        nodes::addresses(3).into_iter().map(|address| SocketAddr::new(address, HOST_PORT)).collect();
    let configure = |server: &SocketAddr| {
        let plan = Plan { listen: server.to_string(), state: format!("state-{}", server.ip()), ..nodes.plan() };
        nodes::write(&nodes.path(&format!("{}.yaml", server.ip())), &plan)
    };
    let configs: Vec<PathBuf> = name_servers.iter().map(configure).collect();
    let mut hosts: Vec<Daymark> = configs.iter().map(|config| Daymark::run(config)).collect();
    let resolver = Resolver::start(nodes.dir.path(), &name_servers);
    let clients = Clients::start(resolver.address, &nodes.addresses().iter().copied().collect());
    for (host, config) in hosts.iter_mut().zip(&configs) {
        host.process.signal("TERM");
        assert!(host.process.wait().success(), "it ends in order");
        *host = Daymark::run(config);
        host.answers(&nodes.addresses(), "ready");
        // Unbound remembers that a host was away for longer than it was, so the last one must be back before all lookups go on.
        clients.go_on();
    }
    clients.end();
}
