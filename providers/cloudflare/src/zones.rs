//! Finds the zone of a pool.
//!
//! ```text
//! zone given by ID     read it, and compare its name with the pool's
//! zone given by name   look it up
//! no zone given        look each parent of the pool's name up, the longest first
//! ```
//!
//! Cloudflare takes the name of a record outside its zone as relative to the zone. So every zone is compared with the pool's name
//! before anything is written to it.

use daymark_decision::PoolName;

use crate::api::{CloudflareZone, PoolZone, Record, ZoneKind, records_path};
use crate::client::Call;
use crate::fault::PoolFault;
use crate::finding::CloudflareFinding;
use crate::idn::to_ascii;
use crate::observe::Observer;
use crate::settings::{PublishMode, is_id};

impl Observer {
    /// The zone of a pool. Each zone is looked up once.
    pub(crate) async fn zone(&self, pool: &PoolName) -> Result<PoolZone, PoolFault> {
        let given = match self.configured_zone() {
            Some(id) if is_id(id) => self.zones_of(id).await?.pop(),
            Some(name) => Some(select_zone(name, self.zones_of(name).await?)?.ok_or_else(|| self.unseen(name))?),
            None => None,
        };
        if let Some(zone) = &given
            && !lies_in(pool.as_str(), &zone.name)
        {
            let CloudflareZone { id, name, .. } = zone.clone();
            return Err(CloudflareFinding::ZoneElsewhere { pool: pool.clone(), zone: name, id }.into());
        }
        // The parents of the name that are longer than the given zone. A top-level domain is no zone of Cloudflare's.
        let longer = |name: &&str| match &given {
            Some(zone) => name.len() > to_ascii(&zone.name).len(),
            None => name.contains('.'),
        };
        let mut unanswered = Vec::new();
        for name in parents(pool.as_str()).take_while(longer) {
            let zones = self.zones_of(name).await?;
            let (answering, others): (Vec<_>, Vec<_>) = zones.into_iter().partition(CloudflareZone::is_answering);
            match (&given, answering.first()) {
                (Some(zone), Some(nearer)) => {
                    return Ok(PoolZone { zone: zone.clone(), nearer: Some(nearer.name.clone()) });
                }
                (None, Some(_)) => {
                    let zone = select_zone(name, answering)?.ok_or_else(|| self.unseen(name))?;
                    return Ok(PoolZone { zone, nearer: None });
                }
                (None, None) if unanswered.is_empty() => unanswered = others,
                (_, None) => {}
            }
        }
        let zone = match given {
            Some(zone) => Some(zone),
            None => select_zone(pool.as_str(), unanswered)?,
        };
        let zone = zone.ok_or_else(|| self.unseen(&format!("in which the name {pool} lies")))?;
        Ok(PoolZone { zone, nearer: None })
    }

    /// Looks the zones up again next time, because they may be others now.
    pub(crate) fn forget_zones(&self) {
        self.zones.lock().clear();
    }

    /// The zone that the configuration gives, by name or by ID.
    fn configured_zone(&self) -> Option<&str> {
        let (PublishMode::Records { zone, .. } | PublishMode::LoadBalancing { zone, .. }) = &self.settings.mode;
        zone.as_deref()
    }

    /// The zones of a name, or the zone of an ID. Each is looked up once.
    async fn zones_of(&self, name: &str) -> Result<Vec<CloudflareZone>, PoolFault> {
        let known = self.zones.lock().get(name).cloned();
        if let Some(zones) = known {
            return Ok(zones);
        }
        let zones = if is_id(name) {
            vec![self.client.get(Call::ReadZone, &format!("/zones/{name}")).await?]
        } else {
            self.zones_of_name(name).await?
        };
        self.zones.lock().insert(name.to_owned(), zones.clone());
        Ok(zones)
    }

    async fn zones_of_name(&self, name: &str) -> Result<Vec<CloudflareZone>, PoolFault> {
        // The API lists an internationalised name in Unicode, and finds it by both forms.
        let ascii = to_ascii(name);
        let mut query = vec![("name", ascii.as_str())];
        // Two accounts may have a zone of the same name.
        query.extend(self.account().map(|account| ("account.id", account)));
        let mut found: Vec<CloudflareZone> = self.client.list(Call::ReadZone, "/zones", &query).await?;
        found.retain(|zone| to_ascii(&zone.name) == ascii);
        Ok(found)
    }

