//! The SOA serial of a zone, by the generation of the decision (rules 8.2 and 8.6 of `docs/ALGORITHM.md`).

/// The generations of one lap. A serial that is less than half a circle ahead of another is greater (RFC 1982, section 3.2), and
/// this is that half. It takes 388 days.
const LAP: u64 = 1 << 31;
/// The generations at the end of a lap that lead back to its beginning: 24 days.
const RETURN: u64 = 1 << 27;
/// The additional advance of the serial on the way back. With it, both steps of the way are shorter than half a circle.
const RETURN_STEP: u32 = 1 << 30;

/// The serial of a zone. `own` is the serial of the SOA record in its master file, if it has one.
///
/// Without such a record, the serial is the low 32 bits of the generation. With one, it is the file's serial plus the advance of
/// the generation. So it rises with each of the two, and nothing has to be remembered.
pub(crate) fn serial(own: Option<u32>, generation: u64) -> u32 {
    own.map_or_else(|| low_bits(generation), |own| own.wrapping_add(advance(generation)))
}

/// The advance of a serial with the generation. It is in the half circle ahead of zero, except on the way back.
fn advance(generation: u64) -> u32 {
    let lap = generation % LAP;
    let step = if lap < LAP - RETURN { 0 } else { RETURN_STEP };
    low_bits(lap).wrapping_add(step)
}

#[expect(clippy::cast_possible_truncation, reason = "serials wrap around and are compared modulo 2^32 (RFC 1982)")]
fn low_bits(generation: u64) -> u32 {
    generation as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The generation of a time, in seconds since the Unix epoch.
    fn generation_at(seconds: u64) -> u64 {
        seconds * 64
    }

    /// Compares serials by RFC 1982, section 3.2.
    fn is_greater(one: u32, other: u32) -> bool {
        one != other && one.wrapping_sub(other) < 1 << 31
    }

    #[test]
    fn without_a_serial_in_the_file_it_is_the_low_half_of_the_generation_and_wraps() {
        for (generation, expected) in [(1, 1), (u64::from(u32::MAX), u32::MAX), (1 << 32, 0)] {
            assert_eq!(serial(None, generation), expected);
        }
    }

    #[test]
    fn a_serial_of_dates_goes_on_from_the_date() {
        // 2026-11-29, 00:00 UTC.
        let generation = generation_at(1_795_910_400);
        assert_eq!(generation % LAP, 1_121_632_256);
        let served = serial(Some(2_026_112_901), generation);
        assert_eq!(served, 2_026_112_901 + 1_121_632_256);
        assert!(is_greater(served, 2_026_112_901));
        assert!(!is_greater(serial(None, 54 * LAP + 5), 2_026_112_901), "the generation alone can be behind");
    }

    #[test]
    fn a_newer_date_in_the_file_and_a_newer_generation_each_raise_it() {
        let generation = generation_at(1_795_910_400);
        let served = serial(Some(2_026_112_901), generation);
        assert!(is_greater(serial(Some(2_026_112_902), generation), served));
        assert!(is_greater(serial(Some(2_026_112_901), generation + 1), served));
        assert!(is_greater(serial(Some(2_027_010_101), generation + 1), served));
    }

    #[test]
    fn a_lap_ends_in_two_steps_forward() {
        let own = Some(2_026_112_901);
        let last_of_the_lap = serial(own, 2 * LAP - RETURN - 1);
        let first_of_the_return = serial(own, 2 * LAP - RETURN);
        let last_of_the_return = serial(own, 2 * LAP - 1);
        let first_of_the_next = serial(own, 2 * LAP);
        let serials = [last_of_the_lap, first_of_the_return, last_of_the_return, first_of_the_next];
        assert!(serials.is_sorted_by(|one, next| is_greater(*next, *one)), "{serials:?}");
        assert_eq!(first_of_the_next, 2_026_112_901);
    }

    #[test]
    fn for_all_but_the_last_days_of_a_lap_it_is_ahead_of_the_file() {
        for generation in [1, 77, LAP - RETURN - 1, LAP + 1, 2 * LAP - RETURN - 1, 54 * LAP + LAP / 2] {
            for own in [0, 1, 2_020_010_101, u32::MAX] {
                assert!(is_greater(serial(Some(own), generation), own), "{own} and {generation}");
            }
        }
    }

    proptest! {
        /// Reloads, restarts with and without their state, and edits of the file: each raises the file's serial, the generation,
        /// or both, between two looks of an observer who looks at least once in 24 days.
        #[test]
        fn it_never_goes_back_over_reloads_restarts_and_edits_of_the_file(
            first in any::<u32>(),
            start in 0..u64::MAX / 2,
            steps in prop::collection::vec((0..1_u32 << 29, 1..=RETURN), 1..100),
        ) {
            let mut own = first;
            let mut generation = start;
            let mut served = serial(Some(own), generation);
            for (edit, change) in steps {
                own = own.wrapping_add(edit);
                generation += change;
                let next = serial(Some(own), generation);
                prop_assert!(is_greater(next, served), "{served} becomes {next} with {own} and {generation}");
                served = next;
            }
        }

        /// Two hosts with the same file: the one with the newer generation has the greater serial.
        #[test]
        fn hosts_with_the_same_file_differ_as_their_generations_do(
            own in any::<u32>(),
            generation in 0..u64::MAX / 2,
            ahead in 1..=RETURN,
        ) {
            prop_assert!(is_greater(serial(Some(own), generation + ahead), serial(Some(own), generation)));
        }
    }
}
