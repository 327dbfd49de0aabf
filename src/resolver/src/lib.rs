//! Resolves names to addresses, by the hosts file and the nameservers of the system.
//!
//! The C library resolves names through modules that it loads at run time. A static binary in an empty image does not have them,
//! so this crate replaces the C library. It ignores `nsswitch.conf`: it uses the hosts file first, then the nameservers. It reads
//! both files again when they change.

mod query;

pub use self::query::{
    DnsCode, MAX_DATAGRAM_BYTES, Question, QuestionType, RecordContent, ServerRecord, ServerResponse, query,
    query_whole,
};

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use daymark_files::{FileError, WatchError, WatchedFiles};
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::{Query, ResponseCode};
use hickory_resolver::proto::rr::{IntoName, Name, RecordType};
use hickory_resolver::system_conf::parse_resolv_conf;
use hickory_resolver::{Hosts, Resolver, TokioResolver};
use reqwest::dns::{Addrs, Resolve, Resolving};
use tracing::warn;

/// The port of DNS.
pub const DNS_PORT: u16 = 53;

/// Resolves names as the system is configured. Clones share the configuration.
#[derive(Clone, Debug)]
pub struct SystemResolver(Arc<ResolverState>);

#[derive(Debug)]
struct ResolverState {
    resolv_conf: PathBuf,
    configuration: WatchedFiles<Configuration, FileError>,
}

/// The contents of the two files. `None` if a file may not be read, or is none.
#[derive(Debug, PartialEq, Eq)]
struct Files {
    resolv_conf: Option<Vec<u8>>,
    hosts: Option<Vec<u8>>,
}

/// The hosts file and the resolver of the nameservers.
#[derive(Clone)]
struct Configuration {
    hosts: Arc<Hosts>,
    nameservers: Result<TokioResolver, NetError>,
}

/// The protocol of a query to a nameserver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// UDP. A lost datagram is sent again.
    Udp,
    /// TCP.
    Tcp,
}

/// The error of a name for which no address was found.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The configuration of the nameservers cannot be used.
    #[error("{path} cannot be used")]
    Configuration {
        /// The path of the file.
        path: PathBuf,
        /// The error in the file.
        source: NetError,
    },
    /// The files cannot be read.
    #[error(transparent)]
    Files(#[from] WatchError<FileError>),
    /// The lookup gives no address.
    #[error("{name} does not resolve ({cause})")]
    Lookup {
        /// The name.
        name: String,
        /// The cause.
        cause: LookupFailure,
    },
}

/// The cause of a lookup that gives no address, as a clause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupFailure {
    /// The text is no DNS name.
    #[error("it is not a DNS name")]
    MalformedName,
    /// The name does not exist.
    #[error("no such name")]
    NoSuchName,
    /// The name exists, and has no A or AAAA record.
    #[error("the name has no addresses")]
    NoAddresses,
    /// No nameserver answered in time.
    #[error("no nameserver answered in time")]
    Timeout,
    /// No nameserver can be reached.
    #[error("no nameserver can be reached")]
    NoConnections,
    /// The system could not send the query, or receive the response.
    #[error("no nameserver can be reached: {0}")]
    Network(String),
    /// The nameserver refuses the query.
    #[error("the nameserver refuses the query")]
    Refused,
    /// The nameserver could not resolve the name.
    #[error("the nameserver failed: SERVFAIL")]
    ServerFailure,
    /// The nameserver answered with another error.
    #[error("the nameserver answered with response code {0}")]
    ResponseCode(u16),
    /// The response cannot be used.
    #[error("the response of the nameserver is not valid")]
    InvalidResponse,
    /// Too many lookups are under way.
    #[error("too many lookups at once")]
    Busy,
    /// Any other cause.
    #[error("the lookup failed")]
    Other,
}

impl ResolveError {
    fn new(name: &str, cause: impl Into<LookupFailure>) -> Self {
        Self::Lookup { name: name.to_owned(), cause: cause.into() }
    }
}

