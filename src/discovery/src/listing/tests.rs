use daymark_decision::fixtures::assert_is_plain_message;
use serde_json::{Value, json};

use super::*;
use crate::settings::AddressType;

fn nodes_source() -> DiscoverySource {
    DiscoverySource::Nodes {
        selector: "node-role.kubernetes.io/control-plane".to_owned(),
        address_type: AddressType::Internal,
    }
}

fn node(name: &str, addresses: &[(&str, &str)]) -> Value {
    let addresses: Vec<Value> =
        addresses.iter().map(|(kind, address)| json!({"type": kind, "address": address})).collect();
    // What else a Node has is passed over.
    json!({"metadata": {"name": name, "uid": "1", "labels": {"a": "b"}}, "spec": {"podCIDR": "10.0.0.0/24"},
        "status": {"addresses": addresses, "images": [{"names": ["x"], "sizeBytes": 5}]}})
}

fn list(kind: &str, metadata: &Value, items: &[Value]) -> Value {
    json!({"kind": kind, "apiVersion": "v1", "metadata": metadata, "items": items})
}

fn read_nodes(body: &Value) -> Listing {
    read(&nodes_source(), StatusCode::OK, body.to_string().as_bytes(), 6443).unwrap()
}

fn shown(listing: &Listing) -> Vec<String> {
    listing.nodes.iter().map(|(node, addresses)| format!("{node} {addresses:?}")).collect()
}

#[test]
fn a_list_is_asked_for_without_a_version_and_with_a_bound() {
    let nodes = path(&nodes_source()).unwrap();
    assert_eq!(nodes, "/api/v1/nodes?&labelSelector=node-role.kubernetes.io%2Fcontrol-plane&limit=200");
    let slices = path(&DiscoverySource::Endpoints).unwrap();
    assert_eq!(
        slices,
        "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?&labelSelector=kubernetes.io%2Fservice-name%3Dkubernetes&\
         limit=200"
    );
}

#[test]
fn nodes_are_read_by_the_kind_of_address_that_is_wanted() {
    let external = ("ExternalIP", "198.51.100.1");
    let items = [
        node(
            "kube-cp-1",
            &[("Hostname", "kube-cp-1"), ("InternalIP", "::ffff:192.0.2.1"), ("InternalIP", "2001:db8::1"), external],
        ),
        node("kube-cp-2", &[("InternalIP", "192.0.2.2")]),
    ];
    let listing = read_nodes(&list("NodeList", &json!({"resourceVersion": "12"}), &items));
    assert_eq!(shown(&listing), ["kube-cp-1 {192.0.2.1, 2001:db8::1}", "kube-cp-2 {192.0.2.2}"]);
    assert_eq!((listing.gap, listing.remark), (None, None));
}

#[test]
fn a_node_without_an_address_yet_is_in_the_list_all_the_same() {
    let bare = json!({"metadata": {"name": "kube-cp-2"}});
    for second in
        [bare, node("kube-cp-2", &[("InternalIP", "::"), ("InternalIP", "none"), ("ExternalIP", "192.0.2.2")])]
    {
        let listing =
            read_nodes(&list("NodeList", &json!({}), &[node("kube-cp-1", &[("InternalIP", "192.0.2.1")]), second]));
        assert_eq!(shown(&listing), ["kube-cp-1 {192.0.2.1}", "kube-cp-2 {}"]);
        assert_eq!(listing.remark.as_deref(), Some("kube-cp-2 in the list without any InternalIP"));
    }
}

#[test]
fn a_list_of_which_something_is_left_is_cut_short() {
    for (metadata, gap) in [
        (json!({"continue": "abc"}), "the list is cut short, so no node leaves by it"),
        (
            json!({"continue": "abc", "remainingItemCount": 7}),
            "the list is cut short by 7 objects, so no node leaves by it",
        ),
        (json!({"shardInfo": {"selector": "x"}}), "the list is one part of several, so no node leaves by it"),
    ] {
        assert_eq!(read_nodes(&list("NodeList", &metadata, &[])).gap.as_deref(), Some(gap));
    }
    assert_eq!(read_nodes(&list("NodeList", &json!({"continue": "", "remainingItemCount": 0}), &[])).gap, None);
}

#[test]
fn endpoints_are_named_by_their_addresses_and_should_be_at_the_port_of_the_pool() {
    let slice = |port: u16, addresses: &[&str]| {
        let endpoint = |address: &&str| json!({"addresses": [address], "conditions": {"ready": false}});
        let endpoints: Vec<Value> = addresses.iter().map(endpoint).collect();
        json!({"metadata": {"name": "kubernetes"}, "addressType": "IPv4", "endpoints": endpoints, "ports": [{"name": "https", "port": port}]})
    };
    let items = [
        slice(6443, &["192.0.2.1", "192.0.2.2"]),
        slice(6443, &["2001:db8::1"]),
        json!({"endpoints": null, "ports": null}),
    ];
    let body = list("EndpointSliceList", &json!({}), &items).to_string();
    let read = |port| read(&DiscoverySource::Endpoints, StatusCode::OK, body.as_bytes(), port).unwrap();
    assert_eq!(shown(&read(6443)), ["192.0.2.1 {192.0.2.1}", "192.0.2.2 {192.0.2.2}", "2001:db8::1 {2001:db8::1}"]);
    assert_eq!(read(6443).remark, None);
    assert_eq!(read(443).remark.as_deref(), Some("the endpoints have port 6443, but the pool has port 443"));
}

#[test]
fn an_answer_that_is_no_list_is_reported_with_the_apiservers_own_words() {
    let status =
        json!({"kind": "Status", "status": "Failure", "message": "nodes is forbidden: \u{1b}[31m", "code": 403})
            .to_string();
    let fault = |code: u16, body: &str| {
        read(&nodes_source(), StatusCode::from_u16(code).unwrap(), body.as_bytes(), 6443).unwrap_err().to_string()
    };
    assert_eq!(
        fault(403, &status),
        "403: the list is forbidden; `daymark manifest rbac` prints what allows it (nodes is forbidden: \\u{1b}[31m)"
    );
    assert_eq!(fault(401, "no JSON"), "401: the apiserver does not accept the credentials under probe.auth");
    assert_eq!(fault(503, ""), "503: the apiserver gives no list");
    for body in ["", "{}", "[]", "<html>", r#"{"items": 5}"#, r#"{"items": [{}]}"#] {
        assert!(fault(200, body).starts_with("the answer is not a Kubernetes list"), "{body}");
    }
}

/// A sample of the variant after this one. A new variant does not compile until it has its place.
fn next_error(error: &ListError) -> Option<ListError> {
    let message = || "nodes is forbidden: User \"system:anonymous\" cannot list resource \"nodes\"".to_owned();
    Some(match error {
        ListError::Unauthorized(_) => ListError::Forbidden(message()),
        ListError::Forbidden(_) => ListError::Status { code: 503, message: message() },
        ListError::Status { .. } => ListError::Unreadable(serde_json::from_str::<ListedNode>("[{}]").err()?),
        ListError::Unreadable(_) => return None,
    })
}

#[test]
fn every_error_of_a_list_is_a_sentence() {
    let errors = std::iter::successors(Some(ListError::Unauthorized(String::new())), next_error);
    for error in errors {
        assert_is_plain_message(&error.to_string());
    }
}

#[test]
fn quotes_in_the_message_of_an_apiserver_stay_quotes() {
    let body = br#"{"kind": "Status", "message": "User \"a\" cannot list, it's \u202eforbidden"}"#;
    assert_eq!(message(body), "User \"a\" cannot list, it's \\u{202e}forbidden");
}
