//! Fake nodes on separate addresses, and a configuration with them.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

use daymark_fake_apiserver::{Behaviour, FakeApiserver, FakeAuthority};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::POOL;

/// Fake nodes, their CA and a directory for the files of the test. Dropping it removes them all.
pub(crate) struct Nodes {
    pub(crate) authority: FakeAuthority,
    pub(crate) apiservers: Vec<FakeApiserver>,
    pub(crate) dir: TempDir,
    runtime: Runtime,
}

/// Returns loopback addresses that no other test uses, neither in this process nor in another.
pub(crate) fn addresses(count: u8) -> Vec<IpAddr> {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let [_, _, high, low] = process::id().to_be_bytes();
    let first = TAKEN.fetch_add(count.into(), Ordering::Relaxed);
    let address = |n: u16| {
        let [block, host] = n.to_be_bytes();
        // The second block continues the first one, and there is no third.
        let half = [high | 128, high & 63 | 64][usize::from(block)];
        Ipv4Addr::new(127, half, low, host).into()
    };
    (first..first + u16::from(count)).map(address).collect()
}

impl Nodes {
    pub(crate) fn start(count: u8) -> Self {
        Self::at(&addresses(count))
    }

    /// Starts a fake on each address, all at one port.
    pub(crate) fn at(addresses: &[IpAddr]) -> Self {
        Self::of(FakeAuthority::new("kubernetes").unwrap(), addresses)
    }

    /// The same with certificates of this CA.
    pub(crate) fn of(authority: FakeAuthority, addresses: &[IpAddr]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let start = |address: &IpAddr, port| {
            let _inside = runtime.enter();
            FakeApiserver::start((*address, port).into(), &authority, &[POOL])
        };
        let apiservers = (0..16).find_map(|_| {
            let first = start(&addresses[0], 0).ok()?;
            let port = first.address().port();
            let others = addresses[1..].iter().map(|address| start(address, port));
            // Another process may use the port on one of the addresses.
            std::iter::once(Ok(first)).chain(others).collect::<Result<Vec<_>, _>>().ok()
        });
        let dir = tempfile::tempdir().unwrap();
        let apiservers = apiservers.expect("a port is free on every address");
        fs::write(dir.path().join("ca.crt"), authority.pem()).unwrap();
        Self { authority, apiservers, dir, runtime }
    }

    /// Sets the behaviour of a fake from now on.
    pub(crate) fn set(&self, index: usize, behaviour: Behaviour) {
        self.runtime.block_on(self.apiservers[index].set(behaviour)).unwrap();
    }

    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        self.apiservers.iter().map(|apiserver| apiserver.address().ip()).collect()
    }

    pub(crate) fn port(&self) -> u16 {
        self.apiservers[0].address().port()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes a plan with every fake as a node.
    pub(crate) fn plan(&self) -> Plan {
        Plan::of(&self.addresses(), self.port())
    }

    /// Writes a plan to the configuration file, and returns its path.
    pub(crate) fn write(&self, plan: &Plan) -> PathBuf {
        write(&self.path("daymark.yaml"), plan)
    }

    /// Reads the token that Daymark has created in its state directory.
    pub(crate) fn token(&self) -> String {
        fs::read_to_string(self.path("state/admin.token")).unwrap().trim().to_owned()
    }
}

pub(crate) fn write(path: &Path, plan: &Plan) -> PathBuf {
    fs::write(path, plan.to_string()).unwrap();
    path.to_owned()
}

/// A configuration, which is displayed as the text of its file.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) port: u16,
    /// The names and the addresses, the latter as in the file.
    pub(crate) nodes: Vec<(String, String)>,
    /// The keys of `fromKubernetes`; discovery uses the token in the file `token`.
    pub(crate) from_kubernetes: Option<&'static str>,
    pub(crate) rise: u32,
    pub(crate) interval: &'static str,
    pub(crate) timeout: &'static str,
    pub(crate) listen: String,
    /// More keys of the provider, each on a line.
    pub(crate) provider: String,
    pub(crate) admin: String,
    /// More keys of `admin`, each after a comma.
    pub(crate) admin_keys: &'static str,
    pub(crate) state: String,
}

impl Plan {
    /// Makes a plan with the nodes cp-1, cp-2 and so on at one port, probed often and with long timeouts.
    pub(crate) fn of(addresses: &[IpAddr], port: u16) -> Self {
        let named = addresses.iter().zip(1..).map(|(address, n)| (format!("cp-{n}"), format!("\"{address}\"")));
        Self {
            port,
            nodes: named.collect(),
            from_kubernetes: None,
            rise: 2,
            interval: "100ms",
            timeout: "5s",
            listen: "127.0.0.1:0".to_owned(),
            provider: String::new(),
            admin: "127.0.0.1:0".to_owned(),
            admin_keys: "",
            state: "state".to_owned(),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { port, nodes, from_kubernetes, rise, interval, timeout, listen, provider, admin, admin_keys, state } =
            self;
        writeln!(f, "pools:\n  - name: {POOL}\n    port: {port}\n    nodes:")?;
        if let Some(keys) = from_kubernetes {
            writeln!(f, "      fromKubernetes: {{{keys}}}\n      seeds:")?;
        }
        for (name, addresses) in nodes {
            writeln!(f, "      - {{name: {name}, addresses: [{addresses}]}}")?;
        }
        let auth = from_kubernetes.map(|_| "\n      auth: {tokenFile: token}").unwrap_or_default();
        writeln!(f, "    probe:\n      ca: ca.crt{auth}\n      interval: {interval}\n      confirmInterval: 20ms")?;
        writeln!(f, "      connectTimeout: {timeout}\n      timeout: {timeout}\n      rise: {rise}")?;
        writeln!(f, "providers:\n  - type: authoritative\n    listen: [\"{listen}\"]")?;
        writeln!(f, "    nameservers: [{{name: ns1.example.net}}]\n{provider}")?;
        writeln!(f, "admin: {{listen: \"{admin}\"{admin_keys}}}\nstateDir: {state}")
    }
}
