//! The configured name servers from here: authority, serial, the same answer by UDP and TCP and at every server, size, and no
//! recursion. It does not know the parent zone or any resolver.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use daymark_config::PoolConfig;
use daymark_decision::Moment;
use daymark_files::error_chain;
use daymark_resolver::{
    DnsCode, LookupFailure, MAX_DATAGRAM_BYTES, Protocol, Question, QuestionType, ServerResponse, SystemResolver, query,
};
use futures_util::future::join_all;
use tokio::time::sleep;

use super::diagnosis::{Diagnosis, DoctorSection, Symptom};
use super::serials::{self, ServerSerial};
use super::setup::{DelegatedZone, SetupServer};

/// The pause before a second look at different answers, because a change reaches the hosts one after the other.
const SECOND_LOOK: Duration = Duration::from_secs(2);
/// A response, or the reason for none.
pub(super) type Response = Result<ServerResponse, LookupFailure>;

/// One address of one name server, as it answers for one zone.
#[derive(Clone, Debug)]
pub(super) struct ServerSeen {
    /// The name of the server.
    pub(super) name: String,
    /// Its address.
    pub(super) address: SocketAddr,
    /// True if this machine has a route to it.
    pub(super) has_route: bool,
    /// Its responses by UDP.
    pub(super) udp: TransportSeen,
    /// Its responses by TCP.
    pub(super) tcp: TransportSeen,
    /// Its response to a query for the name servers of the root, with recursion.
    pub(super) recursion: Response,
}

/// The responses by one protocol.
#[derive(Clone, Debug)]
pub(super) struct TransportSeen {
    /// The start of authority of the zone.
    pub(super) soa: Response,
    /// The addresses of each pool of the zone.
    pub(super) pools: Vec<PoolSeen>,
}

/// The responses for the name of one pool.
#[derive(Clone, Debug)]
pub(super) struct PoolSeen {
    /// The name of the pool.
    pub(super) pool: String,
    /// Its IPv4 addresses.
    pub(super) a: Response,
    /// Its IPv6 addresses.
    pub(super) aaaa: Response,
}

/// Everything that was seen of the name servers of one zone.
#[derive(Clone, Debug, Default)]
pub(super) struct ZoneSeen {
    /// Each address that was asked.
    pub(super) servers: Vec<ServerSeen>,
    /// The servers whose names gave no address, with the reason.
    pub(super) unresolved: Vec<UnresolvedServer>,
}

/// A name server without an address.
#[derive(Clone, Debug)]
pub(super) struct UnresolvedServer {
    pub(super) name: String,
    /// The reason, as a sentence.
    pub(super) error: String,
}

impl PoolSeen {
    /// The addresses of both families; `None` unless both were answered.
    pub(super) fn addresses(&self) -> Option<BTreeSet<IpAddr>> {
        let [a, aaaa] = [&self.a, &self.aaaa].map(|response| response.as_ref().ok());
        Some(a?.addresses().chain(aaaa?.addresses()).collect())
    }

    fn responses(&self) -> impl Iterator<Item = &ServerResponse> {
        [&self.a, &self.aaaa].into_iter().filter_map(|response| response.as_ref().ok())
    }
}

impl ServerSeen {
    /// Its name and its address.
    fn label(&self) -> String {
        format!("{} {}", self.name, self.address)
    }

    /// The serial of the zone, by UDP.
    fn serial(&self) -> Option<ServerSerial> {
        Some(ServerSerial { label: self.label(), serial: self.udp.soa.as_ref().ok()?.serial()? })
    }

    /// The addresses that it has for a pool, by UDP.
    fn answer(&self, pool: &str) -> Option<BTreeSet<IpAddr>> {
        self.udp.pools.iter().find(|seen| seen.pool == pool)?.addresses()
    }
}

/// The addresses that the servers with authority have for each pool together.
pub(super) fn answers(seen: &ZoneSeen) -> BTreeMap<String, BTreeSet<IpAddr>> {
    let mut answers: BTreeMap<String, BTreeSet<IpAddr>> = BTreeMap::new();
    for pool in seen.servers.iter().filter(|server| is_authority(&server.udp.soa)).flat_map(|server| &server.udp.pools)
    {
        answers.entry(pool.pool.clone()).or_default().extend(pool.addresses().unwrap_or_default());
    }
    answers
}

