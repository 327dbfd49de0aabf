//! The least rights that Daymark needs in a cluster: to read the objects that its configuration names, and nothing else.

use std::collections::BTreeSet;

use daymark_config::{Config, PoolConfig};
use serde_json::{Value, json};

use daymark_discovery::DiscoverySource;

/// The account that has the rights, and the names of the objects.
#[derive(Clone, Debug)]
pub struct Account {
    /// The name of the `ServiceAccount` and of every object that goes with it.
    pub name: String,
    /// The namespace of the `ServiceAccount`.
    pub namespace: String,
}

/// The rights that the configuration of the pools needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Needs {
    /// The paths that its probes ask for with credentials.
    paths: BTreeSet<String>,
    nodes: bool,
    endpoints: bool,
}

impl Needs {
    fn of(pools: &[PoolConfig]) -> Self {
        // The rights are on the path alone.
        let path = |config: &PoolConfig| config.probe.path.split('?').next().unwrap_or_default().to_owned();
        let with_credentials = pools.iter().filter(|config| config.probe.auth.is_some() || config.discovery.is_some());
        let sources: Vec<_> = pools.iter().filter_map(|config| Some(&config.discovery.as_ref()?.source)).collect();
        Self {
            paths: with_credentials.map(path).collect(),
            nodes: sources.iter().any(|source| matches!(source, DiscoverySource::Nodes { .. })),
            endpoints: sources.contains(&&DiscoverySource::Endpoints),
        }
    }
}

/// The objects that let the account read what this configuration needs; none if it asks anonymously.
pub fn rbac(config: &Config, account: &Account) -> Vec<Value> {
    let needs = Needs::of(&config.pools);
    if needs == Needs::default() {
        return Vec::new();
    }
    let Account { name, namespace } = account;
    let metadata = json!({"name": name, "namespace": namespace});
    let mut objects = vec![
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata, "automountServiceAccountToken": false}),
    ];
    let mut rules = Vec::new();
    if needs.nodes {
        rules.push(json!({"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}));
    }
    // What is open to everyone by default need not be where anonymous access is off.
    if !needs.paths.is_empty() {
        rules.push(json!({"nonResourceURLs": needs.paths, "verbs": ["get"]}));
    }
    // These two are the cluster's, and may be of several namespaces.
    objects.extend(granted("Cluster", &json!({"name": format!("{namespace}-{name}")}), &rules.into(), account));
    if needs.endpoints {
        let rule = json!([{"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list"]}]);
        let metadata = json!({"name": format!("{namespace}-{name}"), "namespace": "default"});
        objects.extend(granted("", &metadata, &rule, account));
    }
    objects
}

/// A token that does not end, for a Daymark outside the cluster.
pub fn token(account: &Account) -> Value {
    let Account { name, namespace } = account;
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": format!("{name}-token"),
            "namespace": namespace,
            "annotations": {"kubernetes.io/service-account.name": name},
        },
        "type": "kubernetes.io/service-account-token",
    })
}

/// A role of this scope with its rules, and what binds it to the account.
fn granted(scope: &str, metadata: &Value, rules: &Value, account: &Account) -> [Value; 2] {
    let group = "rbac.authorization.k8s.io";
    let kind = format!("{scope}Role");
    let version = format!("{group}/v1");
    let role = json!({"apiVersion": version, "kind": kind, "metadata": metadata, "rules": rules});
    let binding = json!({
        "apiVersion": version,
        "kind": format!("{kind}Binding"),
        "metadata": metadata,
        "roleRef": {"apiGroup": group, "kind": kind, "name": metadata["name"]},
        "subjects": [{"kind": "ServiceAccount", "name": account.name, "namespace": account.namespace}],
    });
    [role, binding]
}
