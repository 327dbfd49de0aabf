//! A zone with the answers of one decision, as the catalog of hickory-server asks it.
//!
//! The records are in hickory's `InMemoryZoneHandler`. The search for a name is ours, because that of the in-memory handler
//! differs from RFC 1034, section 4.3.2, in ways that `docs/decisions/0003-dns-engine-and-loops.md` lists.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use daymark_decision::Decision;
use futures_util::FutureExt;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{LowerName, Name, RData, Record, RecordSet, RecordType, TSigResponseContext};
use hickory_server::dnssec::NxProofKind;
use hickory_server::net::runtime::TokioRuntimeProvider;
use hickory_server::server::{Request, RequestInfo};
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{
    AuthLookup, AxfrPolicy, LookupControlFlow, LookupError, LookupOptions, LookupRecords, Nsec3QueryInfo, ZoneHandler,
    ZoneType,
};

use crate::dnssec::{ProvenAbsence, SignatureTimes, SignedZone};
use crate::members::{Draw, PoolAnswer, SignedAddresses};
use crate::negative::negative_ttl;
use crate::records::{Records, addresses, exists, insert, nameserver_names, path, record_set, set, sets_at};
use crate::serial::serial;
use crate::zone::Zone;

/// The records that one zone serves. They never change: each decision makes new ones.
pub(crate) struct ZoneContent {
    apex: LowerName,
    memory: InMemoryZoneHandler<TokioRuntimeProvider>,
    /// The answer of each pool of the zone, by the name of its records. `None` before the pool's first answer.
    pools: BTreeMap<LowerName, Option<PoolAnswer>>,
    /// `None` in a zone that is not signed.
    signed: Option<SignedZone>,
    max_labels: usize,
}

/// The handler of one zone.
pub(crate) struct ServedZone {
    pub(crate) content: Arc<ZoneContent>,
    pub(crate) draw: Draw,
}

/// The outcome of a search for a name (RFC 1034, section 4.3.2).
enum Found {
    /// The name itself, or the wildcard that matches it (RFC 4592).
    Node(LowerName),
    /// The NS records of the zone cut at the name or above it.
    ZoneCut(Arc<RecordSet>),
    /// The name does not exist, and the closest name above it that does has no wildcard.
    NoSuchName { closest_encloser: LowerName },
}

impl ZoneContent {
    /// Combines a zone with the answers of a decision, and signs it if it has keys. `None` means that there is no decision yet.
    /// `now` is in seconds since the Unix epoch.
    pub(crate) fn new(zone: &Zone, decision: Option<&Decision>, now: u64) -> Self {
        let pools = zone
            .pools()
            .iter()
            .map(|pool| (pool.owner.clone(), decision.and_then(|decision| decision.answer(&pool.pool))));
        let pools: BTreeMap<_, _> = pools.collect();
        let own_soa = zone.own_soa();
        let negative_ttl = negative_ttl(own_soa.map(|soa| soa.minimum), pools.values().copied());
        let mut soa = zone.soa().clone();
        soa.serial = serial(own_soa.map(|soa| soa.serial), decision.map_or(0, |decision| decision.generation));
        soa.minimum = negative_ttl;
        let apex = zone.apex().clone();
        let mut changing = Records::new();
        // Its TTL and its MINIMUM are both the negative TTL (RFC 2308, section 5).
        insert(&mut changing, record_set(&apex, RecordType::SOA, negative_ttl, [RData::SOA(soa)]));
        let pools = pools.into_iter().map(|(owner, answer)| (owner, answer.map(PoolAnswer::new)));
        let mut pools: BTreeMap<_, _> = pools.collect();
        for (owner, answer) in &pools {
            let families = answer.iter().flat_map(|answer| answer.families().map(|family| (family, answer.ttl)));
            for (family, ttl) in families {
                insert(&mut changing, record_set(owner, family.rtype, ttl, family.data.iter().cloned()));
            }
        }
        let signed =
            zone.signer().map(|signer| signer.sign_zone(zone.records(), &mut changing, &mut pools, negative_ttl, now));
        let mut records = signed.as_ref().map_or(zone.records(), |signed| &signed.fixed.records).clone();
        records.extend(changing);
        let mut memory = InMemoryZoneHandler::empty((&apex).into(), ZoneType::Primary, AxfrPolicy::Deny, None);
        *memory.records_get_mut() = records;
        let names = memory.records_get_mut().keys().map(|key| &key.name).chain(pools.keys()).chain([&apex]);
        let max_labels = names.map(|name| name.iter().count()).max().unwrap_or_default();
        Self { apex, memory, pools, signed, max_labels }
    }

    /// The number of labels of the longest name in the zone.
    pub(crate) fn max_labels(&self) -> usize {
        self.max_labels
    }

    pub(crate) fn apex(&self) -> &LowerName {
        &self.apex
    }

