//! The address families of a pool: the nodes that have each, and those that lack it.

use daymark_decision::{Family, Node};

/// The nodes of a pool that have an address of a family, and those that have none. Each is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FamilyNodes {
    /// The family.
    pub family: Family,
    /// The nodes with an address of it.
    pub with: Vec<String>,
    /// The nodes without one.
    pub without: Vec<String>,
}

/// The families of these nodes. A pool with a single family has nothing to compare, and gives none.
pub(crate) fn families(nodes: &[Node]) -> Vec<FamilyNodes> {
    let of_family = |family| {
        let has = |node: &&Node| node.addresses.iter().any(|address| Family::of(*address) == family);
        let (with, without): (Vec<_>, Vec<_>) = nodes.iter().partition(has);
        let names = |nodes: Vec<&Node>| nodes.iter().map(|node| node.name.to_string()).collect();
        FamilyNodes { family, with: names(with), without: names(without) }
    };
    let families = Family::ALL.map(of_family);
    if families.iter().any(|family| family.with.is_empty()) { Vec::new() } else { families.into() }
}

impl FamilyNodes {
    /// The number of the nodes that have it, such as `IPv6 on 1 of 3 nodes`.
    pub fn count(&self) -> String {
        let Self { family, with, without } = self;
        format!("{family} on {} of {} nodes", with.len(), with.len() + without.len())
    }

    /// The warning that some nodes lack it.
    pub fn warning(&self) -> Option<String> {
        let Self { family, with, without } = self;
        if let [only] = &with[..]
            && !without.is_empty()
        {
            return Some(format!(
                "only {only} has an {family} address, so no {family} address is usable while it is down; give the \
                 other nodes one, or none to {only}"
            ));
        }
        let verb = if without.len() == 1 { "has" } else { "have" };
        (!without.is_empty()).then(|| {
            format!(
                "{} {verb} no {family} address, so clients that use only {family} never reach {}; give each node an address of \
                 both families",
                without.join(", "),
                if without.len() == 1 { "it" } else { "them" }
            )
        })
    }
}