/// Asks every server of a zone. If their answers differ, it looks a second time, because a change takes a moment.
pub(super) async fn look(zone: &DelegatedZone, port: u16) -> ZoneSeen {
    let seen = look_once(zone, port).await;
    let are_same = zone.pools.iter().all(|pool| differing(&seen.servers, pool).is_none());
    if are_same {
        return seen;
    }
    sleep(SECOND_LOOK).await;
    look_once(zone, port).await
}

async fn look_once(zone: &DelegatedZone, port: u16) -> ZoneSeen {
    let mut seen = ZoneSeen::default();
    let mut addresses = Vec::new();
    for server in &zone.servers {
        match resolved(server).await {
            Ok(found) => addresses.extend(found.into_iter().map(|address| (server.name.clone(), address))),
            Err(error) => seen.unresolved.push(UnresolvedServer { name: server.name.clone(), error }),
        }
    }
    let asked = addresses.into_iter().map(|(name, address)| ask_server(name, SocketAddr::new(address, port), zone));
    seen.servers = join_all(asked).await;
    seen
}

/// The configured addresses of a server, or those of its name.
pub(super) async fn resolved(server: &SetupServer) -> Result<Vec<IpAddr>, String> {
    if !server.addresses.is_empty() {
        return Ok(server.addresses.clone());
    }
    SystemResolver::new().addresses(&server.name).await.map_err(|error| error_chain(&error))
}

async fn ask_server(name: String, address: SocketAddr, zone: &DelegatedZone) -> ServerSeen {
    let root = Question { name: ".".to_owned(), qtype: QuestionType::Ns, recursion: true };
    let (udp, tcp, recursion) = tokio::join!(
        ask_by(Protocol::Udp, address, zone),
        ask_by(Protocol::Tcp, address, zone),
        query(&root, address, Protocol::Udp),
    );
    ServerSeen { name, address, has_route: has_route(address), udp, tcp, recursion }
}

async fn ask_by(protocol: Protocol, address: SocketAddr, zone: &DelegatedZone) -> TransportSeen {
    let pools = zone.pools.iter().map(|pool| async move {
        let (a, aaaa) = tokio::join!(
            ask(pool, QuestionType::A, address, protocol),
            ask(pool, QuestionType::Aaaa, address, protocol),
        );
        PoolSeen { pool: pool.clone(), a, aaaa }
    });
    let (soa, pools) = tokio::join!(ask(&zone.apex, QuestionType::Soa, address, protocol), join_all(pools));
    TransportSeen { soa, pools }
}

/// Asks one question without recursion.
pub(super) async fn ask(name: &str, qtype: QuestionType, server: SocketAddr, protocol: Protocol) -> Response {
    query(&Question { name: name.to_owned(), qtype, recursion: false }, server, protocol).await
}

/// True if this machine has a route to an address. It sends nothing: connecting a UDP socket only looks for the route.
pub(super) fn has_route(address: SocketAddr) -> bool {
    let own: SocketAddr = if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0; 16], 0).into() };
    UdpSocket::bind(own).and_then(|socket| socket.connect(address)).is_ok()
}

/// True if a response to a question for the SOA record shows authority for the zone.
pub(super) fn is_authority(soa: &Response) -> bool {
    soa.as_ref().is_ok_and(|soa| soa.authoritative && soa.serial().is_some())
}

