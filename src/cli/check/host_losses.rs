//! The effect on the name of losing each single host: the name servers that are left. It reads no file and resolves no name.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use daymark_authoritative::Nameserver;
use daymark_config::PeerAddress;
use daymark_decision::{Family, HostName};

/// One address at which resolvers ask for the name.
struct ServerAddress {
    /// `None` if only DNS knows it.
    address: Option<IpAddr>,
    /// The host that has it; `None` if no host of the configuration has it.
    host: Option<HostName>,
}

/// The losses of all hosts, one after the other.
pub(super) struct HostLosses {
    losses: Vec<HostLoss>,
    /// The only address of a name server, if no host of the configuration has it.
    only: Option<String>,
    /// The number of addresses of name servers.
    total: usize,
}

/// The loss of one host.
struct HostLoss {
    host: HostName,
    /// The number of addresses of name servers that are left.
    left: usize,
    /// A family of which no address is left, though others are.
    lost_family: Option<Family>,
}

impl HostLosses {
    /// Compares the addresses of the name servers with those of the hosts.
    pub(super) fn new(servers: &[Nameserver], hosts: &BTreeMap<HostName, PeerAddress>) -> Self {
        let addresses: Vec<ServerAddress> = servers.iter().flat_map(|server| of_server(server, hosts)).collect();
        let only = match (servers, &addresses[..]) {
            ([server], [ServerAddress { address, host: None }]) => {
                Some(address.map_or(server.name.clone(), |address| address.to_string()))
            }
            _ => None,
        };
        let losses = hosts.keys().map(|host| HostLoss::new(host, &addresses)).collect();
        Self { losses, only, total: addresses.len() }
    }

    /// A warning for each loss that takes the name away from clients.
    pub(super) fn warnings(&self) -> Vec<String> {
        const MEND: &str = "a name server on each host is needed to survive that";
        let of_loss = |loss: &HostLoss| {
            let effect = match loss {
                HostLoss { left: 0, .. } => "leaves no name server: every client gets SERVFAIL".to_owned(),
                HostLoss { lost_family: Some(family), .. } => {
                    format!(
                        "leaves no name server over {family}: clients whose resolvers use only {family} get SERVFAIL"
                    )
                }
                HostLoss { .. } => return None,
            };
            Some(format!("losing {} {effect}; {MEND}", loss.host))
        };
        let only = self.only.as_ref().map(|only| {
            format!(
                "{only} is the only name server, and no host of `peers.members` has that address; unless it moves from host \
                 to host, losing the host behind it leaves no name server: every client gets SERVFAIL"
            )
        });
        self.losses.iter().filter_map(of_loss).chain(only).collect()
    }
}

impl HostLoss {
    fn new(host: &HostName, addresses: &[ServerAddress]) -> Self {
        let left: Vec<&ServerAddress> = addresses.iter().filter(|of| of.host.as_ref() != Some(host)).collect();
        let has = |of: &ServerAddress, family| of.address.is_some_and(|address| Family::of(address) == family);
        // Only DNS knows the families of the others.
        let has_unknown = left.iter().any(|of| of.address.is_none());
        let is_lost =
            |family: &Family| addresses.iter().any(|of| has(of, *family)) && !left.iter().any(|of| has(of, *family));
        let is_partly_lost = !left.is_empty() && !has_unknown;
        let lost_family = Family::ALL.into_iter().find(is_lost).filter(|_| is_partly_lost);
        Self { host: host.clone(), left: left.len(), lost_family }
    }
}

/// The addresses of a name server. One without addresses is behind a name, which may be that of a host.
fn of_server(server: &Nameserver, hosts: &BTreeMap<HostName, PeerAddress>) -> Vec<ServerAddress> {
    let by_name = |address: &PeerAddress| matches!(address, PeerAddress::Name { host, .. } if *host == server.name);
    let by_address = |address: &PeerAddress, ip: IpAddr| matches!(address, PeerAddress::Ip(at) if at.ip() == ip);
    let found = |is_it: &dyn Fn(&PeerAddress) -> bool| {
        hosts.iter().find(|(_, address)| is_it(address)).map(|(host, _)| host.clone())
    };
    let named = found(&by_name);
    if server.addresses.is_empty() {
        return vec![ServerAddress { address: None, host: named }];
    }
    let of_address = |&ip: &IpAddr| ServerAddress {
        address: Some(ip),
        host: found(&|address| by_address(address, ip)).or_else(|| named.clone()),
    };
    server.addresses.iter().map(of_address).collect()
}

