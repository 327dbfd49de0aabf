//! The nodes of a cluster in the Kubernetes API: the list of Nodes, and the list of `EndpointSlice`s of the Service `kubernetes`.
//!
//! Lists support label selectors and pages like those of kube-apiserver.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use http::StatusCode;
use serde_json::{Value, json};

/// The state of one cluster. Clones share it, so several fakes can be apiservers of one cluster.
#[derive(Clone, Debug, Default)]
pub struct Cluster(Arc<Mutex<ClusterState>>);

#[derive(Debug, Default)]
struct ClusterState {
    nodes: Vec<ClusterNode>,
    endpoint_port: u16,
    endpoints: Vec<IpAddr>,
    max_page_items: Option<usize>,
    is_forbidden: bool,
    lists: u64,
}

/// A Node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterNode {
    /// The name.
    pub name: String,
    /// The labels. A label without a value has an empty value.
    pub labels: BTreeMap<String, String>,
    /// The addresses.
    pub addresses: Vec<NodeAddress>,
}

/// An address of a Node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeAddress {
    /// The type of the address, such as `InternalIP`.
    pub kind: String,
    /// The address.
    pub address: IpAddr,
}

impl ClusterNode {
    /// A control-plane node with one internal address.
    pub fn control_plane(name: &str, address: IpAddr) -> Self {
        let labels = [("node-role.kubernetes.io/control-plane".to_owned(), String::new())].into();
        Self { name: name.to_owned(), labels, addresses: vec![NodeAddress { kind: "InternalIP".to_owned(), address }] }
    }
}

impl Cluster {
    /// Replaces the Nodes.
    pub fn set_nodes(&self, nodes: Vec<ClusterNode>) {
        self.with(|state| state.nodes = nodes);
    }

    /// Replaces the endpoints of the Service `kubernetes`.
    pub fn set_endpoints(&self, port: u16, addresses: Vec<IpAddr>) {
        self.with(|state| {
            state.endpoint_port = port;
            state.endpoints = addresses;
        });
    }

    /// Limits the items of a page. The limit of a request can be lower.
    pub fn set_max_page_items(&self, max: Option<usize>) {
        self.with(|state| state.max_page_items = max);
    }

    /// Makes lists forbidden to everyone, or allowed.
    pub fn forbid(&self, is_forbidden: bool) {
        self.with(|state| state.is_forbidden = is_forbidden);
    }

    /// The number of pages of lists that were served.
    pub fn lists(&self) -> u64 {
        self.with(|state| state.lists)
    }

    fn with<T>(&self, change: impl FnOnce(&mut ClusterState) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The response to a request for a list. `None` if the path is not that of a list.
    pub(crate) fn list(&self, path: &str, query: &str) -> Option<ListResponse> {
        let query: BTreeMap<_, _> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let (kind, version) = match path {
            "/api/v1/nodes" => ("Node", "v1"),
            "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices" => ("EndpointSlice", "discovery.k8s.io/v1"),
            _ => return None,
        };
        Some(self.with(|state| {
            if state.is_forbidden {
                let message = format!("{kind} is forbidden: User \"system:anonymous\" cannot list resource");
                let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                    "message": message, "reason": "Forbidden", "code": 403});
                return ListResponse { status: StatusCode::FORBIDDEN, body: status };
            }
            state.lists += 1;
            let selector = query.get("labelSelector").map(String::as_str).unwrap_or_default();
            let items = if kind == "Node" { state.nodes(selector) } else { state.slices(selector) };
            let page = state.page(items, &query);
            let body = json!({"kind": format!("{kind}List"), "apiVersion": version, "metadata": page.metadata,
                "items": page.items});
            ListResponse { status: StatusCode::OK, body }
        }))
    }
}

/// The response to a request for a list.
pub(crate) struct ListResponse {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

/// One page of a list.
struct Page {
    metadata: Value,
    items: Vec<Value>,
}

impl ClusterState {
    fn nodes(&self, selector: &str) -> Vec<Value> {
        let item = |node: &ClusterNode| {
            let addresses: Vec<Value> = node
                .addresses
                .iter()
                .map(|of_type| json!({"type": of_type.kind, "address": of_type.address}))
                .collect();
            json!({"metadata": {"name": node.name, "labels": node.labels}, "spec": {}, "status": {"addresses": addresses}})
        };
        self.nodes.iter().filter(|node| is_selected(&node.labels, selector)).map(item).collect()
    }

    fn slices(&self, selector: &str) -> Vec<Value> {
        let labels = [("kubernetes.io/service-name".to_owned(), "kubernetes".to_owned())].into();
        if !is_selected(&labels, selector) {
            return Vec::new();
        }
        let mut slices = Vec::new();
        for family in ["IPv4", "IPv6"] {
            let addresses = self.endpoints.iter().filter(|address| address.is_ipv6() == (family == "IPv6"));
            let endpoints: Vec<Value> = addresses.map(|address| json!({"addresses": [address]})).collect();
            if !endpoints.is_empty() {
                slices.push(json!({
                    "metadata": {"name": "kubernetes", "labels": labels},
                    "addressType": family,
                    "endpoints": endpoints,
                    "ports": [{"name": "https", "protocol": "TCP", "port": self.endpoint_port}],
                }));
            }
        }
        slices
    }

    /// Cuts one page from a list. Like kube-apiserver, counts the remaining items only without a selector.
    fn page(&self, mut items: Vec<Value>, query: &BTreeMap<String, String>) -> Page {
        let number = |key: &str| query.get(key).and_then(|text| text.parse::<usize>().ok());
        let start = number("continue").unwrap_or_default().min(items.len());
        let limit = number("limit").unwrap_or(usize::MAX).min(self.max_page_items.unwrap_or(usize::MAX));
        let rest = items.split_off(start);
        let remaining = rest.len().saturating_sub(limit);
        let mut metadata = json!({"resourceVersion": "1"});
        if remaining > 0 {
            metadata["continue"] = json!((start + limit).to_string());
            if !query.contains_key("labelSelector") {
                metadata["remainingItemCount"] = json!(remaining);
            }
        }
        Page { metadata, items: rest.into_iter().take(limit).collect() }
    }
}

/// Returns `true` if labels match a selector. The selector consists of keys and equalities.
fn is_selected(labels: &BTreeMap<String, String>, selector: &str) -> bool {
    selector.split(',').filter(|part| !part.is_empty()).all(|part| match part.split_once('=') {
        Some((key, value)) => labels.get(key).is_some_and(|label| label == value.trim_start_matches('=')),
        None => labels.contains_key(part),
    })
}
