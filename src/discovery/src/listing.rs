//! Lists of nodes: the request to the Kubernetes API, and the parsing of its answer. It knows no connection.
//!
//! The request is without a `resourceVersion`, so that the apiserver reads from a quorum of etcd: the list is as new as the
//! request. A list is complete if nothing is left for another page.

use std::collections::BTreeSet;
use std::net::IpAddr;

use daymark_decision::{NodeName, escaped};
use http::StatusCode;
use kube_core::metadata::ListMeta;
use kube_core::params::ListParams;
use kube_core::{ObjectList, Request, Status};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::rules::{self, Listing, Nodes};
use crate::settings::DiscoverySource;

/// The most objects on the one page that is requested, which bounds the work of the apiserver.
const PAGE_SIZE: u32 = 200;
/// The most characters of an apiserver's message that are shown.
const MAX_MESSAGE_CHARS: usize = 200;
/// The label selector for the slices of the Service (`discovery/v1/well_known_labels.go`).
const OF_KUBERNETES: &str = "kubernetes.io/service-name=kubernetes";

/// An answer that is no list.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListError {
    /// The credentials are unknown there.
    #[error("401: the apiserver does not accept the credentials under probe.auth{}", in_brackets(.0))]
    Unauthorized(String),
    /// The credentials do not suffice.
    #[error("403: the list is forbidden; `daymark manifest rbac` prints what allows it{}", in_brackets(.0))]
    Forbidden(String),
    /// Any other status but 200.
    #[error("{code}: the apiserver gives no list{}", in_brackets(.message))]
    Status {
        /// The status.
        code: u16,
        /// The message of the apiserver; may be empty.
        message: String,
    },
    /// It cannot be parsed.
    #[error("the answer is not a Kubernetes list: {0}")]
    Unreadable(serde_json::Error),
}

fn in_brackets(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(" ({message})") }
}

#[derive(Clone, Deserialize)]
struct ListedNode {
    metadata: Meta,
    #[serde(default)]
    status: NodeStatus,
}

/// The metadata that is needed. The whole type would take more room in the binary than all of this.
#[derive(Clone, Deserialize)]
struct Meta {
    name: String,
}

#[derive(Clone, Default, Deserialize)]
struct NodeStatus {
    addresses: Option<Vec<ListedAddress>>,
}

#[derive(Clone, Deserialize)]
struct ListedAddress {
    #[serde(rename = "type")]
    kind: String,
    address: String,
}

#[derive(Clone, Deserialize)]
struct EndpointSlice {
    endpoints: Option<Vec<Endpoint>>,
    ports: Option<Vec<EndpointPort>>,
}

#[derive(Clone, Deserialize)]
struct Endpoint {
    addresses: Vec<String>,
}

#[derive(Clone, Deserialize)]
struct EndpointPort {
    port: Option<u16>,
}

/// The path and query of the request.
pub(crate) fn path(source: &DiscoverySource) -> Result<String, kube_core::request::Error> {
    let (path, selector) = match source {
        DiscoverySource::Nodes { selector, .. } => ("/api/v1/nodes", selector.as_str()),
        DiscoverySource::Endpoints => ("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", OF_KUBERNETES),
    };
    let parameters = ListParams::default().labels(selector).limit(PAGE_SIZE);
    Ok(Request::new(path).list(&parameters)?.uri().to_string())
}

/// Parses an answer. `port` is that of the pool, which the endpoints should have.
pub(crate) fn read(source: &DiscoverySource, status: StatusCode, body: &[u8], port: u16) -> Result<Listing, ListError> {
    match status {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED => return Err(ListError::Unauthorized(message(body))),
        StatusCode::FORBIDDEN => return Err(ListError::Forbidden(message(body))),
        other => return Err(ListError::Status { code: other.as_u16(), message: message(body) }),
    }
    match source {
        DiscoverySource::Nodes { address_type, .. } => {
            let list = list::<ListedNode>(body)?;
            let is_of_type = |address: &&ListedAddress| address.kind == address_type.as_str();
            let addresses = |node: &ListedNode| {
                let all = node.status.addresses.iter().flatten().filter(is_of_type);
                all.filter_map(|listed| address(&listed.address)).collect::<BTreeSet<_>>()
            };
            let named = |node: &ListedNode| Some((NodeName::new(&node.metadata.name).ok()?, addresses(node)));
            let nodes = list.items.iter().filter_map(named).collect();
            Ok(Listing { remark: without_addresses(&nodes, address_type.as_str()), gap: gap(&list.metadata), nodes })
        }
        DiscoverySource::Endpoints => {
            let list = list::<EndpointSlice>(body)?;
            let endpoints = list.items.iter().flat_map(|slice| slice.endpoints.iter().flatten());
            let addresses = endpoints.flat_map(|endpoint| &endpoint.addresses).filter_map(|text| address(text));
            let nodes = addresses.map(|address| (NodeName::from(address), [address].into())).collect();
            Ok(Listing { nodes, gap: gap(&list.metadata), remark: other_port(&list.items, port) })
        }
    }
}

fn list<T: DeserializeOwned + Clone>(body: &[u8]) -> Result<ObjectList<T>, ListError> {
    serde_json::from_slice(body).map_err(ListError::Unreadable)
}

fn gap(list: &ListMeta) -> Option<String> {
    let more = list.remaining_item_count.filter(|count| *count > 0);
    let is_cut = more.is_some() || list.continue_.as_ref().is_some_and(|token| !token.is_empty());
    let count = more.map(|count| format!(" by {count} objects")).unwrap_or_default();
    if is_cut {
        return Some(format!("the list is cut short{count}, so no node leaves by it"));
    }
    list.shard_info.is_some().then(|| "the list is one part of several, so no node leaves by it".to_owned())
}

fn without_addresses(nodes: &Nodes, kind: &str) -> Option<String> {
    let without = nodes.iter().filter(|(_, addresses)| addresses.is_empty()).map(|(node, _)| node.as_str());
    let without: Vec<&str> = without.collect();
    (!without.is_empty()).then(|| format!("{} in the list without any {kind}", short(&without.join(" "))))
}

fn other_port(slices: &[EndpointSlice], port: u16) -> Option<String> {
    let ports = slices.iter().flat_map(|slice| slice.ports.iter().flatten()).filter_map(|port| port.port);
    let other = ports.clone().find(|other| *other != port).filter(|_| !ports.clone().any(|other| other == port));
    other.map(|other| format!("the endpoints have port {other}, but the pool has port {port}"))
}

fn address(text: &str) -> Option<IpAddr> {
    let address = text.parse::<IpAddr>().ok()?.to_canonical();
    rules::is_machine(address).then_some(address)
}

/// The message of the apiserver, made fit for logs and terminals.
fn message(body: &[u8]) -> String {
    let status: Option<Status> = serde_json::from_slice(body).ok();
    status.map(|status| short(&status.message)).unwrap_or_default()
}

fn short(text: &str) -> String {
    escaped(&text.chars().take(MAX_MESSAGE_CHARS).collect::<String>())
}

#[cfg(test)]
mod tests;
