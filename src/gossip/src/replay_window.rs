//! Protection against replay: a sliding window over the sequence numbers of one sender's run (RFC 4303, section 3.4.3).
//!
//! The window knows numbers alone. It does not know whose they are, and its owner makes a new one for each run.

/// The number of sequence numbers, counted down from the highest, that the window can tell apart.
const WIDTH: u64 = 128;

/// The sequence numbers that have arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReplayWindow {
    /// One above the highest number; 0 before the first.
    next: u64,
    /// Bit `n` is set if the number `next - 1 - n` has arrived.
    seen: u128,
}

impl ReplayWindow {
    /// Records a number. Returns `false` if it has arrived before or lies below the window.
    pub(crate) fn accept(&mut self, number: u64) -> bool {
        let Some(next) = number.checked_add(1) else { return false };
        if let Some(ahead) = next.checked_sub(self.next).filter(|ahead| *ahead > 0) {
            let by = u32::try_from(ahead).unwrap_or(u32::MAX);
            self.seen = self.seen.checked_shl(by).unwrap_or_default() | 1;
            self.next = next;
            return true;
        }
        let age = self.next.saturating_sub(next);
        if age >= WIDTH {
            return false;
        }
        let bit = 1_u128 << age;
        let is_new = self.seen & bit == 0;
        self.seen |= bit;
        is_new
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_number_is_accepted_once_in_any_order_within_the_window() {
        let mut window = ReplayWindow::default();
        let accepted: Vec<bool> = [5, 3, 5, 4, 3, 0, 200, 72, 73, 73, 200].map(|number| window.accept(number)).into();
        assert_eq!(accepted, [true, true, false, true, false, true, true, false, true, false, false]);
    }

    #[test]
    fn the_greatest_number_of_all_is_rejected() {
        assert!(!ReplayWindow::default().accept(u64::MAX));
        assert!(ReplayWindow::default().accept(u64::MAX - 1));
    }

    proptest! {
        #[test]
        fn no_number_is_accepted_twice_and_none_near_the_highest_is_missed(numbers in prop::collection::vec(0..300_u64, 0..500)) {
            let mut window = ReplayWindow::default();
            let mut model = BTreeSet::new();
            let mut highest = 0;
            for number in numbers {
                highest = highest.max(number);
                let expected = highest - number < WIDTH && model.insert(number);
                prop_assert_eq!(window.accept(number), expected);
            }
        }
    }
}
