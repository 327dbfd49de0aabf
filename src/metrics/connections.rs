//! The metrics of the TCP connections of clients.

use std::sync::atomic::Ordering;

use daymark_connections::{ConnectionCounts, Connections};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// A server of TCP clients, and its connections.
#[derive(Clone, Debug)]
pub struct ConnectionServer {
    /// The server: `dns`, `admin`, or `metrics`, which serves the metrics alone.
    pub name: &'static str,
    /// Its connections.
    pub connections: Connections,
}

/// The metrics of connections, by server.
#[derive(Clone, Default)]
pub(super) struct ConnectionMetrics {
    open: Family<ServerLabels, Gauge>,
    evicted: Family<EvictionLabels, Counter>,
    accept_failures: Family<ServerLabels, Counter>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ServerLabels {
    server: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct EvictionLabels {
    server: &'static str,
    limit: &'static str,
}

impl ConnectionMetrics {
    pub(super) fn register(&self, all: &mut Registry) {
        all.register("tcp_connections_open", "Open TCP connections of clients, by server", self.open.clone());
        all.register(
            "tcp_connections_evicted",
            "TCP connections that were closed for new ones, by server and limit: all or perClient",
            self.evicted.clone(),
        );
        all.register(
            "tcp_accept_failures",
            "Failures to accept a TCP connection, by server",
            self.accept_failures.clone(),
        );
    }

    pub(super) fn fill(&self, servers: &[ConnectionServer]) {
        for ConnectionServer { name: server, connections } in servers {
            let ConnectionCounts { open, evicted_by_limit, evicted_by_client_limit, accept_failures } =
                connections.counts();
            let of = ServerLabels { server };
            self.open.get_or_create(&of).set(i64::try_from(open).unwrap_or(i64::MAX));
            self.accept_failures.get_or_create(&of).inner().store(accept_failures, Ordering::Relaxed);
            for (limit, count) in [("all", evicted_by_limit), ("perClient", evicted_by_client_limit)] {
                let of = EvictionLabels { server, limit };
                self.evicted.get_or_create(&of).inner().store(count, Ordering::Relaxed);
            }
        }
    }
}
