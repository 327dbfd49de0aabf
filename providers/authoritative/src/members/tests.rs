use std::collections::BTreeMap;

use super::*;

fn selection(order: Order, max_answers: usize, weights: &[u16]) -> AddressSelection {
    AddressSelection { order, max_answers, weights: weights.to_vec() }
}

/// The indices of one draw by weight, counted from 1.
fn draw(selection: &AddressSelection, rng: &mut fastrand::Rng) -> Vec<usize> {
    let mut drawn = Vec::new();
    selection.draw_by_weight(rng, &mut vec![false; selection.len()], |index| drawn.push(index + 1));
    drawn
}

#[test]
fn weights_of_any_size_draw_every_address_once() {
    let mut rng = fastrand::Rng::with_seed(1);
    let selection = selection(Order::Weighted, 4, &[u16::MAX, 1, 1, u16::MAX]);
    for _ in 0..1000 {
        let mut drawn = draw(&selection, &mut rng);
        drawn.sort_unstable();
        assert_eq!(drawn, [1, 2, 3, 4]);
    }
}

#[test]
fn the_second_is_drawn_by_weight_among_the_remaining() {
    let mut rng = fastrand::Rng::with_seed(1);
    let selection = selection(Order::Weighted, 2, &[2, 1, 1]);
    let mut pairs = BTreeMap::new();
    for _ in 0..12_000 {
        let drawn = draw(&selection, &mut rng);
        *pairs.entry((drawn[0], drawn[1])).or_insert(0_i32) += 1;
    }
    // 1/2 * 1/2 for the first pair; 1/4 * 2/3 and 1/4 * 1/3 for those that begin with the second.
    for ((first, second), expected) in [((1, 2), 3000), ((2, 1), 2000), ((2, 3), 1000)] {
        let count = pairs[&(first, second)];
        assert!((count - expected).abs() < 200, "{first}, {second}: {count}");
    }
}

#[test]
fn without_addresses_nothing_is_drawn() {
    assert!(draw(&selection(Order::Weighted, 0, &[]), &mut fastrand::Rng::new()).is_empty());
    let three = selection(Order::Weighted, 1, &[1, 1, 1]);
    assert!((0..1000).all(|_| draw(&three, &mut fastrand::Rng::new()).len() == 1));
}

#[test]
fn the_draws_that_are_signed_stay_as_they_are_while_the_answer_does() {
    let selection = AddressSelection { order: Order::Weighted, max_answers: 3, weights: (1..=12).collect() };
    let signed = selection.to_sign().unwrap();
    assert_eq!(signed.len(), SIGNED_DRAWS);
    assert_eq!(selection.to_sign().unwrap(), signed);
    let distinct: std::collections::BTreeSet<_> = signed.iter().collect();
    assert!(distinct.len() > SIGNED_DRAWS / 2, "{distinct:?}");
}
