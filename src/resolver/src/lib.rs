//! Names to addresses, by the hosts file and the name servers of the system.
//!
//! The C library would do it through modules that it loads, which a static binary in an empty image does not have. So what
//! `nsswitch.conf` says counts for nothing here: the hosts file comes first, then the name servers. Both files are read again
//! once they change.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, fs};

use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{IntoName, Name, RecordType};
use hickory_resolver::system_conf::parse_resolv_conf;
use hickory_resolver::{Hosts, Resolver, TokioResolver};
use parking_lot::Mutex;
use tracing::warn;

/// Resolves names. Clones share what they know.
#[derive(Clone, Debug)]
pub struct Names(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    resolv_conf: PathBuf,
    hosts: PathBuf,
    newest: Mutex<Option<(Files, System)>>,
}

/// What the two files hold; `None` where there is none.
#[derive(Debug, PartialEq, Eq)]
struct Files {
    resolv_conf: Option<Vec<u8>>,
    hosts: Option<Vec<u8>>,
}

/// What is made of the two files.
#[derive(Clone)]
struct System {
    hosts: Arc<Hosts>,
    servers: Result<TokioResolver, NetError>,
}

/// A name has no address that could be found now.
#[derive(Debug, thiserror::Error)]
pub enum Unresolved {
    /// The name servers are not configured in a way that can be used.
    #[error("{path} cannot be used")]
    Configuration {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: NetError,
    },
    /// Nobody knows the name, or nobody answers.
    #[error(transparent)]
    Lookup(#[from] NetError),
}

impl Names {
    /// Resolves as `/etc/resolv.conf` and `/etc/hosts` say.
    pub fn system() -> Self {
        Self::of("/etc/resolv.conf", "/etc/hosts")
    }

    fn of(resolv_conf: impl Into<PathBuf>, hosts: impl Into<PathBuf>) -> Self {
        let (resolv_conf, hosts) = (resolv_conf.into(), hosts.into());
        Self(Arc::new(Inner { resolv_conf, hosts, newest: Mutex::default() }))
    }

    /// The addresses of a name, IPv4 before IPv6; never none. An address is its own.
    pub async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Unresolved> {
        if let Ok(address) = name.parse() {
            return Ok(vec![address]);
        }
        let System { hosts, servers } = self.system_now();
        let of_hosts = of_hosts(&hosts, &name.into_name().map_err(NetError::from)?);
        if !of_hosts.is_empty() {
            return Ok(of_hosts);
        }
        let broken = |source| Unresolved::Configuration { path: self.0.resolv_conf.clone(), source };
        let found = servers.map_err(broken)?.lookup_ip(name).await?;
        Ok(found.iter().collect())
    }

    /// What the files say now. They are small, and on no network.
    fn system_now(&self) -> System {
        let Inner { resolv_conf, hosts, newest } = &*self.0;
        let files = Files { resolv_conf: fs::read(resolv_conf).ok(), hosts: fs::read(hosts).ok() };
        let mut newest = newest.lock();
        match &*newest {
            Some((known, system)) if *known == files => system.clone(),
            _ => {
                let system = files.system();
                *newest = Some((files, system.clone()));
                system
            }
        }
    }
}

/// The addresses of a name as one server gives them, by TCP or by UDP alone; never none. A lost datagram is tried again.
pub async fn ask(name: &str, server: SocketAddr, by_tcp: bool) -> Result<Vec<IpAddr>, Unresolved> {
    let mut connection = if by_tcp { ConnectionConfig::tcp() } else { ConnectionConfig::udp() };
    connection.port = server.port();
    let server = NameServerConfig::new(server.ip(), true, vec![connection]);
    let mut options = ResolverOpts::default();
    (options.timeout, options.attempts) = (Duration::from_secs(2), 5);
    let resolver = resolver(ResolverConfig::from_parts(None, Vec::new(), vec![server]), options)?;
    Ok(resolver.lookup_ip(name).await?.iter().collect())
}

/// For both families, without the hosts file.
fn resolver(config: ResolverConfig, mut options: ResolverOpts) -> Result<TokioResolver, NetError> {
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.use_hosts_file = ResolveHosts::Never;
    let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options;
    builder.build()
}

impl Files {
    fn system(&self) -> System {
        let mut hosts = Hosts::default();
        if let Some(Err(error)) = self.hosts.as_deref().map(|text| hosts.read_hosts_conf(text)) {
            warn!("the hosts file cannot be read to its end: {error}");
        }
        System { hosts: Arc::new(hosts), servers: self.servers() }
    }

