//! The file descriptors of a running Daymark: those that it needs itself, and those that are left for TCP clients.
//!
//! The descriptors of Daymark itself are a reserve. TCP clients of DNS and of the admin API get the rest and no more, so probes
//! can always open sockets.

use std::fmt;
use std::thread;

use daymark_config::{AuthoritativeConfig, Config, Finding, PoolConfig};
use daymark_connections::ConnectionLimits;
use tracing::warn;

use crate::os::descriptors;
use crate::zones;

/// The limits of the open connections of one listener of the admin API. A client that only keeps connections open cannot keep
/// out another one, such as the kubelet that asks `/livez`.
pub const ADMIN_CONNECTIONS: ConnectionLimits = ConnectionLimits { all: 64, per_client: 16 };

/// Standard input, output and error, the event queues of the runtime, signals, the log, the service manager, the lock of the state,
/// and the connections of those that would take over.
const PROCESS: usize = 20;
/// Each socket of DNS has a clone while it is served, and one for a process that takes over.
const DNS_CLONES: usize = 3;
/// Each listener of the admin API has a clone for a process that takes over.
const ADMIN_CLONES: usize = 2;
/// The descriptor that stops the workers of DNS.
const STOP_SIGNAL: usize = 1;
/// The socket to the other hosts, its clone for a process that takes over, and four to resolve their names.
const GOSSIP: usize = 6;
/// The connections to a remote provider, and the sockets to resolve its name.
const REMOTE_PROVIDER: usize = 8;
/// The files of the state: each is written at most once at a time, into its directory.
const STATE_FILES: usize = 10;
/// The connections of a pool's discovery.
const DISCOVERY: usize = 2;
/// The room for discovered nodes that the configuration does not have: eight with two addresses.
const DISCOVERED_TARGETS: usize = 16;

/// The needs of a configuration.
#[derive(Clone, Copy, Debug)]
struct DescriptorNeeds {
    /// Those of Daymark itself.
    own: usize,
    /// The connections of DNS clients; `None` without a DNS server.
    dns: Option<ConnectionLimits>,
    /// The listeners of the admin API.
    admin_servers: usize,
}

/// The limits of the connections of TCP clients that leave Daymark its own descriptors.
#[derive(Clone, Copy, Debug)]
pub struct DescriptorBudget {
    needs: DescriptorNeeds,
    limit: usize,
    /// The limits of DNS clients; `None` without a DNS server.
    pub dns: Option<ConnectionLimits>,
    /// The limits of each listener of the admin API.
    pub admin: ConnectionLimits,
}

impl DescriptorBudget {
    /// The budget of this configuration in a process that may open this many descriptors.
    pub fn new(config: &Config, limit: usize) -> Self {
        DescriptorNeeds::of(config).within(limit)
    }

    /// The message that the limit is too low for the configuration; `None` if it is high enough.
    pub fn shortage(&self) -> Option<String> {
        (self.needs.total() > self.limit).then(|| self.to_string())
    }

    /// The same if there are not even enough for Daymark itself.
    pub fn own_shortage(&self) -> Option<String> {
        (self.needs.own > self.limit).then(|| self.to_string())
    }

    /// The shortage as a finding at its key.
    pub fn finding(&self, config: &Config) -> Option<Finding> {
        let key = zones::authoritative(config).map(|_| zones::key(config, "maxTcpConnections"));
        Some(config.finding(key.as_deref().unwrap_or("admin"), "", self.shortage()?))
    }
}

/// Logs a warning if the new configuration of a reload needs more descriptors for Daymark itself, and they may be too few now.
pub fn warn_after_reload(former: &Config, new: &Config) {
    let budget = DescriptorBudget::new(new, descriptors::hard_limit());
    if budget.needs.own > DescriptorNeeds::of(former).own
        && let Some(shortage) = budget.shortage()
    {
        warn!("{shortage}; until a restart more connections may be open");
    }
}

impl DescriptorNeeds {
    /// Counts the descriptors that a configuration needs.
    fn of(config: &Config) -> Self {
        let authoritative = zones::authoritative(config);
        let own = [
            PROCESS,
            authoritative.map_or(0, of_dns),
            config.peers.as_ref().map_or(0, |_| GOSSIP),
            config.providers.iter().filter(|provider| provider.is_remote()).count() * REMOTE_PROVIDER,
            config.state_dir.as_ref().map_or(0, |_| STATE_FILES),
            // Each file is read at most once at a time.
            config.files().len(),
            config.pools.iter().map(of_pool).sum(),
            admin_servers(config) * ADMIN_CLONES,
        ];
        let dns = authoritative.map(|authoritative| ConnectionLimits {
            all: authoritative.max_tcp_connections,
            per_client: authoritative.max_tcp_connections_per_client,
        });
        Self { own: own.iter().sum(), dns, admin_servers: admin_servers(config) }
    }

    fn total(&self) -> usize {
        self.own + self.of_dns_clients() + self.of_admin_clients()
    }

    fn of_dns_clients(&self) -> usize {
        self.dns.map_or(0, ConnectionLimits::descriptors)
    }

    fn of_admin_clients(&self) -> usize {
        ADMIN_CONNECTIONS.descriptors() * self.admin_servers
    }

