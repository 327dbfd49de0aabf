//! DNSSEC: signs the zones that have keys (RFC 4033 to 4035), as they are served.
//!
//! [`ZoneSigner`] has the keys of one zone and remembers its signatures. [`SignedZone`] is the outcome for one decision, with the
//! proofs that names and types do not exist. Neither knows a clock: the caller says the time.

mod canonical;
mod denial;
mod key;
mod memory;
mod role;
mod settings;
mod signed_zone;
mod signer;
mod times;

pub(crate) use denial::ProvenAbsence;
pub use key::{DnssecKey, DnssecKeyError};
pub use role::KeyRole;
pub use settings::{DenialOfExistence, SigningSettings, ZoneKey};
pub(crate) use signed_zone::SignedZone;
pub(crate) use signer::{MAX_SIGNED_TTL, ZoneSigner};
pub(crate) use times::{OVERDUE_SECONDS, SignatureTimes};
