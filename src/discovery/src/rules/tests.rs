use daymark_decision::fixtures::node_name;

use super::*;

const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);
const NOT_QUITE: Duration = Duration::from_mins(59);
const ALL: [&str; 3] = ["a=1", "b=2", "c=3"];

/// Discovered nodes to which the test applies lists, one a minute.
struct Story {
    nodes: DiscoveredNodes,
    view: PoolView,
    now: Moment,
}

fn address(last: &str) -> IpAddr {
    format!("192.0.2.{last}").parse().unwrap()
}

/// `a=1,2` is the node a with the addresses 192.0.2.1 and 192.0.2.2, and `a=` one without an address.
fn nodes(list: &[&str]) -> Nodes {
    let node = |text: &&str| {
        let (name, addresses) = text.split_once('=').unwrap();
        (node_name(name), addresses.split(',').filter(|part| !part.is_empty()).map(address).collect())
    };
    list.iter().map(node).collect()
}

fn complete(list: &[&str]) -> Listing {
    Listing { nodes: nodes(list), ..Listing::default() }
}

fn cut(list: &[&str]) -> Listing {
    Listing { gap: Some("the list is cut short".to_owned()), ..complete(list) }
}

impl Story {
    /// Everything known has been listed, and can be used.
    fn of(list: &[&str]) -> Self {
        let usable = (1..=99).map(|n| address(&n.to_string())).collect();
        let view = PoolView { usable, ..PoolView::default() };
        let mut story = Self { nodes: DiscoveredNodes::default(), view, now: Moment::from_millis(1_795_341_600_000) };
        story.list(&complete(list));
        story
    }

    /// One list, a minute later.
    fn list(&mut self, listing: &Listing) -> Outcome {
        self.now = self.now.after(MINUTE);
        self.nodes.apply(listing, &self.view, HOUR, self.now)
    }

    /// The same list again and again; gives what has left.
    fn list_for(&mut self, listing: &Listing, time: Duration) -> Vec<String> {
        let until = self.now.after(time);
        let mut gone = Vec::new();
        while self.now < until {
            let events = self.list(listing).events;
            gone.extend(
                events
                    .iter()
                    .filter(|event| matches!(event, DiscoveryEvent::Gone { .. } | DiscoveryEvent::Renamed { .. }))
                    .map(name),
            );
        }
        gone
    }

    /// Only these can be used.
    fn can_use(&mut self, last: &[&str]) {
        self.view.usable = last.iter().map(|last| address(last)).collect();
    }

    fn is_known(&self, list: &[&str]) -> bool {
        self.nodes.nodes() == nodes(list)
    }

    fn stays(&self) -> Vec<StayReason> {
        self.nodes.stays(&self.view, HOUR, self.now).into_values().collect()
    }
}

fn name(event: &DiscoveryEvent) -> String {
    let (DiscoveryEvent::Gone { node, addresses, .. } | DiscoveryEvent::Discovered { node, addresses }) = event else {
        return event.to_string();
    };
    let last = |address: &IpAddr| address.to_string().rsplit('.').next().unwrap_or_default().to_owned();
    format!("{node}={}", addresses.iter().map(last).collect::<Vec<_>>().join(","))
}

#[test]
fn new_nodes_join_at_once_also_by_a_list_that_is_cut_short() {
    let mut story = Story::of(&["a=1"]);
    let outcome = story.list(&cut(&["a=1,11", "b=2"]));
    assert_eq!(outcome.events.iter().map(name).collect::<Vec<_>>(), ["a=11", "b=2"]);
    assert_eq!(outcome.doubt.as_deref(), Some("the list is cut short"));
    assert!(story.is_known(&["a=1,11", "b=2"]));
}

#[test]
fn a_node_that_is_missing_for_an_hour_leaves_and_not_a_list_sooner() {
    let mut story = Story::of(&ALL);
    let without = complete(&["a=1", "b=2"]);
    let outcome = story.list(&without);
    assert_eq!(outcome.events[0].to_string(), "c 192.0.2.3 is missing from the list and stays for now");
    assert_eq!(story.stays(), [StayReason::Pause { until: story.now.after(HOUR) }]);
    assert_eq!(story.list_for(&without, NOT_QUITE), [""; 0]);
    let outcome = story.list(&without);
    assert_eq!(
        outcome.events[0].to_string(),
        "c 192.0.2.3 leaves, because no list has had it since 2026-11-22T10:02:00Z"
    );
    assert!(story.is_known(&["a=1", "b=2"]) && story.stays().is_empty());
}