    /// Shares what the limit leaves among the clients. A listener of the admin API gets a quarter, and what DNS does not need.
    fn within(self, limit: usize) -> DescriptorBudget {
        let available = limit.saturating_sub(self.own);
        let beside_dns = available.saturating_sub(self.of_dns_clients()) / self.admin_servers;
        let admin = ADMIN_CONNECTIONS.within_descriptors(beside_dns.max(available / 4));
        let beside_admin = available.saturating_sub(admin.descriptors() * self.admin_servers);
        let dns = self.dns.map(|dns| dns.within_descriptors(beside_admin));
        DescriptorBudget { needs: self, limit, dns, admin }
    }
}

/// The shortage, with its mend.
impl fmt::Display for DescriptorBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { needs, limit, dns, admin } = self;
        let total = needs.total();
        write!(
            f,
            "this process may open {limit} file descriptors and needs up to {total}, {} of them for itself: so at most ",
            needs.own
        )?;
        if let (Some(dns), Some(wanted)) = (dns, needs.dns) {
            write!(f, "{} TCP connections of DNS instead of {} and ", dns.all, wanted.all)?;
        }
        let wanted = ADMIN_CONNECTIONS;
        write!(f, "{} of the admin API instead of {} are open at once", admin.all, wanted.all)?;
        if needs.own > *limit {
            f.write_str(", and probes may fail")?;
        }
        write!(f, "; raise the limit to {total} (`LimitNOFILE=` in a unit, `ulimit -n` in a shell)")?;
        let beside_all_others = limit.saturating_sub(needs.own + needs.of_admin_clients());
        if let Some(wanted) = needs.dns
            && let fitting = wanted.within_descriptors(beside_all_others)
            && fitting.descriptors() <= beside_all_others
        {
            write!(f, ", or lower `maxTcpConnections` to {}", fitting.all)?;
        }
        Ok(())
    }
}

/// The sockets of the DNS server: at each address one by UDP for each worker, and one by TCP.
fn of_dns(authoritative: &AuthoritativeConfig) -> usize {
    let processors = || thread::available_parallelism().map_or(1, usize::from);
    let workers = authoritative.udp_workers.map_or_else(processors, usize::from);
    authoritative.listen.len() * (workers + 1) * DNS_CLONES + STOP_SIGNAL
}

/// The connections of the probes and the discovery of a pool. A target has one that is kept, one of the probe under way, and
/// those of the confirmations beside it.
fn of_pool(config: &PoolConfig) -> usize {
    let PoolConfig { pool, discovery, .. } = config;
    let configured: usize = pool.nodes.iter().map(|node| node.addresses.len()).sum();
    let has_discovery = usize::from(discovery.is_some());
    let confirmations = pool.thresholds.rise.max(pool.thresholds.fall).get();
    let of_target = usize::try_from(confirmations).unwrap_or(usize::MAX).saturating_add(2);
    (configured + has_discovery * DISCOVERED_TARGETS) * of_target + has_discovery * DISCOVERY
}

fn admin_servers(config: &Config) -> usize {
    1 + usize::from(config.admin.metrics_listen.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(own: usize, dns: usize, admin_servers: usize) -> DescriptorNeeds {
        DescriptorNeeds { own, dns: Some(ConnectionLimits { all: dns, per_client: 32 }), admin_servers }
    }

    #[test]
    fn a_limit_that_is_high_enough_lowers_nothing() {
        let budget = needs(48, 256, 1).within(400);
        assert_eq!((budget.shortage(), budget.dns, budget.admin), (None, budget.needs.dns, ADMIN_CONNECTIONS));
        assert_eq!(needs(48, 65_535, 2).within(usize::MAX).shortage(), None);
    }

    #[test]
    fn all_clients_together_leave_the_reserve_whatever_the_limit_is() {
        for admin_servers in [1, 2] {
            for limit in (58..500).chain([1024, 65_536]) {
                for dns in [1, 9, 64, 256, 65_535] {
                    let budget = needs(48, dns, admin_servers).within(limit);
                    let of_dns = budget.dns.unwrap().descriptors();
                    let used = of_dns + budget.admin.descriptors() * admin_servers;
                    assert!(used + 48 <= limit, "{limit} {dns}: {budget:?}");
                }
            }
        }
    }

    #[test]
    fn a_shortage_names_the_numbers_and_the_mend() {
        assert_eq!(
            needs(44, 256, 1).within(64).shortage().unwrap(),
            "this process may open 64 file descriptors and needs up to 396, 44 of them for itself: so at most 12 TCP \
             connections of DNS instead of 256 and 4 of the admin API instead of 64 are open at once; raise the limit to 396 \
             (`LimitNOFILE=` in a unit, `ulimit -n` in a shell)"
        );
        let message = needs(44, 9000, 1).within(1024).shortage().unwrap();
        assert!(message.ends_with("in a shell), or lower `maxTcpConnections` to 884"), "{message}");
        assert!(message.contains(" 884 TCP connections of DNS instead of 9000 and 64 of the admin API"), "{message}");
        let message = needs(80, 256, 1).within(64).shortage().unwrap();
        assert!(message.contains("are open at once, and probes may fail; raise"), "{message}");
    }

    #[test]
    fn without_a_dns_server_the_admin_api_has_what_is_left() {
        let budget = DescriptorNeeds { own: 44, dns: None, admin_servers: 1 }.within(64);
        assert_eq!((budget.dns, budget.admin.all), (None, 16));
        let message = budget.shortage().unwrap();
        assert!(
            message.contains("for itself: so at most 16 of the admin API instead of 64 are open at once"),
            "{message}"
        );
    }
}
