//! Recognises the files of other programs that are given as a configuration by a slip. It knows no key of Daymark.

use daymark_decision::shortened;

use daymark_yaml::{YamlNode, YamlValue};

/// The type of a Kubernetes object (`TypeMeta` of k8s.io/apimachinery).
struct ObjectType {
    api_version: String,
    kind: String,
}

/// The message that names the file of another program; `None` for a file that may be a configuration.
///
/// `tree` is `None` if the text is not one YAML document: files of kubeadm often have several.
pub(super) fn recognised(text: &str, tree: Option<&YamlNode>) -> Option<String> {
    let ObjectType { api_version, kind } = tree.map_or_else(|| of_lines(text), of_tree)?;
    let kind = shortened(&kind);
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    Some(match (group, kind.as_str()) {
        ("kubeadm.k8s.io", _) => format!(
            "is a {kind} of kubeadm, and no configuration of Daymark; a file with `pools` is needed, in which \
             the name of kubeadm's `controlPlaneEndpoint` is the `name` of a pool, and its port the `port`"
        ),
        ("", "Config") => {
            "is a kubeconfig, and no configuration of Daymark; a file with `pools` is needed, in which the \
                           name in the kubeconfig's `server` is the `name` of a pool, and its port the `port`"
                .to_owned()
        }
        _ => format!(
            "is a Kubernetes manifest of the kind {kind}, and no configuration of Daymark; a file with `pools` is needed"
        ),
    })
}

/// The type by the two keys at the top of a tree.
fn of_tree(tree: &YamlNode) -> Option<ObjectType> {
    let YamlValue::Map(entries) = &tree.value else { return None };
    let text = |key: &str| {
        entries.iter().find(|entry| entry.key == key).and_then(|entry| match &entry.node.value {
            YamlValue::Text(text) => Some(text.clone()),
            _ => None,
        })
    };
    Some(ObjectType { api_version: text("apiVersion")?, kind: text("kind")? })
}

/// The type by the first lines of both keys that are not indented.
fn of_lines(text: &str) -> Option<ObjectType> {
    let value = |key: &str| {
        let mut values = text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
        values.next().map(|value| value.trim().trim_matches(['"', '\'']).to_owned())
    };
    Some(ObjectType { api_version: value("apiVersion")?, kind: value("kind")? })
}
