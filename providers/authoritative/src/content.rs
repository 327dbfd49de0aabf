//! What is served at one time: every zone, with the answers of one decision.
//!
//! A [`Content`] never changes. The server swaps it whole, so a query sees one decision and no other.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use daymark_decision::{Answer, Decision, Member, Order};
use hickory_proto::rr::{RData, RecordType};

use crate::dice::Dice;
use crate::name::{Key, WireName};
use crate::records::{Data, RrSet};
use crate::zone::{PoolPlace, Zone};

/// Seconds for which a resolver may keep the absence of a record, while no answer says how long.
const NEGATIVE_TTL_BEFORE_ANSWERS: u32 = 1;

/// Every zone, by the key of its apex.
#[derive(Default)]
pub(crate) struct Content {
    zones: HashMap<Key, Served>,
    /// How many labels the longest name of a zone has.
    most_labels: usize,
}

/// One zone, with the answers of its pools.
pub(crate) struct Served {
    zone: Arc<Zone>,
    soa: RrSet,
    /// One a pool of the zone; `None` before its first answer.
    answers: Vec<Option<PoolAnswer>>,
}

/// The answer of one pool.
struct PoolAnswer {
    families: [Family; 2],
    ttl: u32,
}

/// The addresses of one family.
struct Family {
    order: Order,
    most: usize,
    data: Vec<RData>,
    weights: Vec<u16>,
}

/// The addresses that one response gives.
pub(crate) struct Addresses<'a> {
    /// A or AAAA.
    pub(crate) rtype: RecordType,
    /// Seconds for which a resolver may keep them.
    pub(crate) ttl: u32,
    /// In the order of the response.
    pub(crate) data: Data<'a>,
}

impl Content {
    /// The zones as of a decision; `None` before the first.
    pub(crate) fn new(zones: &[Arc<Zone>], decision: Option<&Decision>) -> Self {
        let most_labels = zones.iter().map(|zone| zone.labels()).max().unwrap_or(0);
        let served = zones.iter().map(|zone| (zone.key().clone(), Served::new(zone, decision)));
        Self { zones: served.collect(), most_labels }
    }

    /// The zone that a name is in: the nearest above it.
    pub(crate) fn zone_of(&self, name: &WireName) -> Option<&Served> {
        (0..=name.labels().min(self.most_labels)).rev().find_map(|labels| self.zones.get(name.suffix(labels)))
    }
}

impl Served {
    fn new(zone: &Arc<Zone>, decision: Option<&Decision>) -> Self {
        let answers = zone.pools().iter().map(|pool| decision.and_then(|of| of.answer(&pool.name)));
        let answers: Vec<Option<&Answer>> = answers.collect();
        let negative_ttl = answers.iter().flatten().map(|answer| answer.negative_ttl).min();
        let negative_ttl = negative_ttl.unwrap_or(NEGATIVE_TTL_BEFORE_ANSWERS);
        let mut soa = zone.soa().clone();
        soa.serial = serial(decision.map_or(0, |of| of.generation));
        soa.minimum = negative_ttl;
        Self {
            zone: Arc::clone(zone),
            soa: RrSet { rtype: RecordType::SOA, ttl: negative_ttl, data: vec![RData::SOA(soa)] },
            answers: answers.into_iter().map(|answer| answer.map(PoolAnswer::new)).collect(),
        }
    }

    pub(crate) fn zone(&self) -> &Zone {
        &self.zone
    }

    /// The SOA record. Its TTL and its MINIMUM are both the negative TTL (RFC 2308, section 5).
    pub(crate) fn soa(&self) -> &RrSet {
        &self.soa
    }

    /// The addresses of a pool, for one response: of the type asked for, or for ANY of the first type that it has. None
    /// where it has none of that type.
    ///
    /// `Err` before its first answer.
    pub(crate) fn addresses(
        &self,
        pool: usize,
        asked: RecordType,
        dice: &Dice,
    ) -> Result<Option<Addresses<'_>>, Unknown> {
        let answer = self.answers[pool].as_ref().ok_or(Unknown)?;
        let families = [RecordType::A, RecordType::AAAA].into_iter().zip(&answer.families).enumerate();
        let mut fitting = families
            .filter(|(_, (rtype, family))| (asked == *rtype || asked == RecordType::ANY) && !family.data.is_empty());
        Ok(fitting.next().map(|(n, (rtype, family))| {
            let data = family.draw(&self.zone.pools()[pool], n, dice);
            Addresses { rtype, ttl: answer.ttl, data }
        }))
    }
}

/// A pool has no answer yet, which is not the same as an empty one.
pub(crate) struct Unknown;

/// The serial of a generation. Serials wrap, and are compared so (RFC 1982).
#[expect(clippy::cast_possible_truncation, reason = "a serial is the low half of the generation")]
fn serial(generation: u64) -> u32 {
    generation as u32
}

impl PoolAnswer {
    fn new(answer: &Answer) -> Self {
        Self { families: [Family::new(answer, IpAddr::is_ipv4), Family::new(answer, IpAddr::is_ipv6)], ttl: answer.ttl }
    }
}

impl Family {
    fn new(answer: &Answer, is_of: fn(&IpAddr) -> bool) -> Self {
        let members: Vec<&Member> = answer.members.iter().filter(|member| is_of(&member.address)).collect();
        Self {
            order: answer.order,
            most: usize::from(answer.max_answers.max(1)).min(members.len()),
            data: members.iter().map(|member| RData::from(member.address)).collect(),
            weights: members.iter().map(|member| member.weight.max(1)).collect(),
        }
    }

    /// The order of one response, cut to what one may hold. The cut comes last, so that every address gets its share.
    fn draw(&self, place: &PoolPlace, family: usize, dice: &Dice) -> Data<'_> {
        match self.order {
            Order::Rotated => {
                let (wrapped, first) = self.data.split_at(place.turn(family, self.data.len()));
                let first = &first[..self.most.min(first.len())];
                Data::InTurn([first, &wrapped[..self.most - first.len()]])
            }
            Order::Weighted => Data::Drawn(self.weighted(dice)),
        }
    }

    /// Draws by weight and does not put back.
    fn weighted(&self, dice: &Dice) -> Vec<&RData> {
        let mut left: Vec<(&RData, u64)> =
            self.data.iter().zip(self.weights.iter().map(|&weight| weight.into())).collect();
        let mut sum: u64 = left.iter().map(|(_, weight)| weight).sum();
        let draw = |_| {
            let mut roll = dice.roll(sum);
            let hit = left.iter().position(|(_, weight)| match roll.checked_sub(*weight) {
                Some(rest) => {
                    roll = rest;
                    false
                }
                None => true,
            });
            let (data, weight) = left.swap_remove(hit.unwrap_or(0));
            sum -= weight;
            data
        };
        (0..self.most).map(draw).collect()
    }
}

#[cfg(test)]
mod tests;
