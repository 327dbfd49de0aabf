//! Whether this host may write now, where only one of several may.
//!
//! [`Engine::writer`](crate::Engine::writer) is by what this host has heard. Here that becomes a leave to write that two hosts
//! do not have at once where clocks tick alike and what is said arrives within two seconds: it must stand a while before it
//! counts, and it lapses by itself where it is not confirmed, such as in a process that was stopped and goes on much later.

use std::time::Duration;

use crate::moment::Moment;
use crate::peers::FRESH_FOR;

/// How long a host must be the one that writes before it may. The last that the former one has heard of those that heard it
/// is [`FRESH_FOR`] old by then and does not count any more, also where that was two seconds under way.
const STANDS_FOR: Duration = Duration::from_secs(FRESH_FOR.as_secs() + 2);
/// How long a host may write after it was last confirmed, which it is twice a second.
const LASTS: Duration = Duration::from_secs(2);

/// Makes a leave to write of who is the one that writes.
#[derive(Clone, Debug, Default)]
pub struct Candidacy {
    /// Since when this host is the one, and when that was confirmed last.
    stood: Option<(Moment, Moment)>,
}

impl Candidacy {
    /// Until when this host may write, where it is the one that writes `now` or not; `None` where it may not.
    pub fn confirm(&mut self, is_writer: bool, now: Moment) -> Option<Moment> {
        if !is_writer {
            self.stood = None;
            return None;
        }
        // What lapsed begins anew: others may have written since.
        let since = self.stood.filter(|(_, last)| now.since(*last) <= LASTS).map_or(now, |(since, _)| since);
        self.stood = Some((since, now));
        (now.since(since) >= STANDS_FOR).then(|| now.after(LASTS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leave_to_write_counts_once_it_has_stood_and_lapses_unless_it_is_confirmed() {
        let at = Moment::from_millis;
        let mut candidacy = Candidacy::default();
        assert_eq!(candidacy.confirm(false, at(0)), None);
        for millis in (100..7_100).step_by(500) {
            assert_eq!(candidacy.confirm(true, at(millis)), None);
        }
        assert_eq!(candidacy.confirm(true, at(7_100)), Some(at(9_100)));
        assert_eq!(candidacy.confirm(true, at(9_100)), Some(at(11_100)), "it is confirmed");
        assert_eq!(candidacy.confirm(false, at(9_200)), None);
        assert_eq!(candidacy.confirm(true, at(9_201)), None, "it begins anew");
        for millis in (9_701..16_201).step_by(500) {
            assert_eq!(candidacy.confirm(true, at(millis)), None);
        }
        assert_eq!(candidacy.confirm(true, at(16_201)), Some(at(18_201)));
        assert_eq!(candidacy.confirm(true, at(18_202)), None, "so does what has lapsed");
    }
}