#[test]
fn a_node_that_comes_back_has_to_be_missing_for_the_whole_hour_again() {
    let mut story = Story::of(&ALL);
    let without = complete(&["a=1", "b=2"]);
    story.list_for(&without, NOT_QUITE);
    assert_eq!(
        story.list(&cut(&["c=3"])).events,
        [DiscoveryEvent::Back { node: node_name("c"), addresses: vec![address("3")] }]
    );
    assert_eq!(story.list_for(&without, HOUR), [""; 0]);
    assert_eq!(story.list_for(&without, MINUTE), ["c=3"]);
}

#[test]
fn a_silence_is_no_hour_in_which_a_node_was_missing() {
    let mut story = Story::of(&ALL);
    let without = complete(&["a=1", "b=2"]);
    story.list(&without);
    story.now = story.now.after(24 * HOUR);
    assert_eq!(story.list_for(&without, HOUR / 2), [""; 0], "a silence counts for half an hour at the most");
    assert_eq!(story.list_for(&without, MINUTE), ["c=3"]);

    let mut story = Story::of(&ALL);
    story.now = story.now.after(24 * HOUR);
    assert_eq!(story.list_for(&without, HOUR), [""; 0]);

    let mut story = Story::of(&ALL);
    let mut list_a_day_later = || {
        story.now = story.now.after(24 * HOUR);
        story.list(&without).events.iter().any(DiscoveryEvent::changes_nodes)
    };
    assert_eq!([(); 3].map(|()| list_a_day_later()), [false, false, true], "three lists are the least");
}

#[test]
fn a_list_that_is_cut_short_or_empty_takes_nothing_away_however_often_it_comes() {
    for (listing, doubt) in
        [(cut(&["a=1"]), "the list is cut short"), (complete(&[]), "the list is empty, so no node leaves by it")]
    {
        let mut story = Story::of(&ALL);
        assert_eq!(story.list(&listing).doubt.as_deref(), Some(doubt));
        assert_eq!(story.list_for(&listing, 24 * HOUR), [""; 0]);
        assert!(story.is_known(&ALL) && story.stays().is_empty(), "{doubt}");
    }
}

#[test]
fn a_list_of_unrelated_nodes_takes_nothing_away_however_often_it_comes() {
    let mut story = Story::of(&["s=1", "b=2", "c=3"]);
    story.can_use(&["1", "2", "3"]);
    let unrelated = complete(&["x=21", "y=22", "z=23"]);
    let doubt = "the list has none of the known nodes, so no node leaves by it";
    for _ in 0..5 {
        assert_eq!(story.list(&unrelated).doubt.as_deref(), Some(doubt));
        assert_eq!(story.list_for(&unrelated, 24 * HOUR), [""; 0]);
        story.list(&cut(&["y=22", "w=24"]));
    }
    assert!(story.stays().is_empty(), "nothing is missing by it");
    assert_eq!(story.list(&complete(&["y=22", "c=3"])).doubt, None, "one that is known speaks for the others");
    assert_eq!(story.list(&complete(&["y=22"])).doubt, None);
    assert!(story.list(&complete(&["x=21"])).doubt.is_some(), "they were not in that list");
}

#[test]
fn usable_addresses_give_way_to_no_unusable_ones() {
    let mut story = Story::of(&["s=1", "b=2", "c=3", "d=4", "e=5"]);
    story.can_use(&["1", "2", "3", "4", "5"]);
    let dead = complete(&["s=1", "v=21", "w=22", "x=23", "y=24"]);
    assert_eq!(story.list_for(&dead, 48 * HOUR), ["b=2", "c=3"]);
    assert_eq!(story.stays(), [StayReason::Majority { left: 2, of: 5 }; 2]);
    // The same if they have become known meanwhile.
    let mut story = Story::of(&["s=1", "b=2", "c=3", "d=4", "e=5"]);
    story.can_use(&["1", "2", "3", "4", "5"]);
    story.list(&complete(&["s=1", "b=2", "c=3", "d=4", "e=5", "v=21", "w=22", "x=23", "y=24"]));
    assert_eq!(story.list_for(&dead, 48 * HOUR), ["b=2", "c=3"]);
    assert_eq!(story.stays(), [StayReason::UsableMajority { left: 2, of: 5 }; 2]);
}

