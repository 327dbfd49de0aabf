//! The mark that Daymark leaves on the objects that it creates, in the comment of a record or the description of a pool or a
//! balancer. Pure.
//!
//! ```text
//! managed by daymark[ of OWNER]: NODE               a record
//! managed by daymark[ of OWNER], a guess: NODE      a record of a guess
//! managed by daymark[ of OWNER] for NAME            a pool or a balancer
//! ```

use std::fmt;

use daymark_decision::PoolName;

use crate::MARK;

/// The words behind the mark of a record that was published before any target of its family was usable.
const GUESS: &str = ", a guess";
/// The words before the owner.
const OF: &str = " of ";
/// The words before the name of a pool.
const FOR: &str = " for ";
/// The characters of a comment that every zone allows.
const MAX_COMMENT_CHARS: usize = 100;

/// The mark of the objects of one owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// `None` without the key `owner`.
    pub(crate) owner: Option<String>,
}

/// A mark as it was found on an object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FoundMark<'a> {
    owner: Option<&'a str>,
    is_guess: bool,
    /// The name of the pool that the object was created for, if the mark tells it.
    pool: Option<&'a str>,
}

impl Mark {
    /// The comment of a record. It tells a guess from an address that was usable once.
    pub(crate) fn comment(&self, is_guess: bool, node: &impl fmt::Display) -> String {
        let guess = if is_guess { GUESS } else { "" };
        format!("{self}{guess}: {node}").chars().take(MAX_COMMENT_CHARS).collect()
    }

    /// The description of a pool or a balancer.
    pub(crate) fn description(&self, pool: &PoolName) -> String {
        format!("{self}{FOR}{pool}")
    }

    /// Returns true if the text of an object bears this mark and names no other pool.
    pub(crate) fn is_on(&self, text: Option<&str>, pool: &PoolName) -> bool {
        FoundMark::read(text).is_some_and(|found| {
            self.is(&found) && found.pool.is_none_or(|name| name.eq_ignore_ascii_case(pool.as_str()))
        })
    }

    /// Returns true if a found mark is this one.
    pub(crate) fn is(&self, found: &FoundMark) -> bool {
        found.owner == self.owner.as_deref()
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MARK)?;
        self.owner.iter().try_for_each(|owner| write!(f, "{OF}{owner}"))
    }
}

impl<'a> FoundMark<'a> {
    /// The mark at the beginning of a text, as a word of its own; `None` if there is none.
    pub(crate) fn read(text: Option<&'a str>) -> Option<Self> {
        let rest = text?.strip_prefix(MARK)?;
        if rest.starts_with(|next| is_of_word(next) && next != '.') {
            return None;
        }
        let (owner, rest) = match rest.strip_prefix(OF) {
            Some(rest) => {
                let end = rest.find(|char| !is_of_word(char)).unwrap_or(rest.len());
                // An owner that none can have is another's, not that of a Daymark without an owner.
                (Some(rest[..end].trim_end_matches('.')), &rest[end..])
            }
            None => (None, rest),
        };
        let name = rest.strip_prefix(FOR).map(|rest| rest.split_whitespace().next().unwrap_or_default());
        let pool = name.map(|name| name.trim_end_matches([',', ';', '.']));
        Some(Self { owner, is_guess: rest.starts_with(GUESS), pool })
    }

    /// Returns true if it is on a record that was published before any target of its family was usable.
    pub(crate) fn is_guess(&self) -> bool {
        self.is_guess
    }
}

impl fmt::Display for FoundMark<'_> {
    /// The Daymark that it stands for, such as `the Daymark of prod-2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.owner {
            Some(owner) => write!(f, "the Daymark of {owner}"),
            None => f.write_str("a Daymark without an `owner`"),
        }
    }
}

/// Returns true for a character of an owner, or of a word that only begins like the mark.
fn is_of_word(char: char) -> bool {
    char.is_alphanumeric() || matches!(char, '-' | '_' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use daymark_decision::fixtures::pool_name;

    fn mark(owner: Option<&str>) -> Mark {
        Mark { owner: owner.map(str::to_owned) }
    }

    #[test]
    fn each_mark_is_read_as_it_is_written() {
        let pool = pool_name("lb.kube-cp.com");
        for owner in [None, Some("prod-1"), Some("a.b_c")] {
            let mark = mark(owner);
            for is_guess in [false, true] {
                let comment = mark.comment(is_guess, &"kube-cp-1");
                let found = FoundMark::read(Some(&comment)).unwrap();
                assert_eq!(found, FoundMark { owner, is_guess, pool: None }, "{comment}");
                assert!(mark.is_on(Some(&comment), &pool));
            }
            let description = mark.description(&pool);
            let found = FoundMark::read(Some(&description)).unwrap();
            assert_eq!(found, FoundMark { owner, is_guess: false, pool: Some("lb.kube-cp.com") }, "{description}");
        }
    }

    #[test]
    fn a_mark_is_only_that_of_its_owner() {
        let pool = pool_name("lb.kube-cp.com");
        let owners = [None, Some("prod-1"), Some("prod-10"), Some("prod")];
        for writer in owners {
            for reader in owners {
                for text in [mark(writer).comment(false, &"n"), mark(writer).description(&pool)] {
                    assert_eq!(mark(reader).is_on(Some(&text), &pool), reader == writer, "{text} for {reader:?}");
                }
            }
        }
    }

    #[test]
    fn a_mark_of_an_owner_that_none_can_have_is_not_a_mark_without_an_owner() {
        let pool = pool_name("lb.kube-cp.com");
        for text in ["managed by daymark of \"prod-1\": n", "managed by daymark of /x", "managed by daymark of : n"] {
            assert!(!mark(None).is_on(Some(text), &pool), "{text}");
        }
    }

    #[test]
    fn a_text_that_only_begins_like_the_mark_bears_none() {
        for text in ["managed by daymarks", "managed by daymark-2", "Managed by daymark", "managed by", ""] {
            assert_eq!(FoundMark::read(Some(text)), None, "{text}");
        }
        assert_eq!(FoundMark::read(None), None);
    }

    #[test]
    fn a_description_for_another_pool_is_not_that_of_this_one() {
        let pool = pool_name("lb.kube-cp.com");
        for (text, is_on) in [
            ("managed by daymark", true),
            ("managed by daymark for LB.kube-cp.com.", true),
            ("managed by daymark for lb2.kube-cp.com", false),
            ("managed by daymark, by hand", true),
        ] {
            assert_eq!(mark(None).is_on(Some(text), &pool), is_on, "{text}");
        }
    }

    #[test]
    fn a_comment_has_at_most_a_hundred_characters() {
        let comment = mark(Some(&"o".repeat(32))).comment(true, &"n".repeat(63));
        assert_eq!(comment.chars().count(), MAX_COMMENT_CHARS);
    }
}
