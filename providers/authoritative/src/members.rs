//! The addresses of a pool's answer, and their choice and order in each response.

use std::net::IpAddr;
use std::sync::LazyLock;

use daymark_decision::{Answer, Basis, Member, Order};
use hickory_proto::rr::{RData, Record, RecordType};

/// The number of draws by weight that are signed at each change, if a response has only some of the addresses.
const SIGNED_DRAWS: usize = 128;
/// The seed of these draws. An answer that stays has the same draws, so their signatures stay too. Hosts draw differently.
static SIGNED_DRAWS_SEED: LazyLock<u64> = LazyLock::new(|| fastrand::u64(..));

/// The answer of one pool.
#[derive(Debug)]
pub(crate) struct PoolAnswer {
    /// The IPv4 addresses, then the IPv6 addresses.
    pub(crate) families: [FamilyAnswer; 2],
    /// The TTL in seconds.
    pub(crate) ttl: u32,
    /// No target is usable, and the last known good answer stands.
    pub(crate) is_stale: bool,
}

/// The addresses of one address family.
#[derive(Debug)]
pub(crate) struct FamilyAnswer {
    /// A or AAAA.
    pub(crate) rtype: RecordType,
    pub(crate) data: Vec<RData>,
    pub(crate) selection: AddressSelection,
    /// The signatures of its responses. `None` in a zone that is not signed.
    pub(crate) signatures: Option<FamilySignatures>,
}

/// The signatures of the responses that a family has.
#[derive(Debug)]
pub(crate) enum FamilySignatures {
    /// Every response has all addresses, so one set of signatures is right for any order.
    Whole(Vec<Record>),
    /// A response has some of the addresses. These are the signed responses, each as likely as the others.
    Selections(Vec<SignedSelection>),
}

/// A signed response with some of the addresses.
#[derive(Debug)]
pub(crate) struct SignedSelection {
    /// The indices of its addresses, in their order.
    pub(crate) picked: Vec<usize>,
    pub(crate) rrsigs: Vec<Record>,
}

/// The addresses of one response with their signatures.
pub(crate) struct SignedAddresses<'a> {
    pub(crate) data: Vec<RData>,
    pub(crate) rrsigs: &'a [Record],
}

/// The way to choose the addresses of one response among all of a family.
#[derive(Clone, Debug)]
pub(crate) struct AddressSelection {
    pub(crate) order: Order,
    /// The number of addresses in one response. It is at most the number of addresses that there are.
    pub(crate) max_answers: usize,
    /// The weight of each address. At least 1.
    pub(crate) weights: Vec<u16>,
}

/// The way to choose the first address of a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Draw {
    /// At random, as the order of the answer says.
    #[default]
    Random,
    /// The listed order, from the address with this index on.
    From(usize),
}

impl PoolAnswer {
    pub(crate) fn new(answer: &Answer) -> Self {
        let ipv4 = FamilyAnswer::new(answer, RecordType::A, IpAddr::is_ipv4);
        let ipv6 = FamilyAnswer::new(answer, RecordType::AAAA, IpAddr::is_ipv6);
        Self { families: [ipv4, ipv6], ttl: answer.ttl, is_stale: answer.basis() == Basis::LastKnownGood }
    }

    /// The families that have addresses.
    pub(crate) fn families(&self) -> impl Iterator<Item = &FamilyAnswer> {
        self.families.iter().filter(|family| !family.data.is_empty())
    }

    /// The family of a record type. For ANY it is the first one (RFC 8482, section 4.1).
    pub(crate) fn family(&self, rtype: RecordType) -> Option<&FamilyAnswer> {
        self.families().find(|family| rtype == RecordType::ANY || rtype == family.rtype)
    }
}

impl FamilyAnswer {
    fn new(answer: &Answer, rtype: RecordType, is_in_family: fn(&IpAddr) -> bool) -> Self {
        let members: Vec<&Member> = answer.members.iter().filter(|member| is_in_family(&member.address)).collect();
        let selection = AddressSelection {
            order: answer.order,
            max_answers: usize::from(answer.max_answers.max(1)).min(members.len()),
            weights: members.iter().map(|member| member.weight.max(1)).collect(),
        };
        let data = members.iter().map(|member| RData::from(member.address)).collect();
        Self { rtype, data, selection, signatures: None }
    }

