//! Which of the numbered messages of a run have come already: a sliding window, as in RFC 4303, section 3.4.3.

/// How many numbers below the highest can still be told apart.
const WIDTH: u64 = 128;

/// The numbers that have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    /// One above the highest; 0 where none has come.
    next: u64,
    /// Bit `n`: whether the number `next - 1 - n` has come.
    seen: u128,
}

impl Window {
    /// Takes a number in; `false` where it has come already, or is too old to tell.
    pub(crate) fn take(&mut self, number: u64) -> bool {
        let Some(next) = number.checked_add(1) else { return false };
        if next > self.next {
            let by = u32::try_from(next - self.next).unwrap_or(u32::MAX);
            self.seen = self.seen.checked_shl(by).unwrap_or_default() | 1;
            self.next = next;
            return true;
        }
        let age = self.next - next;
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
    fn each_number_is_taken_once_in_any_order_within_the_window() {
        let mut window = Window::default();
        let taken: Vec<bool> = [5, 3, 5, 4, 3, 0, 200, 72, 73, 73, 200].map(|number| window.take(number)).into();
        assert_eq!(taken, [true, true, false, true, false, true, true, false, true, false, false]);
    }

    #[test]
    fn the_last_number_of_all_is_refused() {
        assert!(!Window::default().take(u64::MAX));
        assert!(Window::default().take(u64::MAX - 1));
    }

    proptest! {
        #[test]
        fn nothing_is_taken_twice_and_nothing_near_the_highest_is_missed(numbers in prop::collection::vec(0..300_u64, 0..500)) {
            let (mut window, mut model, mut highest) = (Window::default(), BTreeSet::new(), 0);
            for number in numbers {
                highest = highest.max(number);
                let expected = highest - number < WIDTH && model.insert(number);
                prop_assert_eq!(window.take(number), expected);
            }
        }
    }
}