    /// The pools with their answers, by the name of their records.
    pub(crate) fn pools(&self) -> &BTreeMap<LowerName, Option<PoolAnswer>> {
        &self.pools
    }

    /// The times of the signatures, if the zone is signed.
    pub(crate) fn signature_times(&self) -> Option<SignatureTimes> {
        Some(self.signed.as_ref()?.times)
    }

    /// Adds to the response to a question the proof of what it denies: a name, a type, or that a zone below is signed (RFC 4035,
    /// section 3.1.3).
    ///
    /// The catalog would ask the handler for a proof, but says neither the type of the question nor if a wildcard answered it.
    pub(crate) fn prove(&self, name: &LowerName, rtype: RecordType, response: &mut Message) {
        let Some(signed) = &self.signed else { return };
        let Some(records) = self.memory.records().now_or_never() else { return };
        let denied = match self.find(&records, name, rtype) {
            Found::ZoneCut(cut) => {
                let owner = LowerName::new(cut.name());
                if let Some(ds) = set(&records, &owner, RecordType::DS) {
                    response.authorities.extend(ds.records(true).cloned());
                    return;
                }
                ProvenAbsence::Type { name: owner }
            }
            Found::NoSuchName { closest_encloser } => ProvenAbsence::Name { name: name.clone(), closest_encloser },
            Found::Node(node) if node == *name => {
                if !response.answers.is_empty() {
                    return;
                }
                ProvenAbsence::Type { name: node }
            }
            Found::Node(wildcard) => {
                let name = name.clone();
                let closest_encloser = wildcard.base_name();
                if response.answers.is_empty() {
                    ProvenAbsence::TypeOfWildcard { name, closest_encloser }
                } else {
                    ProvenAbsence::NameForWildcard { name, closest_encloser }
                }
            }
        };
        let proof = signed.fixed.denial.proof(&denied);
        response.authorities.extend(proof.into_iter().flat_map(|set| set.records(true)).cloned());
    }

    /// Searches the zone for a name. The search stops at a zone cut, but for the DS records of the cut itself, which are on this
    /// side (RFC 4035, section 3.1.4.1).
    fn find(&self, records: &Records, name: &LowerName, rtype: RecordType) -> Found {
        for next in path(&self.apex, name) {
            if !self.exists(records, &next) {
                // The closest encloser has no child of this name, so its wildcard matches.
                let closest_encloser = next.base_name();
                let wildcard = next.into_wildcard();
                return if exists(records, &wildcard) {
                    Found::Node(wildcard)
                } else {
                    Found::NoSuchName { closest_encloser }
                };
            }
            let cut = set(records, &next, RecordType::NS);
            if let Some(cut) = cut.filter(|_| rtype != RecordType::DS || next != *name) {
                return Found::ZoneCut(Arc::clone(cut));
            }
        }
        Found::Node(name.clone())
    }

    /// True if the name or one below it has records or a pool. A pool without an answer has no records yet.
    fn exists(&self, records: &Records, name: &LowerName) -> bool {
        exists(records, name) || self.pools.range(name..).next().is_some_and(|(pool, _)| name.zone_of(pool))
    }

    /// The records of a node, under the name of the question.
    fn answer(
        &self,
        records: &Records,
        node: &LowerName,
        question: &ZoneQuestion<'_>,
        draw: Draw,
    ) -> LookupControlFlow<AuthLookup> {
        if let Some(pool) = self.pools.get(node) {
            // To skip a question is to answer it with SERVFAIL.
            let Some(answer) = pool else { return LookupControlFlow::Skip };
            let signed = answer.families().next().filter(|_| question.rtype == RecordType::RRSIG);
            if let Some(family) = signed {
                let SignedAddresses { rrsigs, .. } = family.draw_signed(draw);
                return signatures(rrsigs, question);
            }
            if let Some(family) = answer.family(question.rtype) {
                if !question.options.dnssec_ok {
                    let drawn = family.draw(draw).into_iter();
                    let drawn = drawn.map(|data| Record::from_rdata(question.name.clone(), answer.ttl, data));
                    return section(drawn.collect(), None);
                }
                let SignedAddresses { data, rrsigs } = family.draw_signed(draw);
                let rrsigs = rrsigs.iter().map(|record| record.data.clone());
                let drawn = data.into_iter().chain(rrsigs);
                let drawn = drawn.map(|data| Record::from_rdata(question.name.clone(), answer.ttl, data));
                return section(drawn.collect(), None);
            }
        }
        if question.rtype == RecordType::RRSIG {
            let signed = sets_at(records, node).map(|set| set.rrsigs()).find(|rrsigs| !rrsigs.is_empty());
            return signatures(signed.unwrap_or_default(), question);
        }
        // NSEC may be beside an alias (RFC 4035, section 2.5), so a question for it is not about its target.
        let cname = set(records, node, RecordType::CNAME).filter(|_| question.rtype != RecordType::NSEC);
        let found = cname.or_else(|| match question.rtype {
            RecordType::ANY => addresses(records, node).next().or_else(|| sets_at(records, node).next()),
            rtype => set(records, node, rtype),
        });
        let Some(found) = found else { return LookupControlFlow::Continue(Err(LookupError::for_name_exists())) };
        let additionals = (found.record_type() == RecordType::NS).then(|| glue(records, found, question.options));
        let answers = found.records(question.options.dnssec_ok).map(|record| renamed(record, question.name));
        section(answers.collect(), additionals)
    }
}