impl fmt::Display for HostLosses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for HostLoss { host, left, .. } in &self.losses {
            let noun = if self.total == 1 { "address" } else { "addresses" };
            match left {
                0 => writeln!(f, "  without {host}: no name server is left")?,
                _ => writeln!(f, "  without {host}: {left} of {} {noun} of name servers left", self.total)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use daymark_decision::fixtures::host_name;

    use super::*;

    fn server(name: &str, addresses: &[&str]) -> Nameserver {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        Nameserver { name: name.to_owned(), addresses }
    }

    /// Three hosts; the name servers' view of losing each.
    fn losses(servers: &[Nameserver]) -> HostLosses {
        let ip = |address: &str| PeerAddress::Ip(format!("{address}:7946").parse().unwrap());
        let hosts = [
            (host_name("dns-1"), ip("192.0.2.11")),
            (host_name("dns-2"), ip("192.0.2.12")),
            (host_name("dns-3"), PeerAddress::Name { host: "dns-3.example.net".to_owned(), port: 7946 }),
        ];
        HostLosses::new(servers, &hosts.into())
    }

    #[test]
    fn the_loss_of_the_only_name_server_leaves_every_client_with_servfail() {
        let losses = losses(&[server("ns1.example.org", &["192.0.2.11"])]);
        assert_eq!(
            losses.warnings(),
            [
                "losing dns-1 leaves no name server: every client gets SERVFAIL; a name server on each host is needed to \
              survive that"
            ]
        );
        assert_eq!(
            losses.to_string(),
            "  without dns-1: no name server is left\n  without dns-2: 1 of 1 address of name servers left\n  without dns-3: 1 of 1 \
             address of name servers left\n"
        );
    }

    #[test]
    fn several_name_servers_on_one_host_are_lost_together() {
        let both = [server("ns1.example.org", &["192.0.2.12"]), server("ns2.example.org", &["192.0.2.12"])];
        let warnings = losses(&both).warnings();
        assert!(warnings.len() == 1 && warnings[0].starts_with("losing dns-2 leaves no name server: "), "{warnings:?}");
    }

    #[test]
    fn name_servers_on_two_hosts_survive_the_loss_of_each() {
        let by_address = [server("ns1.example.org", &["192.0.2.11"]), server("ns2.example.org", &["192.0.2.12"])];
        let by_name = [server("ns1.example.org", &["192.0.2.11"]), server("dns-3.example.net", &[])];
        let of_one_name = [server("ns1.example.org", &["192.0.2.11", "192.0.2.12"])];
        for servers in [&by_address[..], &by_name, &of_one_name] {
            let losses = losses(servers);
            assert_eq!(losses.warnings(), [""; 0]);
            assert!(
                losses.to_string().starts_with("  without dns-1: 1 of 2 addresses of name servers left\n"),
                "{losses}"
            );
        }
    }

    #[test]
    fn a_host_is_known_by_the_name_of_its_name_server() {
        let warnings = losses(&[server("dns-3.example.net", &[])]).warnings();
        assert!(warnings.len() == 1 && warnings[0].starts_with("losing dns-3 leaves no name server: "), "{warnings:?}");
    }

    #[test]
    fn a_family_that_is_on_one_host_alone_is_lost_with_it() {
        let servers = [server("ns1.example.org", &["192.0.2.11"]), server("ns2.example.org", &["2001:db8::12"])];
        let warnings = losses(&servers).warnings();
        let expected =
            "losing dns-1 leaves no name server over IPv4: clients whose resolvers use only IPv4 get SERVFAIL; ";
        assert!(warnings.len() == 1 && warnings[0].starts_with(expected), "{warnings:?}");
    }

    #[test]
    fn the_only_name_server_that_is_on_no_host_is_doubtful() {
        for (servers, only) in [
            ([server("ns1.example.org", &["192.0.2.53"])], "192.0.2.53"),
            ([server("ns1.example.org", &[])], "ns1.example.org"),
        ] {
            let warnings = losses(&servers).warnings();
            let expected = format!("{only} is the only name server, and no host of `peers.members` has that address; ");
            assert!(warnings.len() == 1 && warnings[0].starts_with(&expected), "{warnings:?}");
        }
    }
}
