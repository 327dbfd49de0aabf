//! The text of a duration for people, in the units of the configuration, and its form in JSON.

use std::time::Duration;

/// A duration as the configuration writes it, in the largest unit that needs no fraction: `90s`, `2m`.
pub fn duration_text(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    let units = [(3_600_000, "h"), (60_000, "m"), (1000, "s")];
    let whole =
        |unit: u128| milliseconds.checked_div(unit).filter(|count| *count > 0 && milliseconds.is_multiple_of(unit));
    let text = units.into_iter().find_map(|(unit, name)| Some(format!("{}{name}", whole(unit)?)));
    text.unwrap_or_else(|| format!("{milliseconds}ms"))
}

/// The form of an optional duration in JSON: whole milliseconds, rounded down. Its key ends in `Ms`.
pub mod optional_milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::moment::millis;

    /// Writes the milliseconds.
    #[allow(clippy::ref_option, reason = "the signature is serde's")]
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        duration.map(millis).serialize(serializer)
    }

    /// Reads the milliseconds.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_written_in_the_largest_unit_without_a_fraction() {
        let texts = [(50, "50ms"), (1_500, "1500ms"), (90_000, "90s"), (120_000, "2m"), (7_200_000, "2h"), (0, "0ms")];
        for (milliseconds, text) in texts {
            assert_eq!(duration_text(Duration::from_millis(milliseconds)), text);
        }
    }
}