/// A question to a zone.
struct ZoneQuestion<'a> {
    name: &'a Name,
    rtype: RecordType,
    options: LookupOptions,
}

/// The addresses of nameservers that are in the zone. Below a zone cut they are glue.
fn glue(records: &Records, nameservers: &RecordSet, options: LookupOptions) -> Vec<Record> {
    let names = nameserver_names(nameservers).map(LowerName::from);
    let sets = names.flat_map(|name| addresses(records, &name).cloned().collect::<Vec<_>>());
    sets.flat_map(|set| set.records(options.dnssec_ok).cloned().collect::<Vec<_>>()).collect()
}

/// A record of a node, under the name of the question.
fn renamed(record: &Record, name: &Name) -> Record {
    let mut record = record.clone();
    record.name = name.clone();
    record
}

/// The answer to a question for signatures: those of one set of the name, as for ANY (RFC 8482, section 4.1).
fn signatures(rrsigs: &[Record], question: &ZoneQuestion<'_>) -> LookupControlFlow<AuthLookup> {
    if rrsigs.is_empty() {
        return LookupControlFlow::Continue(Err(LookupError::for_name_exists()));
    }
    section(rrsigs.iter().map(|record| renamed(record, question.name)).collect(), None)
}

fn section(answers: Vec<Record>, additionals: Option<Vec<Record>>) -> LookupControlFlow<AuthLookup> {
    let additionals = additionals.map(LookupRecords::Section);
    LookupControlFlow::Continue(Ok(AuthLookup::answers(LookupRecords::Section(answers), additionals)))
}

/// The outcome of a search as the trait has it, with the key that signs the response.
type SearchOutcome = (LookupControlFlow<AuthLookup>, Option<TSigResponseContext>);

#[async_trait]
impl ZoneHandler for ServedZone {
    fn zone_type(&self) -> ZoneType {
        ZoneType::Primary
    }

    fn axfr_policy(&self) -> AxfrPolicy {
        AxfrPolicy::Deny
    }

    fn origin(&self) -> &LowerName {
        &self.content.apex
    }

    /// Looks up the SOA record of a negative answer. The catalog would add the NS records to an answer with the SOA record, which
    /// nobody needs, so these are not found here.
    async fn lookup(
        &self,
        name: &LowerName,
        rtype: RecordType,
        info: Option<&RequestInfo<'_>>,
        options: LookupOptions,
    ) -> LookupControlFlow<AuthLookup> {
        match rtype {
            RecordType::NS => LookupControlFlow::Continue(Ok(AuthLookup::Empty)),
            _ => self.content.memory.lookup(name, rtype, info, options).await,
        }
    }

    async fn search(&self, request: &Request, options: LookupOptions) -> SearchOutcome {
        let query = match request.request_info() {
            Ok(info) => info.query,
            Err(error) => return (LookupControlFlow::Break(Err(error)), None),
        };
        let content = &self.content;
        let records = content.memory.records().await;
        let rtype = query.query_type();
        let outcome = match content.find(&records, query.name(), rtype) {
            Found::Node(node) => {
                let question = ZoneQuestion { name: query.original().name(), rtype, options };
                content.answer(&records, &node, &question, self.draw)
            }
            Found::ZoneCut(cut) => section(cut.records(false).cloned().collect(), Some(glue(&records, &cut, options))),
            Found::NoSuchName { .. } => LookupControlFlow::Continue(Err(ResponseCode::NXDomain.into())),
        };
        (outcome, None)
    }

    // The engine adds the proofs to the response ([`ZoneContent::prove`]).
    async fn nsec_records(&self, _name: &LowerName, _options: LookupOptions) -> LookupControlFlow<AuthLookup> {
        LookupControlFlow::Continue(Ok(AuthLookup::Empty))
    }

    async fn nsec3_records(&self, _info: Nsec3QueryInfo<'_>, _options: LookupOptions) -> LookupControlFlow<AuthLookup> {
        LookupControlFlow::Continue(Ok(AuthLookup::Empty))
    }

    fn nx_proof_kind(&self) -> Option<&NxProofKind> {
        None
    }
}
