//! The notes and the alarms of the DNS server for `daymark status`, each a sentence.

use std::time::{SystemTime, UNIX_EPOCH};

use daymark_authoritative::{RateLimitCounts, ZoneKeyStatus, ZoneSignatures};
use daymark_decision::Moment;

use crate::metrics::DnsReadings;

/// Every note.
pub(super) fn notes(readings: &DnsReadings) -> Vec<String> {
    let queries: u64 = readings.queries.iter().map(|counted| counted.count).sum();
    let limited = readings.rate_limited.unwrap_or_default();
    let notes = [copied(readings.copied, queries), withheld(limited)].into_iter().flatten();
    notes.chain(readings.signatures.iter().map(signatures)).collect()
}

/// The alarms of signatures that were not renewed in time.
pub(super) fn alarms(readings: &DnsReadings, now: Moment) -> Vec<String> {
    let alarm = |signatures: &ZoneSignatures| {
        let end = moment(signatures.expires_at);
        let effect = if end > now {
            format!("ends at {end}, and from then on resolvers that validate answer SERVFAIL")
        } else {
            format!("ended at {end}, so resolvers that validate answer SERVFAIL")
        };
        let zone = &signatures.zone;
        format!(
            "{zone}: signatures are not renewed: the first {effect}; see the log for the cause, and restart Daymark"
        )
    };
    let time = UNIX_EPOCH + now.since(Moment::default());
    readings.signatures.iter().filter(|zone| zone.is_overdue(time)).map(alarm).collect()
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
    format!(
        "{zone} is signed; its keys are {}, and its first signature ends at {}",
        keys.join(", "),
        moment(*expires_at)
    )
}

fn moment(time: SystemTime) -> Moment {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Moment::from_unix_seconds(i64::try_from(seconds).unwrap_or(i64::MAX))
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

    const END: u64 = 1_796_515_201;

    fn zone() -> ZoneSignatures {
        ZoneSignatures {
            zone: "kube-cp.com".to_owned(),
            keys: vec![
                ZoneKeyStatus { tag: 31589, role: KeyRole::Combined, is_active: true },
                ZoneKeyStatus { tag: 258, role: KeyRole::ZoneSigning, is_active: false },
            ],
            expires_at: UNIX_EPOCH + Duration::from_secs(END),
        }
    }

    #[test]
    fn signatures_that_were_not_renewed_in_time_are_an_alarm() {
        let readings = DnsReadings { signatures: vec![zone()], ..DnsReadings::default() };
        let alarms = |seconds| alarms(&readings, Moment::from_unix_seconds(i64::try_from(seconds).unwrap()));
        assert_eq!(alarms(END - 43 * 3600), [""; 0]);
        assert_eq!(
            alarms(END - 41 * 3600),
            [
                "kube-cp.com: signatures are not renewed: the first ends at 2026-12-06T00:00:01Z, and from then on resolvers that \
              validate answer SERVFAIL; see the log for the cause, and restart Daymark"
            ]
        );
        assert_eq!(
            alarms(END),
            [
                "kube-cp.com: signatures are not renewed: the first ended at 2026-12-06T00:00:01Z, so resolvers that validate answer \
              SERVFAIL; see the log for the cause, and restart Daymark"
            ]
        );
    }

    #[test]
    fn the_note_has_the_keys_and_the_end() {
        assert_eq!(
            signatures(&zone()),
            "kube-cp.com is signed; its keys are 31589 (csk), 258 (zsk, published only), and its first signature ends at \
             2026-12-06T00:00:01Z"
        );
    }
}