/// The text of the library's errors is for programmers, so none of it is kept.
impl From<NetError> for LookupFailure {
    fn from(error: NetError) -> Self {
        match error {
            NetError::Dns(DnsError::NoRecordsFound(NoRecords { response_code, .. })) => match response_code {
                ResponseCode::NoError => Self::NoAddresses,
                code => code.into(),
            },
            NetError::Dns(DnsError::ResponseCode(code)) => code.into(),
            NetError::Timeout => Self::Timeout,
            NetError::NoConnections => Self::NoConnections,
            NetError::Io(error) => Self::Network(error.to_string()),
            NetError::Busy => Self::Busy,
            NetError::Proto(_)
            | NetError::QueryCaseMismatch
            | NetError::ForeignClassRecord { .. }
            | NetError::Truncated => Self::InvalidResponse,
            // The enumeration is open, and the rest belongs to transports and checks that are not used.
            _ => Self::Other,
        }
    }
}

impl From<ResponseCode> for LookupFailure {
    fn from(code: ResponseCode) -> Self {
        match code {
            ResponseCode::NXDomain => Self::NoSuchName,
            ResponseCode::Refused => Self::Refused,
            ResponseCode::ServFail => Self::ServerFailure,
            code => Self::ResponseCode(code.into()),
        }
    }
}

impl SystemResolver {
    /// A resolver that is configured by `/etc/resolv.conf` and `/etc/hosts`.
    pub fn new() -> Self {
        Self::from_files("/etc/resolv.conf", "/etc/hosts")
    }

    fn from_files(resolv_conf: impl Into<PathBuf>, hosts: impl Into<PathBuf>) -> Self {
        let resolv_conf: PathBuf = resolv_conf.into();
        let hosts: PathBuf = hosts.into();
        let paths = vec![resolv_conf.clone(), hosts.clone()];
        let source = resolv_conf.clone();
        let configuration = WatchedFiles::new("name resolution", paths, move || {
            let files = Files { resolv_conf: content(&source)?, hosts: content(&hosts)? };
            Ok(files.parse())
        });
        Self(Arc::new(ResolverState { resolv_conf, configuration }))
    }

    /// Resolves a name to at least one address. IPv4 addresses come first. The text of an address resolves to itself.
    pub async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        if let Ok(address) = name.parse() {
            return Ok(vec![address]);
        }
        let configuration = self.0.configuration.current()?;
        let static_addresses = static_addresses(&configuration.hosts, &parsed(name)?);
        if !static_addresses.is_empty() {
            return Ok(static_addresses);
        }
        let nameservers = configuration.nameservers.as_ref().map_err(|source| ResolveError::Configuration {
            path: self.0.resolv_conf.clone(),
            source: source.clone(),
        })?;
        lookup(nameservers, name).await
    }
}

/// The content of a file; `None` if it is missing, may not be read, or is no regular file. Other errors may pass.
fn content(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    match daymark_files::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(FileError::Missing(_) | FileError::NotRegular(_)) => Ok(None),
        Err(FileError::Unreadable { error, .. }) if error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        Err(error) => Err(error),
    }
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        })
    }
}