    /// The addresses of one response, in their order.
    pub(crate) fn draw(&self, draw: Draw) -> Vec<RData> {
        let mut drawn = Vec::with_capacity(self.selection.max_answers);
        let mut is_taken = vec![false; self.data.len()];
        self.selection.draw(draw, &mut is_taken, |index| drawn.push(self.data[index].clone()));
        drawn
    }

    /// The addresses of one response to a client that wants signatures.
    pub(crate) fn draw_signed(&self, draw: Draw) -> SignedAddresses<'_> {
        match &self.signatures {
            None => SignedAddresses { data: self.draw(draw), rrsigs: &[] },
            Some(FamilySignatures::Whole(rrsigs)) => SignedAddresses { data: self.draw(draw), rrsigs },
            Some(FamilySignatures::Selections(selections)) => {
                let index = match draw {
                    Draw::From(index) => index % selections.len().max(1),
                    Draw::Random => fastrand::usize(..selections.len().max(1)),
                };
                let SignedSelection { picked, rrsigs } = &selections[index];
                SignedAddresses { data: picked.iter().map(|&index| self.data[index].clone()).collect(), rrsigs }
            }
        }
    }

    /// The number of signed responses, if a response has only some of the addresses.
    pub(crate) fn signed_selections(&self) -> Option<usize> {
        match &self.signatures {
            Some(FamilySignatures::Selections(selections)) => Some(selections.len()),
            _ => None,
        }
    }
}

impl AddressSelection {
    /// The responses to sign if a response has only some of the addresses, as indices of these: every rotation, or draws by
    /// weight. `None` if a response has all.
    pub(crate) fn to_sign(&self) -> Option<Vec<Vec<usize>>> {
        if self.max_answers >= self.len() {
            return None;
        }
        Some(match self.order {
            Order::Rotated => (0..self.len()).map(|start| self.rotation(start).collect()).collect(),
            Order::Weighted => {
                let mut rng = fastrand::Rng::with_seed(*SIGNED_DRAWS_SEED);
                let draw = |_| {
                    let mut picked = Vec::with_capacity(self.max_answers);
                    self.draw_by_weight(&mut rng, &mut vec![false; self.len()], |index| picked.push(index));
                    picked
                };
                (0..SIGNED_DRAWS).map(draw).collect()
            }
        })
    }

    /// The number of addresses that there are.
    pub(crate) fn len(&self) -> usize {
        self.weights.len()
    }

    /// Orders the addresses for one response, cuts them to `max_answers`, and calls `pick` with the index of each. In this
    /// sequence every address gets its share.
    ///
    /// A rotation starts at random. If each response began one address later than the one before, a client in step with the
    /// others would always get the same address first. `is_taken` has one entry for each address, all of them false.
    pub(crate) fn draw(&self, draw: Draw, is_taken: &mut [bool], mut pick: impl FnMut(usize)) {
        let start = match (draw, self.order) {
            (Draw::From(start), _) => start,
            (Draw::Random, Order::Weighted) => return self.draw_by_weight(&mut fastrand::Rng::new(), is_taken, pick),
            (Draw::Random, Order::Rotated) => fastrand::usize(..self.len().max(1)),
        };
        self.rotation(start).for_each(&mut pick);
    }

    /// The listed order, from the address with this index on.
    fn rotation(&self, start: usize) -> impl Iterator<Item = usize> {
        (0..self.len()).cycle().skip(start).take(self.max_answers)
    }

    /// Draws addresses by weight, without replacement.
    fn draw_by_weight(&self, rng: &mut fastrand::Rng, is_taken: &mut [bool], mut pick: impl FnMut(usize)) {
        let mut sum: u64 = self.weights.iter().copied().map(u64::from).sum();
        for _ in 0..self.max_answers {
            let mut position = rng.u64(..sum.max(1));
            let remaining =
                self.weights.iter().zip(&mut *is_taken).enumerate().filter(|(_, (_, is_taken))| !**is_taken);
            for (index, (&weight, is_taken)) in remaining {
                // Each address covers as many positions as its weight.
                if let Some(rest) = position.checked_sub(weight.into()) {
                    position = rest;
                } else {
                    *is_taken = true;
                    sum -= u64::from(weight);
                    pick(index);
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
