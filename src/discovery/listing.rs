//! What is asked of the Kubernetes API, and what its answer says. It knows no connection.
//!
//! A list is asked for without a `resourceVersion`, so that the apiserver answers by a quorum of etcd: it is as new as the
//! question. It is complete where nothing of it is left for another page.

use std::collections::BTreeSet;
use std::net::IpAddr;

use daymark_decision::NodeName;
use http::StatusCode;
use kube_core::metadata::ListMeta;
use kube_core::params::ListParams;
use kube_core::{ObjectList, Request, Status};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::roster::{self, Listing, Nodes};
use super::settings::Source;

/// So many objects fit on the only page that is asked for; it bounds what an apiserver is made to send.
const PAGE: u32 = 200;
/// The longest message of an apiserver that is told, in characters.
const LONGEST: usize = 200;
/// By it the slices of a Service are known (`discovery/v1/well_known_labels.go`).
const OF_KUBERNETES: &str = "kubernetes.io/service-name=kubernetes";

/// Why an answer is no list.
#[derive(Debug, thiserror::Error)]
pub enum NoList {
    /// The credentials are not known there.
    #[error("401: the apiserver does not take the credentials under probe.auth{}", told(.0))]
    Unauthorized(String),
    /// The credentials do not suffice.
    #[error("403: the list is forbidden; `daymark manifest rbac` prints what allows it{}", told(.0))]
    Forbidden(String),
    /// Any other status but 200.
    #[error("{code}: no list{}", told(.message))]
    Status {
        /// The status.
        code: u16,
        /// What the apiserver says to it; may be empty.
        message: String,
    },
    /// It cannot be read.
    #[error("the answer is no list of Kubernetes")]
    Unreadable(#[source] serde_json::Error),
}

fn told(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(" ({message})") }
}

#[derive(Clone, Deserialize)]
struct Node {
    metadata: Meta,
    #[serde(default)]
    status: NodeStatus,
}

/// What of the metadata matters: the whole type would cost more room in the binary than all of this.
#[derive(Clone, Deserialize)]
struct Meta {
    name: String,
}

#[derive(Clone, Default, Deserialize)]
struct NodeStatus {
    addresses: Option<Vec<NodeAddress>>,
}

#[derive(Clone, Deserialize)]
struct NodeAddress {
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

/// The path and query to ask for.
pub fn path(source: &Source) -> Result<String, kube_core::request::Error> {
    let (path, selector) = match source {
        Source::Nodes { selector, .. } => ("/api/v1/nodes", selector.as_str()),
        Source::Endpoints => ("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", OF_KUBERNETES),
    };
    let parameters = ListParams::default().labels(selector).limit(PAGE);
    Ok(Request::new(path).list(&parameters)?.uri().to_string())
}

/// Reads an answer. `port` is that of the pool, which the endpoints should have.
pub fn read(source: &Source, status: StatusCode, body: &[u8], port: u16) -> Result<Listing, NoList> {
    match status {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED => return Err(NoList::Unauthorized(message(body))),
        StatusCode::FORBIDDEN => return Err(NoList::Forbidden(message(body))),
        other => return Err(NoList::Status { code: other.as_u16(), message: message(body) }),
    }
    match source {
        Source::Nodes { address_type, .. } => {
            let list = list::<Node>(body)?;
            let of_type = |it: &&NodeAddress| it.kind == address_type.as_str();
            let addresses = |node: &Node| {
                let all = node.status.addresses.iter().flatten().filter(of_type);
                all.filter_map(|it| address(&it.address)).collect::<BTreeSet<_>>()
            };
            let named = list.items.iter().filter(|node| roster::is_name(&node.metadata.name));
            let nodes = named.map(|node| (NodeName::new(&node.metadata.name), addresses(node))).collect();
            Ok(Listing { remark: without_addresses(&nodes, address_type.as_str()), gap: gap(&list.metadata), nodes })
        }
        Source::Endpoints => {
            let list = list::<EndpointSlice>(body)?;
            let endpoints = list.items.iter().flat_map(|slice| slice.endpoints.iter().flatten());
            let addresses = endpoints.flat_map(|endpoint| &endpoint.addresses).filter_map(|text| address(text));
            let nodes = addresses.map(|it| (NodeName::new(&it.to_string()), [it].into())).collect();
            Ok(Listing { nodes, gap: gap(&list.metadata), remark: other_port(&list.items, port) })
        }
    }
}

fn list<T: DeserializeOwned + Clone>(body: &[u8]) -> Result<ObjectList<T>, NoList> {
    serde_json::from_slice(body).map_err(NoList::Unreadable)
}

fn gap(list: &ListMeta) -> Option<String> {
    let more = list.remaining_item_count.filter(|count| *count > 0);
    let is_cut = more.is_some() || list.continue_.as_ref().is_some_and(|token| !token.is_empty());
    let count = more.map(|count| format!(", and {count} more there are")).unwrap_or_default();
    if is_cut {
        return Some(format!("the list is cut short{count}, so no node leaves by it"));
    }
    list.shard_info.is_some().then(|| "the list is a part of several, so no node leaves by it".to_owned())
}

fn without_addresses(nodes: &Nodes, kind: &str) -> Option<String> {
    let without = nodes.iter().filter(|(_, addresses)| addresses.is_empty()).map(|(node, _)| node.as_str());
    let without: Vec<&str> = without.collect();
    (!without.is_empty()).then(|| format!("{} in the list without any {kind}", short(&without.join(" "))))
}

fn other_port(slices: &[EndpointSlice], port: u16) -> Option<String> {
    let ports = slices.iter().flat_map(|slice| slice.ports.iter().flatten()).filter_map(|it| it.port);
    let other = ports.clone().find(|it| *it != port).filter(|_| !ports.clone().any(|it| it == port));
    other.map(|other| format!("the endpoints are at port {other}, and the pool's is {port}"))
}

fn address(text: &str) -> Option<IpAddr> {
    let address = text.parse::<IpAddr>().ok()?.to_canonical();
    roster::is_machine(address).then_some(address)
}

/// What the apiserver says besides the status: its word goes to logs and terminals.
fn message(body: &[u8]) -> String {
    let status: Option<Status> = serde_json::from_slice(body).ok();
    status.map(|status| short(&status.message)).unwrap_or_default()
}

fn short(text: &str) -> String {
    text.chars().take(LONGEST).collect::<String>().escape_debug().to_string()
}

#[cfg(test)]
mod tests;
