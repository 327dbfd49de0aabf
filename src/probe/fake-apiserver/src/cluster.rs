//! What the API of the cluster shows of its nodes: lists of Nodes and of the slices of the Service `kubernetes`, with
//! label selectors and pages as kube-apiserver has them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use http::StatusCode;
use serde_json::{Value, json};

/// The content of one cluster. Clones share it, so that several fakes are its apiservers.
#[derive(Clone, Debug, Default)]
pub struct Cluster(Arc<Mutex<Content>>);

#[derive(Debug, Default)]
struct Content {
    nodes: Vec<Node>,
    endpoints: (u16, Vec<IpAddr>),
    /// No page is longer.
    page: Option<usize>,
    is_forbidden: bool,
    lists: u64,
}

/// A Node, as far as it is of interest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its labels; one without a value has an empty one.
    pub labels: BTreeMap<String, String>,
    /// Its addresses with their types, such as `InternalIP`.
    pub addresses: Vec<(String, IpAddr)>,
}

impl Node {
    /// A node of the control plane, with one address inside the network.
    pub fn of_control_plane(name: &str, address: IpAddr) -> Self {
        let labels = [("node-role.kubernetes.io/control-plane".to_owned(), String::new())].into();
        Self { name: name.to_owned(), labels, addresses: vec![("InternalIP".to_owned(), address)] }
    }
}

impl Cluster {
    /// Has these Nodes from now on.
    pub fn set_nodes(&self, nodes: Vec<Node>) {
        self.with(|content| content.nodes = nodes);
    }

    /// The Service `kubernetes` has these endpoints from now on, at this port.
    pub fn set_endpoints(&self, port: u16, addresses: Vec<IpAddr>) {
        self.with(|content| content.endpoints = (port, addresses));
    }

    /// No page of a list has more items from now on, whatever limit is asked for.
    pub fn set_page(&self, most: Option<usize>) {
        self.with(|content| content.page = most);
    }

    /// Says whether lists are forbidden to everyone.
    pub fn forbid(&self, is_forbidden: bool) {
        self.with(|content| content.is_forbidden = is_forbidden);
    }

    /// How many lists were given.
    pub fn lists(&self) -> u64 {
        self.with(|content| content.lists)
    }

    fn with<T>(&self, change: impl FnOnce(&mut Content) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The answer to a request for a list, with its status; `None`: this path is none.
    pub(crate) fn list(&self, path: &str, query: &str) -> Option<(StatusCode, Value)> {
        let query: BTreeMap<_, _> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let (kind, version) = match path {
            "/api/v1/nodes" => ("Node", "v1"),
            "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices" => ("EndpointSlice", "discovery.k8s.io/v1"),
            _ => return None,
        };
        Some(self.with(|content| {
            if content.is_forbidden {
                let message = format!("{kind} is forbidden: User \"system:anonymous\" cannot list resource");
                let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                    "message": message, "reason": "Forbidden", "code": 403});
                return (StatusCode::FORBIDDEN, status);
            }
            content.lists += 1;
            let selector = query.get("labelSelector").map(String::as_str).unwrap_or_default();
            let items = if kind == "Node" { content.nodes(selector) } else { content.slices(selector) };
            let (metadata, page) = content.page(items, &query);
            (
                StatusCode::OK,
                json!({"kind": format!("{kind}List"), "apiVersion": version, "metadata": metadata, "items": page}),
            )
        }))
    }
}

impl Content {
    fn nodes(&self, selector: &str) -> Vec<Value> {
        let item = |node: &Node| {
            let addresses: Vec<Value> =
                node.addresses.iter().map(|(kind, address)| json!({"type": kind, "address": address})).collect();
            json!({"metadata": {"name": node.name, "labels": node.labels}, "spec": {}, "status": {"addresses": addresses}})
        };
        self.nodes.iter().filter(|node| is_selected(&node.labels, selector)).map(item).collect()
    }

    fn slices(&self, selector: &str) -> Vec<Value> {
        let labels = [("kubernetes.io/service-name".to_owned(), "kubernetes".to_owned())].into();
        let (port, addresses) = &self.endpoints;
        let slice = |(family, of_family): (&str, fn(&IpAddr) -> bool)| {
            let endpoints: Vec<Value> =
                addresses.iter().filter(|it| of_family(it)).map(|it| json!({"addresses": [it]})).collect();
            let ports = json!([{"name": "https", "protocol": "TCP", "port": port}]);
            let is_there = !endpoints.is_empty() && is_selected(&labels, selector);
            is_there.then(|| json!({"metadata": {"name": "kubernetes", "labels": labels}, "addressType": family, "endpoints": endpoints, "ports": ports}))
        };
        [("IPv4", IpAddr::is_ipv4 as fn(&IpAddr) -> bool), ("IPv6", IpAddr::is_ipv6)]
            .into_iter()
            .filter_map(slice)
            .collect()
    }

    /// One page, and the metadata of its list. What is left is counted only without a selector, as there.
    fn page(&self, mut items: Vec<Value>, query: &BTreeMap<String, String>) -> (Value, Vec<Value>) {
        let number = |key: &str| query.get(key).and_then(|text| text.parse::<usize>().ok());
        let begin = number("continue").unwrap_or_default().min(items.len());
        let limit = number("limit").unwrap_or(usize::MAX).min(self.page.unwrap_or(usize::MAX));
        let rest = items.split_off(begin);
        let left = rest.len().saturating_sub(limit);
        let mut metadata = json!({"resourceVersion": "1"});
        if left > 0 {
            metadata["continue"] = json!((begin + limit).to_string());
            if !query.contains_key("labelSelector") {
                metadata["remainingItemCount"] = json!(left);
            }
        }
        (metadata, rest.into_iter().take(limit).collect())
    }
}

/// Whether labels fit a selector of keys and equalities.
fn is_selected(labels: &BTreeMap<String, String>, selector: &str) -> bool {
    selector.split(',').filter(|part| !part.is_empty()).all(|part| match part.split_once('=') {
        Some((key, value)) => labels.get(key).is_some_and(|it| it == value.trim_start_matches('=')),
        None => labels.contains_key(part),
    })
}
