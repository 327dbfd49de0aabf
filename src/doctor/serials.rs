//! The serials of the name servers, compared with the clock and with each other.
//!
//! A serial is the low half of a generation, which counts sixty-fourths of a second (rule 8.2 of `docs/ALGORITHM.md`). So each host
//! has its own, and only one that no clock explains is a fault.

use daymark_decision::Moment;

use super::diagnosis::{Diagnosis, DoctorSection, Symptom};
use super::setup::DelegatedZone;

/// The generations in a second.
const SERIALS_PER_SECOND: i64 = 64;
/// A serial may be so much ahead of the clock, in seconds: a run begins five minutes ahead, and clocks differ a little.
const MAX_SERIAL_LEAD: i64 = 600;
/// Serials may differ by so much, in seconds: a host that is restarted gets a new one, and the others keep theirs.
const MAX_SERIAL_SPREAD: i64 = 30 * 86_400;

/// The serial of one server.
#[derive(Clone, Debug)]
pub(super) struct ServerSerial {
    /// The name and the address of the server.
    pub(super) label: String,
    /// Its serial.
    pub(super) serial: u32,
}

/// The diagnosis of a serial that the clock has not reached. The serial of a zone file goes its own way.
pub(super) fn ahead(zone: &DelegatedZone, server: &ServerSerial, now: Moment) -> Option<Diagnosis> {
    let ServerSerial { label, serial } = server;
    let seconds = i64::try_from(now.as_secs()).ok()?;
    let by_clock = u32::try_from((seconds * SERIALS_PER_SECOND) & i64::from(u32::MAX)).ok()?;
    let lead = lead(*serial, by_clock);
    (!zone.has_file && lead > MAX_SERIAL_LEAD).then(|| {
        let message = format!(
            "the serial {serial} of {} is {} ahead of the clock here; compare the clocks, and see that Daymark answers there",
            zone.apex,
            length(lead)
        );
        Diagnosis::warn(DoctorSection::NameServers, label, Symptom::SerialApart, message)
    })
}

/// The diagnosis of the two serials that are furthest apart.
pub(super) fn spread(zone: &DelegatedZone, serials: &[ServerSerial]) -> Option<Diagnosis> {
    let pairs = serials.iter().flat_map(|newer| serials.iter().map(move |older| [newer, older]));
    let [newer, older] = pairs.max_by_key(|[newer, older]| lead(newer.serial, older.serial))?;
    let apart = lead(newer.serial, older.serial);
    (apart > MAX_SERIAL_SPREAD).then(|| {
        let message = format!(
            "the serials are {} apart: {} at {}, {} at {}; see by `daymark status` that both hosts run Daymark with this zone and \
             still follow the nodes",
            length(apart),
            newer.serial,
            newer.label,
            older.serial,
            older.label
        );
        Diagnosis::warn(DoctorSection::NameServers, &zone.apex, Symptom::SerialApart, message)
    })
}

/// The seconds by which a serial is ahead of another (RFC 1982, section 3.2); below zero, it is behind.
fn lead(serial: u32, other: u32) -> i64 {
    let ahead = i64::from(serial.wrapping_sub(other));
    let signed = if ahead < 1 << 31 { ahead } else { ahead - (1 << 32) };
    signed / SERIALS_PER_SECOND
}

/// A length of time in its largest unit, such as `9 minutes`.
pub(super) fn length(seconds: i64) -> String {
    match seconds.abs() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7_200 => format!("{} minutes", seconds / 60),
        seconds @ ..172_800 => format!("{} hours", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}