/// Judges what was seen of the servers of one zone.
pub(super) fn judge(zone: &DelegatedZone, pools: &[PoolConfig], seen: &ZoneSeen, now: Moment) -> Vec<Diagnosis> {
    let mut diagnoses = Vec::new();
    for UnresolvedServer { name, error } in &seen.unresolved {
        let message = format!("{error}; give its addresses under `nameservers`, or make the name resolve");
        diagnoses.push(fail(name, Symptom::Unresolved, message));
    }
    for server in &seen.servers {
        let mut found = judge_server(zone, pools, server, now);
        if found.is_empty() {
            found.push(Diagnosis::ok(DoctorSection::NameServers, server.label(), summary(zone, server)));
        }
        diagnoses.append(&mut found);
    }
    let is_whole =
        |pool: &&String| !pools.iter().any(|config| config.pool.name.as_str() == *pool && is_partial(config));
    diagnoses.extend(zone.pools.iter().filter(is_whole).filter_map(|pool| differing(&seen.servers, pool)));
    diagnoses.extend(serials::spread(zone, &seen.servers.iter().filter_map(ServerSeen::serial).collect::<Vec<_>>()));
    diagnoses
}

fn judge_server(zone: &DelegatedZone, pools: &[PoolConfig], server: &ServerSeen, now: Moment) -> Vec<Diagnosis> {
    if let Some(unreachable) = unreachable(server) {
        return vec![unreachable];
    }
    let label = server.label();
    let mut found = Vec::new();
    for (protocol, soa) in [(Protocol::Udp, &server.udp.soa), (Protocol::Tcp, &server.tcp.soa)] {
        let Ok(response) = soa else { continue };
        if !is_authority(soa) {
            let symptom = match response.code {
                DnsCode::Success => "without authority".to_owned(),
                code => format!("with {code}"),
            };
            let message = format!(
                "is lame by {protocol}: it answers for {} {symptom}; run Daymark with this configuration there, or remove the \
                 server from `nameservers` and from the parent zone",
                zone.apex
            );
            found.push(fail(&label, Symptom::Lame, message));
            return found;
        }
    }
    for pool in &server.udp.pools {
        found.extend(judge_answer(pools, pool, &label));
    }
    found.extend(server.serial().and_then(|serial| serials::ahead(zone, &serial, now)));
    found.extend(size(server));
    found.extend(recursion(server));
    found
}

/// The diagnosis of a server that does not answer by a protocol.
fn unreachable(server: &ServerSeen) -> Option<Diagnosis> {
    let label = server.label();
    if !server.has_route {
        let message = format!(
            "is not looked at, because this machine has no route to {}; run `daymark doctor` on a machine with one",
            server.address.ip()
        );
        return Some(Diagnosis::warn(DoctorSection::NameServers, label, Symptom::NoRoute, message));
    }
    let port = server.address.port();
    let message = match (&server.udp.soa, &server.tcp.soa) {
        (Ok(_), Ok(_)) => return None,
        (Err(udp), Err(_)) => format!(
            "does not answer by UDP or TCP ({}); start Daymark there, and open port {port} of both protocols on the way",
            cause(udp)
        ),
        (Err(udp), Ok(_)) => {
            format!("answers by TCP, but not by UDP ({}); open UDP port {port} on the way to it", cause(udp))
        }
        (Ok(_), Err(tcp)) => format!(
            "answers by UDP, but not by TCP ({}), which resolvers need after a truncated answer; open TCP port {port} on the \
             way to it",
            cause(tcp)
        ),
    };
    Some(fail(&label, Symptom::Unreachable, message))
}

/// The cause of a failed query, said of one server.
pub(super) fn cause(failure: &LookupFailure) -> String {
    match failure {
        LookupFailure::Timeout => "no answer in time".to_owned(),
        LookupFailure::NoConnections => "no connection".to_owned(),
        LookupFailure::Network(error) => error.clone(),
        other => other.to_string(),
    }
}

fn judge_answer(pools: &[PoolConfig], seen: &PoolSeen, label: &str) -> Option<Diagnosis> {
    let failed = seen.responses().find(|response| response.code != DnsCode::Success);
    if let Some(failed) = failed {
        let message = format!(
            "answers {} for {}; compare its configuration with this one, and look at `daymark status` there",
            failed.code, seen.pool
        );
        return Some(fail(label, Symptom::NoAnswer, message));
    }
    let addresses = seen.addresses()?;
    if addresses.is_empty() {
        let message = format!("has no address for {}; look at `daymark status` there", seen.pool);
        return Some(fail(label, Symptom::NoAnswer, message));
    }
    let config = pools.iter().find(|config| config.pool.name.as_str() == seen.pool)?;
    let foreign = foreign(config, &addresses);
    (!foreign.is_empty()).then(|| {
        let message = format!(
            "answers for {} with {}, which no node of this configuration has; give that server this configuration, or this \
             machine that of the server",
            seen.pool,
            list(&foreign)
        );
        fail(label, Symptom::ForeignAddress, message)
    })
}