#[test]
fn nodes_that_were_replaced_leave_all_once_they_are_dead() {
    for (with, lists) in [
        ("all at once", &[ALL.as_slice(), &["x=4", "y=5", "z=6"]].concat()[..]),
        ("some at a time", &["c=3", "x=4", "y=5"]),
    ] {
        let mut story = Story::of(&ALL);
        story.list(&complete(lists));
        let new = complete(&["x=4", "y=5", "z=6"]);
        story.can_use(&["4", "5", "6"]);
        assert_eq!(story.list_for(&new, 4 * HOUR), ["a=1", "b=2", "c=3"], "{with}");
        assert!(story.is_known(&["x=4", "y=5", "z=6"]) && story.stays().is_empty());
    }
    let mut story = Story::of(&["a=1"]);
    story.list(&complete(&["a=1", "b=2"]));
    story.can_use(&["2"]);
    assert_eq!(story.list_for(&complete(&["b=2"]), 2 * HOUR), ["a=1"], "one is replaced by one");
}

#[test]
fn a_host_that_reaches_few_does_not_follow_a_list_of_few() {
    let mut story = Story::of(&["a=1", "b=2", "c=3", "d=4", "e=5"]);
    story.can_use(&["1"]);
    assert_eq!(story.list_for(&complete(&["a=1"]), 48 * HOUR), ["b=2", "c=3"]);
    assert_eq!(story.stays(), [StayReason::Majority { left: 2, of: 5 }; 2]);
}
#[test]
fn at_most_one_node_leaves_an_hour() {
    let mut story = Story::of(&["a=1", "b=2", "c=3", "d=4", "e=5"]);
    let without = complete(&["a=1", "b=2", "c=3"]);
    story.list(&without);
    assert_eq!(story.list_for(&without, HOUR), ["d=4"]);
    assert_eq!(story.list_for(&without, NOT_QUITE), [""; 0]);
    assert_eq!(story.list_for(&without, MINUTE), ["e=5"]);
}

#[test]
fn a_majority_of_the_known_addresses_always_stays() {
    let mut story = Story::of(&ALL);
    let only = complete(&["a=1"]);
    assert_eq!(story.list_for(&only, 48 * HOUR), ["b=2"]);
    assert!(story.is_known(&["a=1", "c=3"]));
    assert_eq!(story.stays(), [StayReason::Majority { left: 1, of: 3 }]);
    let mut story = Story::of(&["a=1", "b=2"]);
    assert_eq!(story.list_for(&only, 48 * HOUR), [""; 0], "one of two is no majority");
}

#[test]
fn once_pool_and_list_agree_a_majority_is_counted_of_them() {
    let mut story = Story::of(&["a=1", "b=2", "c=3", "d=4", "e=5"]);
    assert_eq!(story.list_for(&complete(&["a=1", "b=2", "c=3"]), 3 * HOUR), ["d=4", "e=5"]);
    assert_eq!(story.list_for(&complete(&["a=1", "b=2"]), 3 * HOUR), ["c=3"]);
}

#[test]
fn a_label_that_moves_to_other_nodes_adds_them_and_takes_the_others_away_only_to_the_majority() {
    let mut story = Story::of(&ALL);
    story.list(&complete(&["c=3", "x=21", "y=22", "z=23"]));
    let moved = complete(&["x=21", "y=22", "z=23"]);
    assert_eq!(story.list_for(&moved, 48 * HOUR), ["a=1", "b=2"]);
    assert_eq!(story.stays(), [StayReason::UsableMajority { left: 3, of: 6 }]);
}

#[test]
fn a_node_with_another_address_has_both_for_an_hour() {
    let mut story = Story::of(&ALL);
    let renumbered = complete(&["a=1", "b=2", "c=33"]);
    assert_eq!(
        story.list(&renumbered).events.iter().map(name).filter(|name| name.starts_with("c=")).collect::<Vec<_>>(),
        ["c=33"]
    );
    assert!(story.is_known(&["a=1", "b=2", "c=3,33"]));
    assert_eq!(story.list_for(&renumbered, HOUR), ["c=3"]);
    assert!(story.is_known(&["a=1", "b=2", "c=33"]));
}

#[test]
fn new_addresses_of_all_nodes_at_once_cannot_take_the_place_of_all_known_ones() {
    let mut story = Story::of(&ALL);
    let renumbered = complete(&["a=21", "b=22", "c=23"]);
    assert_eq!(story.list_for(&renumbered, 48 * HOUR), ["a=1", "b=2"]);
    assert_eq!(story.stays(), [StayReason::UsableMajority { left: 3, of: 6 }]);
}

#[test]
fn a_node_with_two_addresses_leaves_as_a_whole() {
    let mut story = Story::of(&["a=1,11", "b=2,12", "c=3,13"]);
    assert_eq!(story.list_for(&complete(&["a=1,11", "b=2,12"]), 2 * HOUR), ["c=3,13"]);
}