    /// The account that the configuration gives.
    fn account(&self) -> Option<&str> {
        match &self.settings.mode {
            PublishMode::LoadBalancing { account, .. } => Some(account),
            PublishMode::Records { .. } => None,
        }
    }

    fn unseen(&self, zone: &str) -> PoolFault {
        CloudflareFinding::ZoneUnseen { zone: zone.to_owned(), account: self.account().map(str::to_owned) }.into()
    }

    /// Reads the NS records between a pool's name and its zone. They delegate the name, so that Cloudflare does not answer for it.
    pub(crate) async fn delegations(&self, pool: &PoolName, zone: &CloudflareZone) -> Result<Vec<Record>, PoolFault> {
        let apex = to_ascii(&zone.name);
        let between: Vec<&str> = parents(pool.as_str()).skip(1).take_while(|name| name.len() > apex.len()).collect();
        // The records of the name itself are read anyway.
        if between.is_empty() {
            return Ok(Vec::new());
        }
        let path = records_path(zone);
        let mut records: Vec<Record> = self.client.list(Call::ReadRecords, &path, &[("type", "NS")]).await?;
        records.retain(|record| between.iter().any(|name| record.name.eq_ignore_ascii_case(name)));
        Ok(records)
    }
}

impl PoolZone {
    /// Reports a nearer zone, which answers for the name instead.
    pub(crate) fn nearer_finding(&self, pool: &PoolName) -> Option<CloudflareFinding> {
        let nearer = self.nearer.clone()?;
        Some(CloudflareFinding::ZoneNearer { pool: pool.clone(), zone: self.zone.name.clone(), nearer })
    }
}

impl CloudflareZone {
    /// Refuses a zone whose records nobody can write.
    pub(crate) fn ensure_writable(&self) -> Result<(), PoolFault> {
        if self.kind != ZoneKind::Secondary {
            return Ok(());
        }
        Err(CloudflareFinding::ZoneSecondary { zone: self.name.clone() }.into())
    }

    /// Returns true if this is the name of the zone itself.
    pub(crate) fn is_apex(&self, pool: &PoolName) -> bool {
        to_ascii(&self.name) == pool.as_str()
    }

    /// Returns true if Cloudflare answers for its names.
    fn is_answering(&self) -> bool {
        self.is_active() && matches!(self.kind, ZoneKind::Full | ZoneKind::Secondary | ZoneKind::Unknown)
    }

    /// Reports a zone whose names clients do not resolve as Daymark writes them.
    pub(crate) fn findings(&self, pool: &PoolName) -> Vec<CloudflareFinding> {
        let zone = || self.name.clone();
        let of_kind = match self.kind {
            ZoneKind::Partial => Some(CloudflareFinding::ZonePartial { zone: zone(), pool: pool.clone() }),
            ZoneKind::Internal => Some(CloudflareFinding::ZoneInternal { zone: zone() }),
            _ => None,
        };
        let status = self.status.clone().filter(|status| status != "active");
        let inactive = status.map(|status| CloudflareFinding::ZoneInactive { zone: zone(), status });
        of_kind.into_iter().chain(inactive).collect()
    }
}

/// Selects the zone of a name: the active one, if there are several.
fn select_zone(name: &str, mut zones: Vec<CloudflareZone>) -> Result<Option<CloudflareZone>, PoolFault> {
    if zones.iter().any(CloudflareZone::is_active) {
        zones.retain(CloudflareZone::is_active);
    }
    if zones.len() > 1 {
        let ids = zones.into_iter().map(|zone| zone.id).collect();
        return Err(CloudflareFinding::ZoneAmbiguous { name: name.to_owned(), ids }.into());
    }
    Ok(zones.pop())
}

/// A name and its parents, the longest first.
fn parents(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| name.split_once('.').map(|(_, parent)| parent))
}

/// Returns true if a name is that of a zone or lies below it.
fn lies_in(name: &str, zone: &str) -> bool {
    let zone = to_ascii(zone);
    parents(name).any(|parent| parent == zone)
}
