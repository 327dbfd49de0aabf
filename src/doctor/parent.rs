//! The servers of a parent zone, found from the root by following referrals. It does not judge what they answer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use daymark_resolver::{
    DNS_PORT, DnsCode, Question, QuestionType, RecordContent, ServerRecord, ServerResponse, SystemResolver, query_whole,
};
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::name_servers::{Response, has_route};

/// The root servers a to m (<https://www.iana.org/domains/root/servers>).
const ROOTS_V4: [Ipv4Addr; 13] = [
    Ipv4Addr::new(198, 41, 0, 4),
    Ipv4Addr::new(170, 247, 170, 2),
    Ipv4Addr::new(192, 33, 4, 12),
    Ipv4Addr::new(199, 7, 91, 13),
    Ipv4Addr::new(192, 203, 230, 10),
    Ipv4Addr::new(192, 5, 5, 241),
    Ipv4Addr::new(192, 112, 36, 4),
    Ipv4Addr::new(198, 97, 190, 53),
    Ipv4Addr::new(192, 36, 148, 17),
    Ipv4Addr::new(192, 58, 128, 30),
    Ipv4Addr::new(193, 0, 14, 129),
    Ipv4Addr::new(199, 7, 83, 42),
    Ipv4Addr::new(202, 12, 27, 33),
];
/// The root servers k, l and m over IPv6, for a machine without IPv4.
const ROOTS_V6: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0x2001, 0x7fd, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0x2001, 0x500, 0x9f, 0, 0, 0, 0, 0x42),
    Ipv6Addr::new(0x2001, 0xdc3, 0, 0, 0, 0, 0, 0x35),
];
/// The number of servers of one zone that are asked at once.
const AT_ONCE: usize = 3;
/// The number of servers of one zone that are asked at all on the way.
const MAX_ASKED: usize = 6;
/// The number of referrals that are followed. No name on the way from the root has as many zone cuts.
const MAX_REFERRALS: usize = 12;

/// A parent zone with its servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ParentZone {
    /// Its name.
    pub(super) zone: String,
    /// The addresses of its servers.
    pub(super) servers: Vec<SocketAddr>,
}

/// The parent zone was not found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoParent {
    /// No server of the root zone answers.
    #[error("the root servers cannot be reached from here")]
    RootUnreachable,
    /// No server of a zone on the way answers.
    #[error("no server of {zone} on the way from the root answers")]
    ZoneUnreachable {
        /// The zone.
        zone: String,
    },
    /// The servers of a zone on the way have no known address.
    #[error("no server of {zone} on the way from the root has an address")]
    NoAddress {
        /// The zone.
        zone: String,
    },
    /// Something else than a root server answers at its address: those never offer recursion.
    #[error("something on the way from here answers in the place of the root servers")]
    Intercepted,
    /// The referrals have no end.
    #[error("the referrals from the root have no end")]
    TooManyReferrals,
}

impl ParentZone {
    /// Finds the zone that delegates `apex`, or would: the last one on the way from the root.
    pub(super) async fn find(apex: &str, roots: &[SocketAddr], port: u16) -> Result<Self, NoParent> {
        let mut parent =
            Self { zone: ".".to_owned(), servers: if roots.is_empty() { root_hints() } else { roots.to_vec() } };
        for _ in 0..MAX_REFERRALS {
            let Some(response) = first_response(apex, &parent.servers).await else {
                return Err(match parent.zone.as_str() {
                    "." => NoParent::RootUnreachable,
                    zone => NoParent::ZoneUnreachable { zone: zone.to_owned() },
                });
            };
            if roots.is_empty() && parent.zone == "." && response.recursion_available {
                return Err(NoParent::Intercepted);
            }
            match referral(&response, apex, &parent.zone) {
                None => return Ok(parent),
                Some(zone) => {
                    let servers = addresses(&response, &zone, port).await;
                    if servers.is_empty() {
                        return Err(NoParent::NoAddress { zone });
                    }
                    parent = Self { zone, servers };
                }
            }
        }
        Err(NoParent::TooManyReferrals)
    }

    /// The parent zone of which the servers are given. They know its name.
    pub(super) async fn of_servers(apex: &str, servers: &[SocketAddr]) -> Self {
        let above = apex.split_once('.').map_or(".", |(_, above)| above);
        let mut zone = above.to_owned();
        for server in servers {
            let Ok(response) = ask_both(above, QuestionType::Soa, *server).await else { continue };
            let mut records = response.answers.iter().chain(&response.authority);
            if let Some(soa) = records.find(|record| matches!(record.data, RecordContent::Serial(_))) {
                zone.clone_from(&soa.owner);
                break;
            }
        }
        Self { zone, servers: servers.to_vec() }
    }
}

/// Asks by UDP, and again by TCP if that gives no whole response.
pub(super) async fn ask_both(name: &str, qtype: QuestionType, server: SocketAddr) -> Response {
    query_whole(&Question { name: name.to_owned(), qtype, recursion: false }, server).await
}

fn root_hints() -> Vec<SocketAddr> {
    let addresses = ROOTS_V4.into_iter().map(IpAddr::from).chain(ROOTS_V6.into_iter().map(IpAddr::from));
    addresses.map(|address| SocketAddr::new(address, DNS_PORT)).collect()
}

/// The first usable response of the servers of a zone, a few of them asked at once.
async fn first_response(apex: &str, servers: &[SocketAddr]) -> Option<ServerResponse> {
    let reachable: Vec<SocketAddr> =
        servers.iter().copied().filter(|server| has_route(*server)).take(MAX_ASKED).collect();
    for some in reachable.chunks(AT_ONCE) {
        let mut asked: FuturesUnordered<_> =
            some.iter().map(|server| ask_both(apex, QuestionType::Ns, *server)).collect();
        while let Some(response) = asked.next().await {
            if let Ok(response) = response
                && matches!(response.code, DnsCode::Success | DnsCode::NoSuchName)
            {
                return Some(response);
            }
        }
    }
    None
}

/// The zone that a response refers to, if it lies between `zone` and `apex`.
fn referral(response: &ServerResponse, apex: &str, zone: &str) -> Option<String> {
    if response.authoritative {
        return None;
    }
    let records = response.authority.iter().filter(|record| record.name_server().is_some());
    let mut owners = records.map(|record| record.owner.as_str());
    owners.find(|owner| apex.ends_with(&format!(".{owner}")) && is_deeper(owner, zone)).map(str::to_owned)
}

/// True if a name has more labels than a zone.
fn is_deeper(name: &str, zone: &str) -> bool {
    let labels = |name: &str| if name == "." { 0 } else { name.split('.').count() };
    labels(name) > labels(zone)
}

/// The addresses of the servers that a referral names: its glue, or those of their names.
async fn addresses(response: &ServerResponse, zone: &str, port: u16) -> Vec<SocketAddr> {
    let mut addresses: Vec<IpAddr> = response.additional.iter().filter_map(ServerRecord::address).collect();
    // IPv4 first: not every machine has a working route over IPv6.
    addresses.sort_by_key(IpAddr::is_ipv6);
    if addresses.is_empty() {
        let resolver = SystemResolver::new();
        let records = response.authority.iter().filter(|record| record.owner == zone);
        let named = records.filter_map(ServerRecord::name_server);
        for name in named.take(AT_ONCE) {
            addresses.extend(resolver.addresses(name).await.unwrap_or_default());
        }
    }
    addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect()
}