/// The addresses that no node of a pool has. A pool with discovery may have nodes that the file does not.
pub(super) fn foreign(config: &PoolConfig, addresses: &BTreeSet<IpAddr>) -> BTreeSet<IpAddr> {
    if config.discovery.is_some() {
        return BTreeSet::new();
    }
    let known: BTreeSet<IpAddr> = config.pool.targets().map(|target| target.address).collect();
    addresses.difference(&known).copied().collect()
}

/// True if a response may have only some of the addresses of the answer.
pub(super) fn is_partial(config: &PoolConfig) -> bool {
    usize::from(config.pool.steering.max_answers) < config.pool.targets().count()
}

fn differing(servers: &[ServerSeen], pool: &str) -> Option<Diagnosis> {
    let mut by_answer: BTreeMap<BTreeSet<IpAddr>, Vec<String>> = BTreeMap::new();
    for server in servers.iter().filter(|server| is_authority(&server.udp.soa)) {
        let Some(answer) = server.answer(pool).filter(|answer| !answer.is_empty()) else { continue };
        by_answer.entry(answer).or_default().push(server.label());
    }
    let each = || by_answer.iter().map(|(answer, servers)| format!("{} at {}", list(answer), servers.join(", ")));
    (by_answer.len() > 1).then(|| {
        let message = format!(
            "the name servers answer differently: {}; compare `daymark status` and the configurations of these hosts",
            each().collect::<Vec<_>>().join(" and ")
        );
        fail(pool, Symptom::AnswersDiffer, message)
    })
}

fn size(server: &ServerSeen) -> Option<Diagnosis> {
    let truncated = server.udp.pools.iter().find(|pool| {
        pool.responses().any(|response| response.truncated || response.bytes > usize::from(MAX_DATAGRAM_BYTES))
    })?;
    let message = format!(
        "the answer for {} does not fit into {MAX_DATAGRAM_BYTES} bytes, so every resolver asks again by TCP; lower \
         `steering.maxAnswers`",
        truncated.pool
    );
    Some(Diagnosis::warn(DoctorSection::NameServers, server.label(), Symptom::TooLarge, message))
}

fn recursion(server: &ServerSeen) -> Option<Diagnosis> {
    let response = server.recursion.as_ref().ok()?;
    (response.recursion_available || !response.answers.is_empty()).then(|| {
        let message = "offers recursion, so it can be abused against others, and its answers may come from a cache; let Daymark \
                       itself listen there, and no resolver";
        Diagnosis::warn(DoctorSection::NameServers, server.label(), Symptom::Recursion, message)
    })
}

fn summary(zone: &DelegatedZone, server: &ServerSeen) -> String {
    let serial = server.serial().map(|serial| serial.serial).unwrap_or_default();
    let bytes = server.udp.pools.iter().flat_map(PoolSeen::responses).map(|response| response.bytes).max();
    let answers: Vec<String> = server
        .udp
        .pools
        .iter()
        .map(|pool| format!("{} {}", pool.pool, list(&pool.addresses().unwrap_or_default())))
        .collect();
    format!(
        "authority for {} by UDP and TCP, serial {serial}; {}; {} bytes at most; no recursion",
        zone.apex,
        answers.join("; "),
        bytes.unwrap_or_default()
    )
}

/// Addresses as a list with spaces.
pub(super) fn list(addresses: &BTreeSet<IpAddr>) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn fail(subject: &str, symptom: Symptom, message: String) -> Diagnosis {
    Diagnosis::fail(DoctorSection::NameServers, subject, symptom, message)
}