/// For HTTP clients: reqwest sets the port itself.
impl Resolve for SystemResolver {
    fn resolve(&self, name: reqwest::dns::Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let addresses = resolver.addresses(name.as_str()).await?;
            Ok(Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

/// The servers that a `resolv.conf` names, at their port. Without the file, the one at 127.0.0.1, as in the C library.
pub fn name_servers(resolv_conf: &Path) -> Result<Vec<SocketAddr>, ResolveError> {
    let unusable = |source| ResolveError::Configuration { path: resolv_conf.to_owned(), source };
    let text = content(resolv_conf).map_err(|error| WatchError::Unusable(Arc::new(error)))?;
    let NameserverSettings { config, .. } = nameserver_settings(text.as_deref()).map_err(unusable)?;
    Ok(config.name_servers().iter().map(|server| SocketAddr::new(server.ip, DNS_PORT)).collect())
}

/// Resolves a name to at least one address, by a query to one server over one protocol.
pub async fn resolve_at(name: &str, server: SocketAddr, protocol: Protocol) -> Result<Vec<IpAddr>, ResolveError> {
    let mut connection = match protocol {
        Protocol::Udp => ConnectionConfig::udp(),
        Protocol::Tcp => ConnectionConfig::tcp(),
    };
    connection.port = server.port();
    parsed(name)?;
    let server = NameServerConfig::new(server.ip(), true, vec![connection]);
    let mut options = ResolverOpts::default();
    options.timeout = Duration::from_secs(2);
    options.attempts = 5;
    let resolver = nameserver_resolver(ResolverConfig::from_parts(None, Vec::new(), vec![server]), options);
    lookup(&resolver.map_err(|error| ResolveError::new(name, error))?, name).await
}

fn parsed(name: &str) -> Result<Name, ResolveError> {
    name.into_name().map_err(|_| ResolveError::new(name, LookupFailure::MalformedName))
}

async fn lookup(resolver: &TokioResolver, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
    let found = resolver.lookup_ip(name).await.map_err(|error| ResolveError::new(name, error))?;
    Ok(found.iter().collect())
}

/// A resolver of A and AAAA records that ignores the hosts file.
fn nameserver_resolver(config: ResolverConfig, mut options: ResolverOpts) -> Result<TokioResolver, NetError> {
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.use_hosts_file = ResolveHosts::Never;
    let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options;
    builder.build()
}

impl Files {
    fn parse(&self) -> Configuration {
        let mut hosts = Hosts::default();
        if let Some(Err(error)) = self.hosts.as_deref().map(|text| hosts.read_hosts_conf(text)) {
            warn!("the hosts file has an error, so the rest of it is ignored: {error}");
        }
        Configuration { hosts: Arc::new(hosts), nameservers: self.nameservers() }
    }

    fn nameservers(&self) -> Result<TokioResolver, NetError> {
        let NameserverSettings { config, options } = nameserver_settings(self.resolv_conf.as_deref())?;
        nameserver_resolver(config, options)
    }
}

/// The nameservers and the options of a `resolv.conf`.
struct NameserverSettings {
    config: ResolverConfig,
    options: ResolverOpts,
}

/// Reads a `resolv.conf`; `None` if there is none.
fn nameserver_settings(resolv_conf: Option<&[u8]>) -> Result<NameserverSettings, NetError> {
    if let Some(text) = resolv_conf {
        let (config, options) = parse_resolv_conf(text)?;
        return Ok(NameserverSettings { config, options });
    }
    // Without the file, the C library asks the local host: resolv.conf(5), `nameserver`.
    let local = NameServerConfig::udp_and_tcp([127, 0, 0, 1].into());
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![local]);
    Ok(NameserverSettings { config, options: ResolverOpts::default() })
}

impl fmt::Debug for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Configuration").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

/// The addresses of a name in the hosts file. If there is one, no nameserver is asked, not even for the other family.
fn static_addresses(hosts: &Hosts, name: &Name) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for rtype in [RecordType::A, RecordType::AAAA] {
        if let Some(lookup) = hosts.lookup_static_host(&Query::query(name.clone(), rtype)) {
            addresses.extend(lookup.answers().iter().filter_map(|record| record.data.ip_addr()));
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Writes both files to a directory, and reads them through a resolver.
    fn files_in(dir: &Path, resolv_conf: &str, hosts: &str) -> SystemResolver {
        fs::write(dir.join("resolv.conf"), resolv_conf).unwrap();
        fs::write(dir.join("hosts"), hosts).unwrap();
        SystemResolver::from_files(dir.join("resolv.conf"), dir.join("hosts"))
    }

    async fn addresses(resolver: &SystemResolver, name: &str) -> Vec<String> {
        resolver.addresses(name).await.unwrap().iter().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn the_hosts_file_is_read_again_when_it_changes() {
        let text = "192.0.2.7 dns-1.example.org dns-1 # the first\n2001:db8::7 dns-1.example.org\n";
        let dir = tempfile::tempdir().unwrap();
        let resolver = files_in(dir.path(), "nameserver 127.0.0.1\n", text);
        assert_eq!(addresses(&resolver, "dns-1.example.org").await, ["192.0.2.7", "2001:db8::7"]);
        assert_eq!(addresses(&resolver, "dns-1").await, ["192.0.2.7"]);
        fs::write(dir.path().join("hosts"), "192.0.2.8 dns-1.example.org\n").unwrap();
        assert_eq!(addresses(&resolver, "DNS-1.example.org.").await, ["192.0.2.8"]);
    }

    #[test]
    fn the_servers_of_a_resolv_conf_are_those_of_its_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("resolv.conf");
        let servers = |path: &Path| name_servers(path).unwrap().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(servers(&path), ["127.0.0.1:53"], "without the file");
        fs::write(&path, "nameserver 192.0.2.53\nnameserver 2001:db8::53\noptions timeout:1\n").unwrap();
        assert_eq!(servers(&path), ["192.0.2.53:53", "[2001:db8::53]:53"]);
    }

    #[tokio::test]
    async fn an_address_needs_no_files() {
        let resolver = SystemResolver::from_files("/nonexistent/resolv.conf", "/nonexistent/hosts");
        assert_eq!(addresses(&resolver, "192.0.2.1").await, ["192.0.2.1"]);
        assert_eq!(addresses(&resolver, "2001:db8::1").await, ["2001:db8::1"]);
    }

    #[tokio::test]
    async fn without_nameservers_the_hosts_file_is_still_used() {
        let dir = tempfile::tempdir().unwrap();
        let resolver = files_in(dir.path(), "", "192.0.2.7 dns-1.example.org\n");
        fs::remove_file(dir.path().join("resolv.conf")).unwrap();
        assert_eq!(addresses(&resolver, "dns-1.example.org").await, ["192.0.2.7"]);
        fs::write(dir.path().join("resolv.conf"), "options timeout:1\n").unwrap();
        assert_eq!(addresses(&resolver, "dns-1.example.org").await, ["192.0.2.7"]);
    }

    #[tokio::test]
    async fn a_file_without_a_nameserver_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let resolver = files_in(dir.path(), "options timeout:1\n", "");
        let error = resolver.addresses("nowhere.invalid").await.unwrap_err();
        assert!(error.to_string().ends_with("resolv.conf cannot be used"), "{error}");
    }

    #[tokio::test]
    async fn a_nameserver_that_does_not_answer_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let resolver = files_in(dir.path(), "nameserver 127.0.0.254\noptions timeout:1 attempts:1\n", "");
        let error = resolver.addresses("nowhere.example.org").await.unwrap_err();
        assert!(matches!(error, ResolveError::Lookup { .. }), "{error:?}");
        assert!(error.to_string().starts_with("nowhere.example.org does not resolve (no nameserver "), "{error}");
    }

    #[tokio::test]
    async fn a_malformed_name_is_an_error_without_a_query() {
        let resolver = SystemResolver::from_files("/nonexistent/resolv.conf", "/nonexistent/hosts");
        let error = resolver.addresses("a..example.org").await.unwrap_err();
        assert_eq!(error.to_string(), "a..example.org does not resolve (it is not a DNS name)");
    }

    #[test]
    fn an_error_of_the_library_becomes_a_sentence_without_its_text() {
        let query = Query::query("nosuch.invalid.".into_name().unwrap(), RecordType::A);
        let no_records = |code| NetError::from(NoRecords::new(query.clone(), code));
        let of_code = |code| NetError::from(DnsError::ResponseCode(code));
        let causes = [
            (no_records(ResponseCode::NXDomain), "no such name"),
            (no_records(ResponseCode::NoError), "the name has no addresses"),
            (of_code(ResponseCode::Refused), "the nameserver refuses the query"),
            (of_code(ResponseCode::ServFail), "the nameserver failed: SERVFAIL"),
            (of_code(ResponseCode::NotImp), "the nameserver answered with response code 4"),
            (NetError::Timeout, "no nameserver answered in time"),
            (NetError::NoConnections, "no nameserver can be reached"),
            (NetError::Truncated, "the response of the nameserver is not valid"),
            (NetError::Message("anything"), "the lookup failed"),
        ];
        for (error, cause) in causes {
            let shown = ResolveError::new("nosuch.invalid", error).to_string();
            assert_eq!(shown, format!("nosuch.invalid does not resolve ({cause})"));
        }
    }
}
