//! Findings for the operator, from asking Cloudflare.

mod findings;

use std::collections::{BTreeMap, BTreeSet};

use daymark_decision::{Decision, PoolName};
use daymark_provider::CheckReport;

use crate::MARK;
use crate::api::{Balancer, CloudflarePool, CloudflareZone, Record, Reference, TokenStatus, records_path};
use crate::client::{Call, CallError};
use crate::fault::PoolFault;
use crate::finding::{CloudflareFinding, RecordLabel};
use crate::idn::to_ascii;
use crate::observe::Observer;
use crate::settings::{Manage, PublishMode, Served};
use findings::{balancer_findings, pool_findings, zone_findings};

/// The answers of one check.
#[derive(Default)]
struct Inquiry {
    findings: Vec<String>,
    notes: Vec<String>,
    /// True if something could not be asked now.
    is_incomplete: bool,
    /// True if Cloudflare has answered a call with the token.
    has_worked: bool,
    /// The load balancers that were read, by the ID of their zone.
    balancers: BTreeMap<String, Vec<Balancer>>,
}

impl Inquiry {
    /// Takes an answer. A lasting fault is a finding.
    fn take<T>(&mut self, answer: Result<T, PoolFault>) -> Option<T> {
        match answer {
            Ok(answer) => {
                self.has_worked = true;
                return Some(answer);
            }
            Err(fault) if fault.is_temporary() => self.is_incomplete = true,
            Err(fault) => {
                // Cloudflare has answered, and the answer is in the way.
                self.has_worked |= matches!(fault, PoolFault::Blocked(_));
                self.add(&fault);
            }
        }
        None
    }

    /// Takes an answer for which the token may lack the permission.
    fn take_if_permitted<T>(&mut self, answer: Result<T, PoolFault>) -> Option<T> {
        match answer {
            Err(PoolFault::Call(error)) if error.is_refused() => None,
            answer => self.take(answer),
        }
    }

    fn add(&mut self, finding: &impl ToString) {
        let finding = finding.to_string();
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    fn add_all(&mut self, findings: impl IntoIterator<Item = CloudflareFinding>) {
        findings.into_iter().for_each(|finding| self.add(&finding));
    }
}

impl Observer {
    /// Returns the findings, which say what to do, and the notes.
    pub(crate) async fn findings(&self, decision: &Decision) -> CheckReport {
        let mut inquiry = Inquiry::default();
        self.forget_zones();
        let refusal = match self.verify_token("/user/tokens/verify").await {
            // Without a token nothing can be asked, and publishing reports that already.
            Err(PoolFault::Call(CallError::Token { .. })) => return CheckReport::default(),
            Err(fault) if !fault.is_temporary() => Some(fault),
            answer => {
                let finding = inquiry.take(answer).flatten();
                inquiry.add_all(finding);
                None
            }
        };
        let account = match &self.settings.mode {
            PublishMode::Records { ttl, .. } => self.record_findings(*ttl, &mut inquiry).await,
            PublishMode::LoadBalancing { account, manage, .. } => {
                self.balancing_findings(account, *manage, decision, &mut inquiry).await;
                Some(account.clone())
            }
        };
        if let Some(refusal) = refusal {
            self.verify_as_account(account, refusal, &mut inquiry).await;
        }
        let Inquiry { findings, notes, is_incomplete, .. } = inquiry;
        CheckReport { findings, notes, is_incomplete }
    }

    /// Verifies the token. Returns a finding if it is not active.
    async fn verify_token(&self, path: &str) -> Result<Option<CloudflareFinding>, PoolFault> {
        let TokenStatus { status } = self.client.get(Call::VerifyToken, path).await?;
        let token = self.settings.calls.token.clone();
        Ok((status != "active").then_some(CloudflareFinding::TokenInactive { token, status }))
    }

    /// Verifies a token that no user owns. Cloudflare refuses to verify an account's token as a user's.
    async fn verify_as_account(&self, account: Option<String>, refusal: PoolFault, inquiry: &mut Inquiry) {
        let verified = match account {
            Some(account) => self.verify_token(&format!("/accounts/{account}/tokens/verify")).await,
            None => Err(refusal),
        };
        match verified {
            // A token with which other calls work is good enough.
            Err(fault) if inquiry.has_worked && !fault.is_temporary() => {}
            verified => {
                let finding = inquiry.take(verified).flatten();
                inquiry.add_all(finding);
            }
        }
    }

    /// Checks the zones of the records, and returns the account of one of them.
    async fn record_findings(&self, ttl: Option<u32>, inquiry: &mut Inquiry) -> Option<String> {
        let mut account = None;
        let mut checked = BTreeSet::new();
        for Served { pool, .. } in &self.settings.pools {
            let Some(found) = inquiry.take(self.zone(pool).await) else { continue };
            inquiry.add_all(found.nearer_finding(pool));
            let zone = found.zone;
            inquiry.add_all(zone_findings(&zone, pool, ttl));
            let balancers = self.balancers_once(&zone, true, inquiry).await.unwrap_or_default();
            if balancers.iter().any(|balancer| balancer.is_of(pool) && balancer.is_enabled()) {
                inquiry.add(&CloudflareFinding::RecordsBehindBalancer { pool: pool.clone() });
            }
            if checked.insert(zone.id.clone()) {
                self.report_other_marks(&zone, inquiry).await;
            }
            account = account.or(zone.account.id);
        }
        account
    }

