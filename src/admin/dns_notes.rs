//! The notes of the DNS server for `daymark status`, each a sentence.

use std::time::UNIX_EPOCH;

use daymark_authoritative::{RateLimitCounts, ZoneKeyStatus, ZoneSignatures};
use jiff::Timestamp;

use crate::metrics::DnsReadings;

/// Every note.
pub(super) fn notes(readings: &DnsReadings) -> Vec<String> {
    let queries: u64 = readings.queries.iter().map(|counted| counted.count).sum();
    let limited = readings.rate_limited.unwrap_or_default();
    let notes = [copied(readings.copied, queries), withheld(limited)].into_iter().flatten();
    notes.chain(readings.signatures.iter().map(signatures)).collect()
}

/// The share of the responses that were copied. `None` before the first query.
fn copied(copied: u64, queries: u64) -> Option<String> {
    let percent = copied.min(queries).saturating_mul(100).checked_div(queries)?;
    Some(format!("{queries} queries since the start; {percent} % of the responses were copies of finished ones"))
}

/// The responses above the rate limit. `None` if there were none.
fn withheld(RateLimitCounts { dropped, slipped, log_only }: RateLimitCounts) -> Option<String> {
    if dropped + slipped + log_only == 0 {
        return None;
    }
    Some(format!(
        "responses above the rate limit since the start: {dropped} dropped, {slipped} sent truncated, {log_only} sent because of \
         `mode: logOnly`"
    ))
}

/// The keys of a signed zone, and the end of its signatures.
fn signatures(signatures: &ZoneSignatures) -> String {
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
    use crate::metrics::QueryCount;

    #[test]
    fn the_queries_and_the_withheld_responses_are_notes_once_there_are_some() {
        let counted = |count| QueryCount { transport: "udp", rcode: "NOERROR".to_owned(), count };
        let none = DnsReadings { rate_limited: Some(RateLimitCounts::default()), ..DnsReadings::default() };
        assert_eq!(notes(&none), [""; 0]);
        let some = DnsReadings {
            queries: vec![counted(150), counted(50)],
            copied: 199,
            rate_limited: Some(RateLimitCounts { dropped: 5, slipped: 6, log_only: 7 }),
            signatures: Vec::new(),
        };
        assert_eq!(
            notes(&some),
            [
                "200 queries since the start; 99 % of the responses were copies of finished ones",
                "responses above the rate limit since the start: 5 dropped, 6 sent truncated, 7 sent because of `mode: logOnly`",
            ]
        );
    }

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
            super::signatures(&signatures),
            "kube-cp.com is signed; its keys are 31589 (csk), 258 (zsk, published only), and its first signature ends at \
             2026-12-06T00:00:01Z"
        );
    }
}