#[test]
fn a_node_that_is_listed_without_an_address_keeps_its_known_ones() {
    let mut story = Story::of(&ALL);
    assert_eq!(story.list(&complete(&["a=1", "b=2", "c="])), Outcome::default());
    assert!(story.is_known(&ALL));
}

#[test]
fn an_address_under_another_name_changes_hands_after_the_hour_and_is_never_lost() {
    let mut story = Story::of(&["b=1", "c=2", "d=3"]);
    story.can_use(&["1"]);
    let renamed = complete(&["a=1", "y=2", "z=3"]);
    story.list(&renamed);
    assert!(story.is_known(&["b=1", "c=2", "d=3", "a=1", "y=2", "z=3"]));
    assert_eq!(story.nodes.owner(address("1")), Some(&node_name("b")), "a new name alone changes nothing");
    assert!(story.stays().iter().all(|reason| matches!(reason, StayReason::Pause { .. })), "the only usable one stays");
    let events = story.list_for(&renamed, HOUR);
    assert_eq!(events, ["b 192.0.2.1 is now a"]);
    assert_eq!(story.nodes.owner(address("1")), Some(&node_name("a")));
    assert_eq!(story.list_for(&renamed, 2 * HOUR).len(), 2);
    assert!(story.is_known(&["a=1", "y=2", "z=3"]) && story.stays().is_empty());
}

#[test]
fn an_address_does_not_change_its_name_while_the_old_name_has_an_override() {
    for renamed in [complete(&["x=1", "b=2", "c=3"]), complete(&["x=1", "a=11", "b=2", "c=3"])] {
        let mut story = Story::of(&ALL);
        story.view.overridden.insert(node_name("a"));
        assert_eq!(story.list_for(&renamed, 5 * HOUR), [""; 0]);
        assert_eq!(story.stays(), [StayReason::Override]);
        assert_eq!(story.nodes.owner(address("1")), Some(&node_name("a")));
        story.view.overridden.clear();
        assert_eq!(story.list_for(&renamed, MINUTE), ["a 192.0.2.1 is now x"]);
    }
    let mut story = Story::of(&ALL);
    story.view.overridden.insert(node_name("a"));
    assert_eq!(
        story.list_for(&complete(&["b=2", "c=3"]), 2 * HOUR),
        ["a=1"],
        "an address that is gone waits for no override"
    );
}

#[test]
fn a_clock_that_was_wrong_at_a_start_is_no_hour() {
    let mut story = Story::of(&["a=1", "b=2", "c=3", "d=4", "e=5"]);
    let right = story.now;
    let without = complete(&["a=1", "b=2", "c=3"]);
    story.now = Moment::default().after(MINUTE);
    story.list(&without);
    assert!(story.nodes.known().all(|entry| entry.known.since < story.now));
    story.list_for(&complete(&["a=1", "b=2", "c=3", "x=2"]), MINUTE);
    assert_eq!(story.nodes.owner(address("2")), Some(&node_name("b")), "it is still the one known for longest");
    story.now = right;
    assert_eq!(story.list_for(&without, HOUR / 4), [""; 0], "the leap counts for half an hour at the most");
    assert_eq!(story.list_for(&without, HOUR / 2), ["d=4"]);
    story.now = Moment::default();
    story.list(&without);
    story.now = right.after(2 * HOUR);
    assert_eq!(story.list_for(&without, HOUR / 4), [""; 0], "one an hour leaves also then");
}

#[test]
fn the_last_usable_address_stays() {
    let mut story = Story::of(&ALL);
    let without = complete(&["a=1", "b=2"]);
    for usable in [vec!["3"], vec![]] {
        story.can_use(&usable);
        assert_eq!(story.list_for(&without, 5 * HOUR), [""; 0]);
        assert_eq!(story.stays(), [StayReason::LastUsable]);
    }
    story.can_use(&["2"]);
    assert_eq!(story.list_for(&without, MINUTE), ["c=3"], "it was missing all the time");
}

