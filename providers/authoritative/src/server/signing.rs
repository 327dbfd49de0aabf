//! The signatures of the served zones: their renewal and their status.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Authoritative;
use crate::dnssec::{KeyRole, OVERDUE_SECONDS, ZoneSigner};
use crate::zone::Zone;

/// The pause between two looks at the wall clock, which may jump.
const RENEWAL_PAUSE: Duration = Duration::from_secs(10);

/// The signatures of one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneSignatures {
    /// The name of the zone.
    pub zone: String,
    /// The keys of the zone.
    pub keys: Vec<ZoneKeyStatus>,
    /// The end of the first signature that ends.
    pub expires_at: SystemTime,
}

/// One key of a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZoneKeyStatus {
    /// The tag by which signatures refer to the key.
    pub tag: u16,
    /// The records that the key signs.
    pub role: KeyRole,
    /// The key signs. Otherwise it is only published.
    pub is_active: bool,
}

impl ZoneSignatures {
    /// True if the first end is so near that the renewal must have failed: less than a quarter of the validity is left, and the
    /// renewal is due with a third.
    pub fn is_overdue(&self, now: SystemTime) -> bool {
        self.expires_at < now + Duration::from_secs(OVERDUE_SECONDS)
    }
}

impl Authoritative {
    /// The signatures of every zone that is signed.
    pub fn signatures(&self) -> Vec<ZoneSignatures> {
        let inputs = self.inputs.lock().unwrap_or_else(PoisonError::into_inner);
        let served = self.responder.served.load();
        let signed = inputs.zones().iter().filter_map(|zone| {
            let signer = zone.signer()?;
            let times = served.signature_times(zone.apex())?;
            let keys = signer.keys().iter().map(|key| ZoneKeyStatus {
                tag: key.key.tag(key.role),
                role: key.role,
                is_active: key.is_active,
            });
            Some(ZoneSignatures {
                zone: zone.apex().to_string().trim_end_matches('.').to_owned(),
                keys: keys.collect(),
                expires_at: UNIX_EPOCH + Duration::from_secs(times.first_end),
            })
        });
        signed.collect()
    }

    /// The keys of the served zones, their roles and the kind of the proofs, as lines. Hosts with the same lines sign alike.
    pub fn signing_lines(&self) -> BTreeSet<String> {
        signing_lines(self.inputs.lock().unwrap_or_else(PoisonError::into_inner).zones())
    }

    /// Renews the signatures that are due at this moment. It is cheap if none is.
    pub fn renew_signatures(&self, now: SystemTime) {
        let now = unix_seconds(now);
        if self.responder.served.load().needs_renewal(now) {
            let inputs = self.inputs.lock().unwrap_or_else(PoisonError::into_inner);
            self.replace_served(&inputs, now);
        }
    }

    /// Renews signatures in time by the wall clock, and also after a jump of it. Never returns.
    pub(super) async fn keep_signatures(&self, wall_clock: impl Fn() -> SystemTime) {
        loop {
            tokio::time::sleep(RENEWAL_PAUSE).await;
            self.renew_signatures(wall_clock());
        }
    }
}

pub(super) fn signing_lines(zones: &[Arc<Zone>]) -> BTreeSet<String> {
    zones.iter().filter_map(|zone| zone.signer()).flat_map(ZoneSigner::signing_lines).collect()
}

/// The wall clock, in seconds since the Unix epoch.
pub(super) fn unix_now() -> u64 {
    unix_seconds(SystemTime::now())
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
