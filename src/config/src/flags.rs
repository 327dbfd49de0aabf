//! Turns flags into the tree of a file, or puts them into one, so that the same reader and the same rules check both.

use daymark_yaml::{YamlEntry, YamlNode, YamlValue};

/// The flags as the command line had them. `Config::from_flags` judges them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--pool NAME[:PORT]`.
    pub pool: String,
    /// `--node NAME=ADDRESS[,ADDRESS]`, repeated.
    pub nodes: Vec<String>,
    /// `--ca FILE`.
    pub ca: Option<String>,
    /// `--listen ADDRESS:PORT`, repeated: where DNS is served.
    pub listen: Vec<String>,
    /// `--nameserver NAME=ADDRESS[,ADDRESS]`, repeated.
    pub nameservers: Vec<String>,
    /// `--admin ADDRESS:PORT`.
    pub admin: Option<String>,
    /// `--state-dir DIRECTORY`.
    pub state_dir: Option<String>,
}

/// Puts `--self NAME` into the tree of a file, before what the file says. Without peers there is nothing to name.
pub(super) fn put_self(tree: &mut YamlNode, name: &str) {
    let YamlValue::Map(root) = &mut tree.value else { return };
    for peers in root.iter_mut().filter(|entry| entry.key == "peers") {
        if let YamlValue::Map(peers) = &mut peers.node.value {
            peers.retain(|entry| entry.key != "self");
            peers.push(YamlEntry::new("self", text("--self", name)));
        }
    }
}

/// The tree of a file that says the same.
pub(super) fn tree(flags: &Flags) -> YamlNode {
    let mut root = vec![YamlEntry::new("pools", list(vec![pool(flags)]))];
    if !flags.listen.is_empty() || !flags.nameservers.is_empty() {
        root.push(YamlEntry::new("providers", list(vec![provider(flags)])));
    }
    if let Some(listen) = &flags.admin {
        root.push(YamlEntry::new("admin", YamlNode::map(vec![YamlEntry::new("listen", text("--admin", listen))])));
    }
    if let Some(directory) = &flags.state_dir {
        root.push(YamlEntry::new("stateDir", text("--state-dir", directory)));
    }
    YamlNode::flag("the flags", YamlValue::Map(root))
}

fn pool(flags: &Flags) -> YamlNode {
    let (name, port) = match flags.pool.rsplit_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (flags.pool.as_str(), None),
    };
    let mut pool = vec![YamlEntry::new("name", text("--pool", name))];
    if let Some(port) = port {
        let number = port.parse::<i128>().map_or_else(|_| YamlValue::Text(port.to_owned()), YamlValue::Whole);
        pool.push(YamlEntry::new("port", YamlNode::flag("--pool (port)", number)));
    }
    pool.push(YamlEntry::new("nodes", YamlNode::flag("--node", named("--node", &flags.nodes))));
    if let Some(ca) = &flags.ca {
        pool.push(YamlEntry::new("probe", YamlNode::map(vec![YamlEntry::new("ca", text("--ca", ca))])));
    }
    YamlNode::flag("--pool", YamlValue::Map(pool))
}

fn provider(flags: &Flags) -> YamlNode {
    let mut provider = vec![
        YamlEntry::new("type", text("--nameserver", "authoritative")),
        YamlEntry::new("nameservers", YamlNode::flag("--nameserver", named("--nameserver", &flags.nameservers))),
    ];
    if !flags.listen.is_empty() {
        let listen = flags.listen.iter().map(|address| text("--listen", address)).collect();
        provider.push(YamlEntry::new("listen", YamlNode::flag("--listen", YamlValue::List(listen))));
    }
    YamlNode::flag("--nameserver", YamlValue::Map(provider))
}

/// A list of `NAME=ADDRESS[,ADDRESS]`. A name alone has no addresses, which the rules judge.
fn named(flag: &str, values: &[String]) -> YamlValue {
    let node = |value: &String| {
        let label = format!("{flag} {value}");
        let (name, addresses) = value.split_once('=').map_or((value.as_str(), None), |(name, rest)| (name, Some(rest)));
        let mut entries = vec![YamlEntry::new("name", text(&label, name))];
        if let Some(addresses) = addresses {
            let addresses = addresses.split(',').map(|address| text(&label, address)).collect();
            entries.push(YamlEntry::new("addresses", YamlNode::flag(label.clone(), YamlValue::List(addresses))));
        }
        YamlNode::flag(label, YamlValue::Map(entries))
    };
    YamlValue::List(values.iter().map(node).collect())
}

fn list(nodes: Vec<YamlNode>) -> YamlNode {
    YamlNode { value: YamlValue::List(nodes), position: None, label: None }
}

fn text(label: &str, value: &str) -> YamlNode {
    YamlNode::flag(label, YamlValue::Text(value.to_owned()))
}
