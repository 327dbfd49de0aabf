//! The signatures of a zone, as a sentence for `daymark status`.

use std::time::UNIX_EPOCH;

use daymark_authoritative::{ZoneKeyStatus, ZoneSignatures};
use jiff::Timestamp;

/// The keys of a signed zone, and the end of its signatures.
pub(super) fn note(signatures: &ZoneSignatures) -> String {
    let ZoneSignatures { zone, keys, expires_at } = signatures;
    let key = |key: &ZoneKeyStatus| {
        let state = if key.is_active { "" } else { ", published only" };
        format!("{} ({}{state})", key.tag, key.role)
    };
    let keys: Vec<String> = keys.iter().map(key).collect();
    let seconds = expires_at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let end = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    let end = end.map(|end| end.to_string()).unwrap_or_default();
    format!("{zone} is signed; its keys are {}, and its first signature ends at {end}", keys.join(", "))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use daymark_authoritative::KeyRole;

    use super::*;

    #[test]
    fn the_note_has_the_keys_and_the_end() {
        let signatures = ZoneSignatures {
            zone: "kube-cp.com".to_owned(),
            keys: vec![
                ZoneKeyStatus { tag: 31589, role: KeyRole::Combined, is_active: true },
                ZoneKeyStatus { tag: 258, role: KeyRole::ZoneSigning, is_active: false },
            ],
            expires_at: UNIX_EPOCH + Duration::from_secs(1_796_515_201),
        };
        assert_eq!(
            note(&signatures),
            "kube-cp.com is signed; its keys are 31589 (csk), 258 (zsk, published only), and its first signature ends at \
             2026-12-06T00:00:01Z"
        );
    }
}