    fn servers(&self) -> Result<TokioResolver, NetError> {
        let (config, options) = if let Some(text) = &self.resolv_conf {
            parse_resolv_conf(text)?
        } else {
            // As the C library does: resolv.conf(5), `nameserver`.
            let own = NameServerConfig::udp_and_tcp([127, 0, 0, 1].into());
            (ResolverConfig::from_parts(None, Vec::new(), vec![own]), ResolverOpts::default())
        };
        resolver(config, options)
    }
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("System").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

/// The addresses by the hosts file alone. What has one there is asked of no server, also not for the other family.
fn of_hosts(hosts: &Hosts, name: &Name) -> Vec<IpAddr> {
    let of_type = |rtype| hosts.lookup_static_host(&Query::query(name.clone(), rtype));
    let found = [RecordType::A, RecordType::AAAA].into_iter().filter_map(of_type);
    found.flat_map(|lookup| lookup.answers().iter().filter_map(|it| it.data.ip_addr()).collect::<Vec<_>>()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(resolv_conf: &str, hosts: &str) -> (tempfile::TempDir, Names) {
        let files = tempfile::tempdir().unwrap();
        fs::write(files.path().join("resolv.conf"), resolv_conf).unwrap();
        fs::write(files.path().join("hosts"), hosts).unwrap();
        let names = Names::of(files.path().join("resolv.conf"), files.path().join("hosts"));
        (files, names)
    }

    async fn found(names: &Names, name: &str) -> Vec<String> {
        names.addresses(name).await.unwrap().iter().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn the_hosts_file_is_read_again_once_it_changes() {
        let text = "192.0.2.7 dns-1.example.org dns-1 # the first\n2001:db8::7 dns-1.example.org\n";
        let (files, names) = names("nameserver 127.0.0.1\n", text);
        assert_eq!(found(&names, "dns-1.example.org").await, ["192.0.2.7", "2001:db8::7"]);
        assert_eq!(found(&names, "dns-1").await, ["192.0.2.7"]);
        fs::write(files.path().join("hosts"), "192.0.2.8 dns-1.example.org\n").unwrap();
        assert_eq!(found(&names, "DNS-1.example.org.").await, ["192.0.2.8"]);
    }

    #[tokio::test]
    async fn an_address_needs_no_files() {
        let names = Names::of("/nonexistent/resolv.conf", "/nonexistent/hosts");
        assert_eq!(found(&names, "192.0.2.1").await, ["192.0.2.1"]);
        assert_eq!(found(&names, "2001:db8::1").await, ["2001:db8::1"]);
    }

    #[tokio::test]
    async fn without_name_servers_the_hosts_file_counts_all_the_same() {
        let (files, names) = names("", "192.0.2.7 dns-1.example.org\n");
        fs::remove_file(files.path().join("resolv.conf")).unwrap();
        assert_eq!(found(&names, "dns-1.example.org").await, ["192.0.2.7"]);
        fs::write(files.path().join("resolv.conf"), "options timeout:1\n").unwrap();
        assert_eq!(found(&names, "dns-1.example.org").await, ["192.0.2.7"]);
    }

    #[tokio::test]
    async fn a_file_without_a_name_server_is_named() {
        let (_files, names) = names("options timeout:1\n", "");
        let error = names.addresses("nowhere.invalid").await.unwrap_err();
        assert!(error.to_string().ends_with("resolv.conf cannot be used"), "{error}");
    }

    #[tokio::test]
    async fn who_does_not_answer_is_an_error_in_the_end() {
        let (_files, names) = names("nameserver 127.0.0.254\noptions timeout:1 attempts:1\n", "");
        let error = names.addresses("nowhere.invalid").await.unwrap_err();
        assert!(matches!(error, Unresolved::Lookup(_)), "{error:?}");
    }
}
