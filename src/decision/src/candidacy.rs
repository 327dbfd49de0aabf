//! Whether this host may write now, where only one of several may.
//!
//! [`Engine::writer`](crate::Engine::writer) is by what this host has heard. Here that becomes a leave to write that two hosts
//! do not have at once where clocks tick alike: it must stand a while before it counts, and it lapses by itself where it
//! is not confirmed, such as in a process that was stopped and goes on much later.

use std::time::Duration;

use crate::moment::Moment;

/// How long a host must be the one that writes before it may. The former one knows by then, where it can be told: what a
/// host hears goes over with the next beat, which is half a second away at the most.
const STANDS_FOR: Duration = Duration::from_secs(2);
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
        assert_eq!(candidacy.confirm(true, at(100)), None);
        assert_eq!(candidacy.confirm(true, at(2_099)), None);
        assert_eq!(candidacy.confirm(true, at(2_100)), Some(at(4_100)));
        assert_eq!(candidacy.confirm(true, at(4_100)), Some(at(6_100)), "it is confirmed");
        assert_eq!(candidacy.confirm(false, at(4_200)), None);
        assert_eq!(candidacy.confirm(true, at(4_201)), None, "it begins anew");
        assert_eq!(candidacy.confirm(true, at(6_201)), Some(at(8_201)));
        assert_eq!(candidacy.confirm(true, at(8_202)), None, "so does what has lapsed");
    }
}
