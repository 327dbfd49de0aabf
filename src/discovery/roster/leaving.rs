//! Which of the addresses that are missing may leave, and why the others stay.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use daymark_decision::{Moment, NodeName};

use super::{Missing, Roster, Sight, Standing, millis};
use crate::discovery::news::{Held, News};

/// What a pool has once an address, or a whole node, has left.
struct Loss {
    /// The addresses that leave under this name.
    going: BTreeSet<IpAddr>,
    /// Those of them that no other node has.
    gone: BTreeSet<IpAddr>,
    /// The addresses that stay.
    left: BTreeSet<IpAddr>,
    /// How many of the addresses that are gone clients can use.
    usable_gone: usize,
    /// How many of those that stay clients can use.
    usable_left: usize,
}

impl Roster {
    /// Why each address that is missing stays.
    pub fn held(&self, sight: &Sight, pause: Duration, now: Moment) -> BTreeMap<(NodeName, IpAddr), Held> {
        let why = |(node, address, missing): (&NodeName, IpAddr, Missing)| {
            // One that could leave waits for the next list, which is at the most one away.
            let why = self.hold(node, address, missing, sight, pause, now).unwrap_or(Held::NextList);
            ((node.clone(), address), why)
        };
        self.missing().map(why).collect()
    }

    /// Lets the one go that is missing for longest, of those that may: a whole node, or one address of a node that stays.
    pub(super) fn let_one_go(&mut self, sight: &Sight, pause: Duration, now: Moment) -> Vec<News> {
        let may_go = |(node, address, missing): &(&NodeName, IpAddr, Missing)| {
            self.hold(node, *address, *missing, sight, pause, now).is_none()
        };
        let first = self.missing().filter(may_go).min_by_key(|(.., missing)| missing.since);
        let Some((node, address, missing)) = first else { return Vec::new() };
        let (node, loss) = (node.clone(), self.loss(node, address, sight));
        if let Some(known) = self.known.get_mut(&node) {
            known.retain(|address, _| !loss.going.contains(address));
        }
        self.known.retain(|_, addresses| !addresses.is_empty());
        self.rested = Some(0);
        self.lost += loss.usable_gone;
        let renamed = loss.going.difference(&loss.gone).filter_map(|address| {
            let to = self.owner(*address)?.clone();
            Some(News::Renamed { node: node.clone(), address: *address, to })
        });
        let mut news: Vec<News> = renamed.collect();
        if !loss.gone.is_empty() {
            news.push(News::Gone { node, addresses: loss.gone.into_iter().collect(), since: missing.since });
        }
        news
    }

    /// The node that has an address, of those that are known with it: the one that is known with it for longest.
    pub fn owner(&self, address: IpAddr) -> Option<&NodeName> {
        let with_it = self.known().filter(|(_, it, _)| *it == address);
        with_it.min_by_key(|(node, _, known)| (known.since, *node)).map(|(node, ..)| node)
    }

    /// Why an address that is missing stays; `None`: it may leave.
    fn hold(
        &self,
        node: &NodeName,
        address: IpAddr,
        missing: Missing,
        sight: &Sight,
        pause: Duration,
        now: Moment,
    ) -> Option<Held> {
        let loss = self.loss(node, address, sight);
        let counted = self.rested.map_or(missing.counted, |rested| rested.min(missing.counted));
        let wait = millis(pause).saturating_sub(counted);
        if loss.going != loss.gone && sight.ordered.contains(node) {
            return Some(Held::Word);
        }
        let pause = || Held::Pause { until: now.after(Duration::from_millis(wait)) };
        self.guard(&loss, sight).or_else(|| (wait > 0).then(pause))
    }

    /// Why the pool cannot lose these; a new name alone loses it nothing.
    fn guard(&self, loss: &Loss, sight: &Sight) -> Option<Held> {
        let firm =
            |address: &&IpAddr| sight.usable.contains(*address) || self.standing(**address) == Some(Standing::Agreed);
        let left = loss.left.iter().filter(firm).count();
        let usable = loss.usable_left + loss.usable_gone + self.lost;
        // What clients cannot use is no loss, as long as the rest is not a few that can be used among many that cannot.
        let is_dead = loss.usable_gone == 0 && is_majority(loss.usable_left, loss.left.len());
        match () {
            () if loss.gone.is_empty() => None,
            () if !is_majority(left, self.most) && !is_dead => Some(Held::Majority { left, most: self.most }),
            () if sight.usable.is_subset(&loss.gone) => Some(Held::LastUsable),
            () if loss.usable_gone > 0 && !is_majority(loss.usable_left, usable) => {
                Some(Held::UsableMajority { left: loss.usable_left, most: usable })
            }
            () => None,
        }
    }

    /// What leaves together, a node as a whole where all of it is missing, or else the one address; and what stays.
    fn loss(&self, node: &NodeName, address: IpAddr, sight: &Sight) -> Loss {
        let going: BTreeSet<IpAddr> = match self.known.get(node) {
            Some(known) if known.values().all(|it| it.missing.is_some()) => known.keys().copied().collect(),
            _ => [address].into(),
        };
        let left = self.known().filter(|(name, address, _)| *name != node || !going.contains(address));
        let left: BTreeSet<IpAddr> = left.map(|(_, address, _)| address).collect();
        let gone: BTreeSet<IpAddr> = going.difference(&left).copied().collect();
        let usable = |of: &BTreeSet<IpAddr>| of.intersection(&sight.usable).count();
        Loss { usable_gone: usable(&gone), usable_left: usable(&left), going, gone, left }
    }
}

fn is_majority(part: usize, whole: usize) -> bool {
    part > whole / 2
}
