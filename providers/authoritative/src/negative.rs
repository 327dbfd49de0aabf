//! The negative TTL of a zone (rule 6.6 of `docs/ALGORITHM.md`).

use daymark_decision::Answer;

/// The negative TTL in seconds while a first answer or the first use of an address family may come at any moment.
const PROVISIONAL_NEGATIVE_TTL: u32 = 1;

/// The negative TTL of a zone, in seconds.
///
/// `answers` has the answer of each pool of the zone, `None` before its first one. `own` is the negative TTL of the SOA record in
/// the zone's master file, if it has one: the lesser of its TTL and its MINIMUM (RFC 2308, section 5).
pub(crate) fn negative_ttl<'a>(own: Option<u32>, answers: impl IntoIterator<Item = Option<&'a Answer>>) -> u32 {
    let mut least = own;
    for answer in answers {
        let Some(answer) = answer.filter(|answer| !answer.is_provisional()) else { return PROVISIONAL_NEGATIVE_TTL };
        if own.is_none() {
            least = Some(least.map_or(answer.negative_ttl, |least| least.min(answer.negative_ttl)));
        }
    }
    least.unwrap_or(PROVISIONAL_NEGATIVE_TTL)
}

#[cfg(test)]
mod tests {
    use daymark_decision::fixtures::pool_name;
    use daymark_decision::{Basis, Family};
    use daymark_provider::contract;

    use super::*;

    fn answer(negative_ttl: u32) -> Answer {
        let decision = contract::decision(&pool_name("lb.example.org"), 1, &["192.0.2.1", "2001:db8::1"]);
        Answer { negative_ttl, ..decision.answers[0].clone() }
    }

    fn on_basis(family: Family, basis: Option<Basis>) -> Answer {
        let mut answer = answer(30);
        answer.bases.remove(&family);
        answer.bases.extend(basis.map(|basis| (family, basis)));
        answer
    }

    #[test]
    fn it_is_the_least_of_the_pools() {
        assert_eq!(negative_ttl(None, [Some(&answer(30)), Some(&answer(4)), Some(&answer(9))]), 4);
    }

    #[test]
    fn the_soa_record_of_the_file_takes_precedence() {
        assert_eq!(negative_ttl(Some(300), [Some(&answer(30))]), 300);
        assert_eq!(negative_ttl(Some(0), [Some(&answer(30))]), 0);
    }

    #[test]
    fn before_the_first_answer_of_a_pool_it_is_one_second() {
        assert_eq!(negative_ttl(None, [Some(&answer(30)), None]), 1);
        assert_eq!(negative_ttl(Some(300), [None, Some(&answer(30))]), 1);
    }

    #[test]
    fn in_bootstrap_it_is_one_second() {
        let bootstrap = on_basis(Family::Ipv4, Some(Basis::Bootstrap));
        assert_eq!(negative_ttl(None, [Some(&answer(30)), Some(&bootstrap)]), 1);
        assert_eq!(negative_ttl(Some(300), [Some(&bootstrap)]), 1);
    }

    #[test]
    fn while_a_family_with_targets_was_never_usable_it_is_one_second() {
        assert_eq!(negative_ttl(None, [Some(&on_basis(Family::Ipv6, None))]), 1);
    }

    #[test]
    fn an_answer_in_need_does_not_shorten_it() {
        for basis in [Basis::Live, Basis::Minority, Basis::Forced, Basis::LastKnownGood] {
            assert_eq!(negative_ttl(None, [Some(&on_basis(Family::Ipv4, Some(basis)))]), 30, "{basis}");
        }
    }

    #[test]
    fn without_a_pool_it_is_that_of_the_file_or_one_second() {
        assert_eq!(negative_ttl(Some(300), []), 300);
        assert_eq!(negative_ttl(None, []), 1);
    }
}
