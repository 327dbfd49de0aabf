//! Internationalised names: Unicode as zones are shown, Punycode as records are stored. It knows nothing of the store.

/// The Punycode form of a name, lower-case.
///
/// A name that IDNA does not allow is only made lower-case: the fake judges no names.
pub(crate) fn to_ascii(name: &str) -> String {
    idna::domain_to_ascii(name).unwrap_or_else(|_| name.to_lowercase())
}

/// The Unicode form of a name.
pub(crate) fn to_unicode(name: &str) -> String {
    let (unicode, outcome) = idna::domain_to_unicode(name);
    if outcome.is_ok() { unicode } else { name.to_owned() }
}

/// Returns true if `name` is `parent` or below it.
pub(crate) fn is_in(name: &str, parent: &str) -> bool {
    name.strip_suffix(parent).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