#[test]
fn no_list_makes_the_pool_endless() {
    let many: Vec<String> = (0..=MAX_ADDRESSES).map(|n| format!("n{n}={n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut story = Story::of(&["n0=0"]);
    let outcome = story.list(&complete(&many));
    assert_eq!(outcome.doubt.as_deref(), Some("1 addresses are left out: at most 100 are taken"));
    assert_eq!(story.nodes.known().count(), MAX_ADDRESSES);
}

#[test]
fn a_remark_is_reported_but_nodes_still_leave_by_the_list() {
    let mut story = Story::of(&ALL);
    let remark = Listing { remark: Some("other port".to_owned()), ..complete(&["a=1", "b=2"]) };
    assert_eq!(story.list(&remark).doubt.as_deref(), Some("other port"));
    assert_eq!(story.list_for(&remark, HOUR), ["c=3"]);
}

#[test]
fn the_state_has_everything_that_the_rules_need() {
    let mut story = Story::of(&ALL);
    let without = complete(&["a=1"]);
    story.list_for(&without, HOUR / 2);
    let text = serde_json::to_string(&story.nodes).unwrap();
    story.nodes = serde_json::from_str(&text).unwrap();
    assert_eq!(
        story.list_for(&without, 2 * HOUR),
        ["b=2"],
        "the time before the restart counts, and so does the majority"
    );
}

#[test]
fn an_address_of_an_edited_state_that_no_machine_can_have_is_dropped() {
    let mut story = Story::of(&ALL);
    for (name, address) in [("d", "0.0.0.0"), ("d", "224.0.0.1"), ("e", "255.255.255.255")] {
        let addresses = [(address.parse().unwrap(), Known::default())];
        story.nodes.known.entry(node_name(name)).or_default().extend(addresses);
    }
    assert_eq!(story.nodes.drop_invalid().len(), 3);
    assert!(story.is_known(&ALL));
}

/// The nodes of which bits are set, each with the address of its number.
fn some(bits: u16) -> Vec<String> {
    (0..10).filter(|n| bits & (1 << n) != 0).map(|n| format!("n{n}={}", n + 1)).collect()
}

fn of_bits(bits: u16) -> Listing {
    let some = some(bits);
    complete(&some.iter().map(String::as_str).collect::<Vec<_>>())
}

fn usable(bits: u16) -> BTreeSet<IpAddr> {
    of_bits(bits).nodes.into_values().flatten().collect()
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]

    #[test]
    fn no_lists_take_a_majority_of_the_usable_addresses_nor_two_nodes_an_hour(
        first in 1_u16..1024,
        can in 0_u16..1024,
        lists in proptest::collection::vec((0_u16..1024, 1_u32..150, proptest::bool::ANY), 1..30),
    ) {
        let mut story = Story::of(&[]);
        story.list(&of_bits(first));
        story.view.usable = usable(can);
        let in_use = |story: &Story| story.nodes.addresses().intersection(&story.view.usable).count();
        let mut at_first = in_use(&story);
        let mut last = None;
        for (bits, minutes, is_cut) in lists {
            let listing = Listing { gap: is_cut.then(|| "cut".to_owned()), ..of_bits(bits) };
            let before = in_use(&story);
            let mut gone = 0;
            for _ in 0..minutes {
                let events = story.list(&listing).events;
                if events.iter().any(|event| matches!(event, DiscoveryEvent::Gone { .. })) {
                    gone += 1;
                    let pause = last.map(|last| story.now.since(last));
                    proptest::prop_assert!(pause.is_none_or(|pause| pause >= HOUR));
                    last = Some(story.now);
                }
            }
            proptest::prop_assert!(gone == 0 || !is_cut);
            at_first = at_first.max(before);
            proptest::prop_assert!(at_first == 0 || in_use(&story) > 0);
            proptest::prop_assert!(in_use(&story) == before || 2 * in_use(&story) > before);
            // When pool and list agree, the present number counts.
            if story.nodes.missing().next().is_none() {
                at_first = in_use(&story);
            }
            proptest::prop_assert!(2 * in_use(&story) > at_first || at_first == 0);
        }
    }

    #[test]
    fn a_true_list_that_stays_is_followed_within_an_hour_for_each_node_that_is_missing(
        first in 1_u16..1024,
        is_true in 1_u16..1024,
        unrelated in 0_u16..1024,
    ) {
        // A fourth of the nodes stays or is replaced, and one of them was known.
        let is_enough = 4 * is_true.count_ones() > first.count_ones();
        proptest::prop_assume!(first & is_true != 0 && is_enough);
        let mut story = Story::of(&[]);
        story.list(&of_bits(first));
        story.view.usable = usable(is_true);
        story.list_for(&of_bits(unrelated & !first), 3 * HOUR);
        let missing = (first | unrelated) & !is_true;
        let hours = missing.count_ones() + 1;
        story.list_for(&of_bits(is_true), hours * HOUR);
        proptest::prop_assert_eq!(story.nodes.nodes(), of_bits(is_true).nodes);
    }
}
