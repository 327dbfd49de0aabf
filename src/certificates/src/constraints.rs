//! Name constraints: the names for which a CA may issue (RFC 5280, section 4.2.1.10).

use x509_parser::extensions::{self, GeneralName, GeneralSubtree};

use crate::names::AlternativeName;

/// The names for which a CA may issue. Without any of a type, it may issue for all names of the type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NameConstraints {
    permitted: Vec<AlternativeName>,
    excluded: Vec<AlternativeName>,
    /// True if they constrain names of a type that is not compared.
    pub(crate) is_incomplete: bool,
}

impl NameConstraints {
    /// `None` if a constraint is malformed.
    pub(crate) fn of(constraints: &extensions::NameConstraints<'_>) -> Option<Self> {
        let mut of = Self::default();
        of.permitted = of.read(constraints.permitted_subtrees.as_deref())?;
        of.excluded = of.read(constraints.excluded_subtrees.as_deref())?;
        Some(of)
    }

    fn read(&mut self, subtrees: Option<&[GeneralSubtree<'_>]>) -> Option<Vec<AlternativeName>> {
        let mut names = Vec::new();
        for subtree in subtrees.unwrap_or_default() {
            if matches!(subtree.base, GeneralName::Invalid(..)) {
                return None;
            }
            match AlternativeName::of(&subtree.base) {
                Some(AlternativeName::Dns(name)) if labels(&name.to_ascii_lowercase(), true).is_none() => return None,
                Some(AlternativeName::Ip(range)) if !matches!(range.len(), 8 | 32) => return None,
                Some(name) => names.push(name),
                None => self.is_incomplete = true,
            }
        }
        Some(names)
    }

    /// The number of the constraints.
    pub(crate) fn len(&self) -> usize {
        self.permitted.len() + self.excluded.len()
    }

    /// True if the CA may issue for the name. A name that cannot be compared is not allowed.
    pub(crate) fn allow(&self, name: &AlternativeName) -> bool {
        let of_type = |list: &[AlternativeName]| {
            list.iter().any(|other| std::mem::discriminant(other) == std::mem::discriminant(name))
        };
        let is_constrained = of_type(&self.permitted) || of_type(&self.excluded);
        match name {
            _ if !is_constrained => true,
            AlternativeName::Email | AlternativeName::Uri => false,
            AlternativeName::Dns(name) if labels(&name.to_ascii_lowercase(), false).is_none() => false,
            AlternativeName::Ip(bytes) if !matches!(bytes.len(), 4 | 16) => false,
            _ => {
                let is_permitted = self.permitted.iter().any(|permitted| contains(permitted, name, false));
                let is_excluded = self.excluded.iter().any(|excluded| contains(excluded, name, true));
                !is_excluded && (is_permitted || !of_type(&self.permitted))
            }
        }
    }
}

/// The labels of a name, the last one first. A constraint may be empty, or begin with a dot.
fn labels(name: &str, is_constraint: bool) -> Option<Vec<&str>> {
    let name = if is_constraint { name.strip_prefix('.').unwrap_or(name) } else { name };
    if name.is_empty() {
        return is_constraint.then(Vec::new);
    }
    let labels: Vec<&str> = name.rsplit('.').collect();
    labels.iter().all(|label| !label.is_empty()).then_some(labels)
}

/// True if the name is in the range of the constraint. With `wildcards`, a wildcard is in it if one of its names is.
fn contains(constraint: &AlternativeName, name: &AlternativeName, wildcards: bool) -> bool {
    match (constraint, name) {
        (AlternativeName::Dns(constraint), AlternativeName::Dns(name)) => contains_domain(constraint, name, wildcards),
        (AlternativeName::Ip(range), AlternativeName::Ip(address)) => {
            let (network, mask) = range.split_at(range.len() / 2);
            let mut bytes = network.iter().zip(mask).zip(address);
            network.len() == address.len() && bytes.all(|((network, mask), byte)| network & mask == byte & mask)
        }
        _ => false,
    }
}

fn contains_domain(constraint: &str, name: &str, wildcards: bool) -> bool {
    let constraint = constraint.to_ascii_lowercase();
    let name = name.to_ascii_lowercase();
    let (Some(range), Some(labels)) = (labels(&constraint, true), labels(&name, false)) else { return wildcards };
    let needs_label = constraint.starts_with('.');
    let is_same = |(range, label): (&&str, &&str)| range == label || (wildcards && *label == "*");
    labels.len() >= range.len() + usize::from(needs_label) && range.iter().zip(&labels).all(is_same)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dns(name: &str) -> AlternativeName {
        AlternativeName::Dns(name.to_owned())
    }

    fn permits(constraint: &str, name: &str) -> bool {
        NameConstraints { permitted: vec![dns(constraint)], ..NameConstraints::default() }.allow(&dns(name))
    }

    fn excludes(constraint: &str, name: &str) -> bool {
        !NameConstraints { excluded: vec![dns(constraint)], ..NameConstraints::default() }.allow(&dns(name))
    }

    #[test]
    fn a_domain_permits_itself_and_every_name_below_it() {
        assert!(permits("kube-cp.com", "kube-cp.com"));
        assert!(permits("kube-cp.com", "a.lb.KUBE-cp.com"));
        assert!(permits("", "lb.kube-cp.com"));
        assert!(permits("kube-cp.com", "*.kube-cp.com"));
        assert!(!permits("kube-cp.com", "notkube-cp.com"));
        assert!(!permits("kube-cp.com", "com"));
        assert!(!permits("lb.kube-cp.com", "*.kube-cp.com"));
        assert!(!permits(".kube-cp.com", "kube-cp.com"));
        assert!(permits(".kube-cp.com", "lb.kube-cp.com"));
    }

    #[test]
    fn a_domain_excludes_a_wildcard_that_includes_it() {
        assert!(excludes("kube-cp.com", "lb.kube-cp.com"));
        assert!(excludes("lb.kube-cp.com", "*.kube-cp.com"));
        assert!(!excludes("kube-cp.com", "lb.example.org"));
        assert!(excludes("kube-cp.com", "lb..com"), "a name that cannot be compared");
    }

    #[test]
    fn a_range_of_addresses_permits_the_addresses_of_its_family_in_it() {
        let range = AlternativeName::Ip(vec![10, 10, 0, 0, 255, 255, 0, 0]);
        let constraints = NameConstraints { permitted: vec![range], ..NameConstraints::default() };
        assert!(constraints.allow(&AlternativeName::Ip(vec![10, 10, 1, 1])));
        assert!(!constraints.allow(&AlternativeName::Ip(vec![10, 11, 1, 1])));
        assert!(!constraints.allow(&AlternativeName::Ip(vec![0; 16])));
        assert!(!constraints.allow(&AlternativeName::Ip(vec![10, 10])));
        assert!(constraints.allow(&dns("lb.kube-cp.com")), "another type");
    }
}
