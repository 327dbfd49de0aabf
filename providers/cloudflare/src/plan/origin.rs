//! One origin of a Load Balancing pool: its name, its label, and the target that it belongs to.

use daymark_decision::Target;

use super::{DesiredTarget, EXISTS};
use crate::api::CloudflareOrigin;

/// The prefix of the name of every origin that Daymark creates.
const ORIGIN_PREFIX: &str = "daymark-";

/// The name of the origin that Daymark creates for a target. It contains the node, the family, and a number if the node has
/// `earlier` targets of the family.
pub(crate) fn name<'a>(target: &Target, earlier: impl Iterator<Item = &'a Target>) -> String {
    let is_like = |other: &&Target| other.node == target.node && other.address.is_ipv6() == target.address.is_ipv6();
    let family = if target.address.is_ipv6() { "ipv6" } else { "ipv4" };
    match earlier.filter(is_like).count() {
        0 => format!("{ORIGIN_PREFIX}{}-{family}", target.node),
        earlier => format!("{ORIGIN_PREFIX}{}-{family}-{}", target.node, earlier + 1),
    }
}

/// The name of a second origin that Daymark creates for a target if someone else keeps the usual one at another address.
pub(crate) fn name_beside(desired: &DesiredTarget) -> String {
    format!("{}-{}", desired.origin, desired.target.address.to_string().replace(['.', ':'], "-"))
}

/// Finds the target that an origin belongs to: by name first, and by address if no name matches.
///
/// An origin with the name of a node belongs to the node's target of the same address. If no address is the same, it belongs
/// to the target of the same family, or else to the first. That happens if nodes are probed at an inner address and reached
/// at an outer one.
pub(crate) fn target_of<'a>(origin: &CloudflareOrigin, targets: &'a [DesiredTarget]) -> Option<&'a DesiredTarget> {
    let address = origin.address().parse().ok();
    let has_address = |desired: &&DesiredTarget| Some(desired.target.address) == address;
    let is_of_family =
        |desired: &&DesiredTarget| address.is_some_and(|address| address.is_ipv6() == desired.target.address.is_ipv6());
    let of_node = || targets.iter().filter(|desired| desired.target.node.as_str() == origin.name());
    let created_for = targets.iter().find(|desired| desired.origin == origin.name());
    created_for
        .or_else(|| of_node().find(has_address))
        .or_else(|| of_node().find(is_of_family))
        .or_else(|| of_node().next())
        .or_else(|| targets.iter().find(has_address))
}

/// Returns true if Daymark has created an origin. Meaningful only in a pool of Daymark's own.
pub(crate) fn is_created(origin: &CloudflareOrigin) -> bool {
    origin.name().starts_with(ORIGIN_PREFIX)
}

/// The key of the entry that says if an origin exists.
pub(crate) fn existence_key(origin: &CloudflareOrigin) -> String {
    label(origin) + EXISTS
}

/// The label of an origin in messages.
pub(crate) fn label(origin: &CloudflareOrigin) -> String {
    format!("{} ({})", origin.name(), origin.address())
}

pub(crate) fn is_at(origin: &CloudflareOrigin, desired: &DesiredTarget) -> bool {
    origin.address().parse() == Ok(desired.target.address)
}
