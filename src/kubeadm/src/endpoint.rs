//! `controlPlaneEndpoint`: the name and the port that every client of the cluster uses.

use std::net::Ipv6Addr;

use daymark_decision::PoolName;

use super::cluster::{ClusterConfiguration, InitConfiguration};
use super::expected::ExpectedCluster;
use super::slip::{Slip, SlipKind};

/// The port of an apiserver without `bindPort` (`DefaultAPIBindPort` in kubernetes/kubernetes
/// `cmd/kubeadm/app/apis/kubeadm/v1beta4/defaults.go`).
pub(crate) const DEFAULT_PORT: u16 = 6443;

/// The endpoint of a file, as the name and the port of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlPlaneEndpoint {
    /// The name.
    pub name: PoolName,
    /// The port. Without one in the endpoint, kubeadm takes the `bindPort`.
    pub port: u16,
}

impl ControlPlaneEndpoint {
    /// The name and the port; `None` if the endpoint is missing or no name.
    pub(crate) fn of(cluster: &ClusterConfiguration, init: Option<&InitConfiguration>) -> Option<Self> {
        let parts = EndpointParts::of(&cluster.control_plane_endpoint.as_ref()?.value).ok()?;
        Some(Self { name: PoolName::new(parts.host).ok()?, port: parts.port.unwrap_or_else(|| bind_port(init)) })
    }
}

/// The slips of an endpoint by itself.
pub(crate) fn check(cluster: &ClusterConfiguration) -> Option<Slip> {
    let Some(endpoint) = &cluster.control_plane_endpoint else {
        return Some(Slip::new(cluster.position, SlipKind::NoEndpoint));
    };
    let kind = match EndpointParts::of(&endpoint.value) {
        Ok(parts) => parts.fault()?,
        Err(kind) => kind,
    };
    Some(Slip::new(endpoint.position, kind))
}

/// The differences between the endpoint of a file and that of the pool.
pub(crate) fn compare(
    cluster: &ClusterConfiguration,
    init: Option<&InitConfiguration>,
    expected: &ExpectedCluster,
) -> Vec<Slip> {
    let Some(endpoint) = &cluster.control_plane_endpoint else { return Vec::new() };
    let Ok(parts) = EndpointParts::of(&endpoint.value) else { return Vec::new() };
    parts.differences(expected, bind_port(init)).map(|kind| Slip::new(endpoint.position, kind)).collect()
}

/// The difference between the port of the first apiserver and that of the pool.
pub(crate) fn compare_bind_port(init: &InitConfiguration, expected: &ExpectedCluster) -> Option<Slip> {
    let port = init.bind_port.as_ref().filter(|port| port.value != expected.port)?;
    Some(Slip::new(port.position, SlipKind::BindPort { port: port.value, expected: expected.port }))
}

/// The host is the name of the pool, so kubeadm adds the name to the certificates of the apiservers (`GetAPIServerAltNames` in
/// kubernetes/kubernetes `cmd/kubeadm/app/util/pkiutil/pki_helpers.go`).
pub(crate) fn names(cluster: &ClusterConfiguration, name: &PoolName) -> bool {
    let parts = cluster.control_plane_endpoint.as_ref().and_then(|endpoint| EndpointParts::of(&endpoint.value).ok());
    parts.and_then(|parts| PoolName::new(parts.host).ok()).is_some_and(|host| host == *name)
}

fn bind_port(init: Option<&InitConfiguration>) -> u16 {
    init.and_then(|init| init.bind_port.as_ref()).map_or(DEFAULT_PORT, |port| port.value)
}

/// An endpoint in its parts.
#[derive(Debug, PartialEq, Eq)]
struct EndpointParts<'t> {
    host: &'t str,
    port: Option<u16>,
}

impl<'t> EndpointParts<'t> {
    fn of(text: &'t str) -> Result<Self, SlipKind> {
        if text.parse::<Ipv6Addr>().is_ok() {
            return Ok(Self { host: text, port: None });
        }
        let split = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => return Ok(Self { host, port: None }),
            Some((host, rest)) => rest.strip_prefix(':').map(|port| (host, port)),
            None if !text.contains(':') => return Ok(Self { host: text, port: None }),
            None => text.rsplit_once(':'),
        };
        let parts =
            split.and_then(|(host, port)| Some(Self { host, port: Some(port.parse().ok().filter(|port| *port > 0)?) }));
        parts.ok_or_else(|| SlipKind::EndpointNotAPort { text: text.to_owned() })
    }

    fn fault(&self) -> Option<SlipKind> {
        if let Ok(address) = self.host.parse() {
            return Some(SlipKind::EndpointIsAddress { address });
        }
        match PoolName::new(self.host) {
            Ok(name) => {
                (!name.as_str().contains('.')).then(|| SlipKind::EndpointSingleLabel { name: name.as_str().to_owned() })
            }
            Err(_) if self.is_name_with_underscores() => {
                Some(SlipKind::EndpointUnderscore { name: self.host.to_owned() })
            }
            Err(error) => Some(SlipKind::EndpointNotAName { fault: error.fault, allowed: error.allowed }),
        }
    }

    fn differences(&self, expected: &ExpectedCluster, bind_port: u16) -> impl Iterator<Item = SlipKind> + use<> {
        // An underscore is reported already; without it the name may be the right one.
        let meant = PoolName::new(&self.host.replace('_', "-")).ok();
        let name = meant.filter(|meant| *meant != expected.name).map(|_| SlipKind::EndpointOtherName {
            name: self.host.to_owned(),
            expected: expected.name.as_str().to_owned(),
        });
        let port = self.port.unwrap_or(bind_port);
        let port = (port != expected.port).then(|| SlipKind::EndpointOtherPort {
            name: expected.name.as_str().to_owned(),
            port,
            is_default: self.port.is_none(),
            expected: expected.port,
        });
        name.into_iter().chain(port)
    }

    fn is_name_with_underscores(&self) -> bool {
        self.host.contains('_') && PoolName::new(&self.host.replace('_', "-")).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_host_and_perhaps_a_port() {
        for (text, host, port) in [
            ("api.example.com:6443", "api.example.com", Some(6443)),
            ("api.example.com", "api.example.com", None),
            ("192.0.2.1:443", "192.0.2.1", Some(443)),
            ("[2001:db8::1]:443", "2001:db8::1", Some(443)),
            ("[2001:db8::1]", "2001:db8::1", None),
            ("2001:db8::1", "2001:db8::1", None),
        ] {
            assert_eq!(EndpointParts::of(text), Ok(EndpointParts { host, port }), "{text}");
        }
    }

    #[test]
    fn a_port_is_from_1_to_65535() {
        for text in ["a:0", "a:65536", "a:", "a:b", "[::1]x"] {
            assert_eq!(EndpointParts::of(text), Err(SlipKind::EndpointNotAPort { text: text.to_owned() }));
        }
    }
}
