use std::collections::BTreeMap;

use super::*;

fn family(order: Order, max_answers: usize, weights: &[u16]) -> FamilyAnswer {
    let data = (1..).map(|n| RData::from(IpAddr::from([192, 0, 2, n])));
    FamilyAnswer { order, max_answers, data: data.take(weights.len()).collect(), weights: weights.to_vec() }
}

#[test]
fn weights_of_any_size_draw_every_address_once() {
    let mut rng = fastrand::Rng::with_seed(1);
    let family = family(Order::Weighted, 4, &[u16::MAX, 1, 1, u16::MAX]);
    for _ in 0..1000 {
        let mut drawn: Vec<String> = family.draw_by_weight(&mut rng).iter().map(ToString::to_string).collect();
        drawn.sort();
        assert_eq!(drawn, ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"]);
    }
}

#[test]
fn the_second_is_drawn_by_weight_among_the_remaining() {
    let mut rng = fastrand::Rng::with_seed(1);
    let family = family(Order::Weighted, 2, &[2, 1, 1]);
    let mut pairs = BTreeMap::new();
    for _ in 0..12_000 {
        let drawn: Vec<String> = family.draw_by_weight(&mut rng).iter().map(ToString::to_string).collect();
        *pairs.entry((drawn[0].clone(), drawn[1].clone())).or_insert(0_i32) += 1;
    }
    // 1/2 * 1/2 for the first pair; 1/4 * 2/3 and 1/4 * 1/3 for those that begin with the second.
    for ((first, second), expected) in [((1, 2), 3000), ((2, 1), 2000), ((2, 3), 1000)] {
        let count = pairs[&(format!("192.0.2.{first}"), format!("192.0.2.{second}"))];
        assert!((count - expected).abs() < 200, "{first}, {second}: {count}");
    }
}

#[test]
fn without_addresses_nothing_is_drawn() {
    assert!(family(Order::Weighted, 0, &[]).draw_by_weight(&mut fastrand::Rng::new()).is_empty());
    let three = family(Order::Weighted, 1, &[1, 1, 1]);
    assert!((0..1000).all(|_| three.draw_by_weight(&mut fastrand::Rng::new()).len() == 1));
}

#[test]
fn serials_wrap() {
    assert_eq!(serial(None, 1), 1);
    assert_eq!(serial(None, u64::from(u32::MAX)), u32::MAX);
    assert_eq!(serial(None, 1 << 32), 0);
}