    /// Notes the names in a zone whose records bear the mark of another Daymark, or of a pool that is no longer published.
    async fn report_other_marks(&self, zone: &CloudflareZone, inquiry: &mut Inquiry) {
        let query = [("comment.startswith", MARK)];
        let records = self.client.list::<Record>(Call::ReadRecords, &records_path(zone), &query).await;
        // Publishing reports a missing permission.
        let records = inquiry.take_if_permitted(records.map_err(PoolFault::Call)).unwrap_or_default();
        let is_served = |record: &&Record| {
            let mut pools = self.settings.pools.iter();
            pools.any(|served| record.name.eq_ignore_ascii_case(served.pool.as_str()))
        };
        let others = records.iter().filter(|record| !is_served(record));
        let others: BTreeSet<String> =
            others.filter_map(|record| Some(format!("{} ({})", record.name, record.mark()?))).collect();
        if !others.is_empty() {
            let others = others.into_iter().collect::<Vec<_>>().join(", ");
            let zone = &zone.name;
            inquiry
                .notes
                .push(format!("the zone {zone} also has records of Daymark for other names, which stay: {others}"));
        }
    }

    async fn balancing_findings(&self, account: &str, manage: Manage, decision: &Decision, inquiry: &mut Inquiry) {
        // Daymark corrects a setup of its own, or publishing reports why it cannot.
        let is_own = manage != Manage::Origins;
        let pools = inquiry.take(self.pools(account).await).unwrap_or_default();
        for served in &self.settings.pools {
            let Some(answer) = decision.answer(&served.pool) else { continue };
            let name = self.cloudflare_pool_name(answer);
            let found = self.zone_of_balancer(&served.pool, inquiry).await;
            let balancers = match &found {
                Some(zone) => self.balancers_once(zone, false, inquiry).await,
                None => None,
            };
            // Publishing reports a missing pool.
            let Some(pool) = pools.iter().find(|pool| pool.name() == name || pool.id() == name) else { continue };
            inquiry.add_all(pool_findings(pool, answer, is_own));
            self.sharing_findings(account, pool, &served.pool, inquiry).await;
            let (Some(zone), Some(balancers)) = (&found, &balancers) else { continue };
            let balancer = balancers.iter().find(|balancer| balancer.is_of(&served.pool));
            if !is_own {
                let ttl = balancer.filter(|balancer| !balancer.is_proxied()).and_then(Balancer::ttl);
                self.note_ttl(&served.pool, ttl.and_then(|ttl| u32::try_from(ttl).ok()));
            }
            inquiry.add_all(balancer_findings(served, pool, &pools, balancer, is_own));
            let is_balanced = balancer.is_some_and(Balancer::is_enabled);
            self.shadowed_findings(zone, &served.pool, is_balanced, inquiry).await;
        }
    }

    /// The load balancers of a zone, read once for all its pools. With `is_optional` the token may lack the permission.
    async fn balancers_once(
        &self,
        zone: &CloudflareZone,
        is_optional: bool,
        inquiry: &mut Inquiry,
    ) -> Option<Vec<Balancer>> {
        if let Some(known) = inquiry.balancers.get(&zone.id) {
            return Some(known.clone());
        }
        let read = self.balancers(zone).await;
        let read = if is_optional { inquiry.take_if_permitted(read) } else { inquiry.take(read) }?;
        inquiry.balancers.insert(zone.id.clone(), read.clone());
        Some(read)
    }

    /// The zone of a balancer. Without one in the configuration, a token that sees no zone is good enough to switch origins.
    async fn zone_of_balancer(&self, pool: &PoolName, inquiry: &mut Inquiry) -> Option<CloudflareZone> {
        let zone = self.zone(pool).await;
        let is_optional =
            matches!(&self.settings.mode, PublishMode::LoadBalancing { zone: None, manage: Manage::Origins, .. });
        if let (true, Err(PoolFault::Call(CallError::Refused { .. }) | PoolFault::Blocked(_))) = (is_optional, &zone) {
            inquiry.notes.push(format!("the token sees no zone of {pool}, so its load balancer is not checked"));
            return None;
        }
        let found = inquiry.take(zone)?;
        inquiry.add_all(found.nearer_finding(pool).into_iter().chain(found.zone.findings(pool)));
        Some(found.zone)
    }

    /// Reports load balancers of other names that use a pool.
    async fn sharing_findings(&self, account: &str, pool: &CloudflarePool, name: &PoolName, inquiry: &mut Inquiry) {
        let references = inquiry.take_if_permitted(self.references(account, pool).await).unwrap_or_default();
        let balancers = references.into_iter().filter(Reference::is_balancer).map(|reference| reference.resource_name);
        let others: Vec<String> = balancers.filter(|balancer| to_ascii(balancer) != name.as_str()).collect();
        if !others.is_empty() {
            inquiry.add(&CloudflareFinding::PoolShared { name: pool.name().to_owned(), pool: name.clone(), others });
        }
    }

    /// Reports records at the name of a balancer, which answer if it is disabled, and records that delegate the name.
    async fn shadowed_findings(
        &self,
        zone: &CloudflareZone,
        name: &PoolName,
        is_balanced: bool,
        inquiry: &mut Inquiry,
    ) {
        let path = records_path(zone);
        let records = inquiry.take_if_permitted(self.records(&path, name.as_str()).await).unwrap_or_default();
        let is_address = |record: &&Record| matches!(record.kind.as_str(), "A" | "AAAA" | "CNAME");
        let hidden = records.iter().filter(is_address).filter(|_| is_balanced).map(RecordLabel::from);
        inquiry.add_all(hidden.map(|record| CloudflareFinding::RecordHidden { record }));
        let delegations = inquiry.take_if_permitted(self.delegations(name, zone).await).unwrap_or_default();
        let at_name = records.into_iter().filter(|record| record.kind == "NS" && !zone.is_apex(name));
        let delegating = delegations.into_iter().chain(at_name).map(|record| RecordLabel::from(&record));
        inquiry.add_all(delegating.map(|record| CloudflareFinding::RecordDelegates { record, pool: name.clone() }));
    }
}
