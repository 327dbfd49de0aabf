//! The text of a duration for people, in the units of the configuration.

use std::time::Duration;

/// A duration as the configuration writes it, in the largest unit that needs no fraction: `90s`, `2m`.
pub fn duration_text(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    let units = [(3_600_000, "h"), (60_000, "m"), (1000, "s")];
    match units.into_iter().find(|(unit, _)| milliseconds >= *unit && milliseconds.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", milliseconds / unit),
        None => format!("{milliseconds}ms"),
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
