//! The zones that are served at one time, with the answers of one decision.
//!
//! A [`Catalog`] never changes. The server replaces it as a whole, so each query sees exactly one decision.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use daymark_decision::{Answer, Decision, Member, Order};
use hickory_proto::rr::{RData, RecordType};

use crate::name::{NameKey, WireName};
use crate::negative::negative_ttl;
use crate::rrset::{RecordData, RrSet};
use crate::serial::serial;
use crate::zone::Zone;

/// Every zone, by the key of its apex.
#[derive(Default)]
pub(crate) struct Catalog {
    zones: HashMap<NameKey, ServedZone>,
    /// The number of labels of the longest apex.
    max_apex_labels: usize,
}

/// One zone, with the answers of its pools.
pub(crate) struct ServedZone {
    zone: Arc<Zone>,
    soa: RrSet,
    /// The answer of each pool of the zone. `None` before the pool's first answer.
    answers: Vec<Option<PoolAnswer>>,
}

/// The answer of one pool.
struct PoolAnswer {
    /// The IPv4 addresses, then the IPv6 addresses.
    families: [FamilyAnswer; 2],
    ttl: u32,
}

/// The addresses of one address family.
struct FamilyAnswer {
    order: Order,
    /// The number of addresses in one response. It is at most the number of addresses that there are.
    max_answers: usize,
    data: Vec<RData>,
    weights: Vec<u16>,
}

/// The addresses that one response contains.
pub(crate) struct PoolAddresses<'a> {
    /// A or AAAA.
    pub(crate) rtype: RecordType,
    /// The TTL in seconds.
    pub(crate) ttl: u32,
    /// The addresses, in the order of the response.
    pub(crate) data: RecordData<'a>,
}

impl Catalog {
    /// Combines zones with the answers of a decision. `None` means that there is no decision yet.
    pub(crate) fn new(zones: &[Arc<Zone>], decision: Option<&Decision>) -> Self {
        let max_apex_labels = zones.iter().map(|zone| zone.labels()).max().unwrap_or(0);
        let served = zones.iter().map(|zone| (zone.key().clone(), ServedZone::new(zone, decision)));
        Self { zones: served.collect(), max_apex_labels }
    }

    /// The zone of a name. If several zones enclose the name, it is the one with the longest apex.
    pub(crate) fn zone_of(&self, name: &WireName) -> Option<&ServedZone> {
        (0..=name.labels().min(self.max_apex_labels)).rev().find_map(|labels| self.zones.get(name.suffix(labels)))
    }
}

impl ServedZone {
    fn new(zone: &Arc<Zone>, decision: Option<&Decision>) -> Self {
        let answers = zone.pools().iter().map(|pool| decision?.answer(pool));
        let answers: Vec<Option<&Answer>> = answers.collect();
        let own_soa = zone.own_soa();
        let negative_ttl = negative_ttl(own_soa.map(|soa| soa.minimum), answers.iter().copied());
        let mut soa = zone.soa().clone();
        soa.serial = serial(own_soa.map(|soa| soa.serial), decision.map_or(0, |decision| decision.generation));
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

    /// The addresses of a pool, for one response.
    ///
    /// For ANY, these are the IPv4 addresses if the pool has some, and otherwise the IPv6 addresses. `Ok(None)` means that the
    /// pool has no address of the type. Returns an error before the pool's first answer.
    pub(crate) fn addresses(&self, pool: usize, asked: RecordType) -> Result<Option<PoolAddresses<'_>>, NoAnswerYet> {
        let answer = self.answers[pool].as_ref().ok_or(NoAnswerYet)?;
        for (index, rtype) in [RecordType::A, RecordType::AAAA].into_iter().enumerate() {
            let family = &answer.families[index];
            if (asked == rtype || asked == RecordType::ANY) && !family.data.is_empty() {
                return Ok(Some(PoolAddresses { rtype, ttl: answer.ttl, data: family.for_response() }));
            }
        }
        Ok(None)
    }
}

/// The error of a pool that has no answer yet. That differs from an answer without addresses.
pub(crate) struct NoAnswerYet;

impl PoolAnswer {
    fn new(answer: &Answer) -> Self {
        let families = [FamilyAnswer::new(answer, IpAddr::is_ipv4), FamilyAnswer::new(answer, IpAddr::is_ipv6)];
        Self { families, ttl: answer.ttl }
    }
}

impl FamilyAnswer {
    fn new(answer: &Answer, is_in_family: fn(&IpAddr) -> bool) -> Self {
        let members: Vec<&Member> = answer.members.iter().filter(|member| is_in_family(&member.address)).collect();
        Self {
            order: answer.order,
            max_answers: usize::from(answer.max_answers.max(1)).min(members.len()),
            data: members.iter().map(|member| RData::from(member.address)).collect(),
            weights: members.iter().map(|member| member.weight.max(1)).collect(),
        }
    }

    /// Orders the addresses for one response, then cuts them to `max_answers`. In this sequence every address gets its share.
    ///
    /// A rotation starts at random. If each response began one address later than the one before, a client in step with the
    /// others would always get the same address first.
    fn for_response(&self) -> RecordData<'_> {
        match self.order {
            Order::Rotated => {
                let (wrapped, first) = self.data.split_at(fastrand::usize(..self.data.len()));
                let first = &first[..self.max_answers.min(first.len())];
                RecordData::Rotated([first, &wrapped[..self.max_answers - first.len()]])
            }
            Order::Weighted => RecordData::Listed(self.draw_by_weight(&mut fastrand::Rng::new())),
        }
    }

    /// Draws addresses by weight, without replacement.
    fn draw_by_weight(&self, rng: &mut fastrand::Rng) -> Vec<&RData> {
        let mut remaining: Vec<Weighted<'_>> = Vec::with_capacity(self.data.len());
        remaining.extend(self.data.iter().zip(&self.weights).map(|(data, &weight)| Weighted { data, weight }));
        let mut sum: u64 = remaining.iter().map(|entry| u64::from(entry.weight)).sum();
        let mut drawn = Vec::with_capacity(self.max_answers);
        while drawn.len() < self.max_answers && sum > 0 {
            let entry = remaining.swap_remove(index_at(&remaining, rng.u64(..sum)));
            sum -= u64::from(entry.weight);
            drawn.push(entry.data);
        }
        drawn
    }
}

/// An address with its weight.
struct Weighted<'a> {
    data: &'a RData,
    weight: u16,
}

/// The index of the entry that covers `position`, if each entry covers as many positions as its weight.
fn index_at(entries: &[Weighted<'_>], mut position: u64) -> usize {
    for (index, entry) in entries.iter().enumerate() {
        match position.checked_sub(entry.weight.into()) {
            Some(rest) => position = rest,
            None => return index,
        }
    }
    0
}

#[cfg(test)]
mod tests;
