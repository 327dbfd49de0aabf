use super::*;

const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);
const NOT_QUITE: Duration = Duration::from_mins(59);
const ALL: [&str; 3] = ["a=1", "b=2", "c=3"];

/// A roster that is told lists, one a minute.
struct Story {
    roster: Roster,
    usable: BTreeSet<IpAddr>,
    now: Moment,
}

fn address(last: &str) -> IpAddr {
    format!("192.0.2.{last}").parse().unwrap()
}

/// `a=1,2` is the node a with the addresses 192.0.2.1 and 192.0.2.2, and `a=` one that tells none.
fn nodes(list: &[&str]) -> Nodes {
    let node = |text: &&str| {
        let (name, addresses) = text.split_once('=').unwrap();
        (NodeName::new(name), addresses.split(',').filter(|it| !it.is_empty()).map(address).collect())
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
        let mut story = Self { roster: Roster::default(), usable, now: Moment::from_millis(1_795_341_600_000) };
        story.hear(&complete(list));
        story
    }

    /// One list, a minute later.
    fn hear(&mut self, listing: &Listing) -> Outcome {
        self.now = self.now.after(MINUTE);
        self.roster.take(listing, &self.usable, HOUR, self.now)
    }

    /// The same list again and again; gives what has left.
    fn hear_for(&mut self, listing: &Listing, time: Duration) -> Vec<String> {
        let until = self.now.after(time);
        let mut gone = Vec::new();
        while self.now < until {
            gone.extend(self.hear(listing).news.iter().filter(|it| matches!(it, News::Gone { .. })).map(name));
        }
        gone
    }

    fn is_known(&self, list: &[&str]) -> bool {
        self.roster.nodes() == nodes(list)
    }

    fn held(&self) -> Vec<Held> {
        self.roster.held(&self.usable, HOUR, self.now).into_values().collect()
    }
}

fn name(news: &News) -> String {
    let (News::Gone { node, addresses, .. } | News::Found { node, addresses }) = news else { return news.to_string() };
    let last = |address: &IpAddr| address.to_string().rsplit('.').next().unwrap_or_default().to_owned();
    format!("{node}={}", addresses.iter().map(last).collect::<Vec<_>>().join(","))
}

#[test]
fn what_is_new_comes_at_once_also_by_a_list_that_is_cut_short() {
    let mut story = Story::of(&["a=1"]);
    let outcome = story.hear(&cut(&["a=1,11", "b=2"]));
    assert_eq!(outcome.news.iter().map(name).collect::<Vec<_>>(), ["a=11", "b=2"]);
    assert_eq!(outcome.doubt.as_deref(), Some("the list is cut short"));
    assert!(story.is_known(&["a=1,11", "b=2"]));
}

#[test]
fn a_node_that_is_missing_for_an_hour_leaves_and_not_a_list_sooner() {
    let mut story = Story::of(&ALL);
    let without = complete(&["a=1", "b=2"]);
    let outcome = story.hear(&without);
    assert_eq!(outcome.news[0].to_string(), "c 192.0.2.3 is missing from the list, and stays for now");
    assert_eq!(story.held(), [Held::Pause { until: story.now.after(HOUR) }]);
    assert_eq!(story.hear_for(&without, NOT_QUITE), [""; 0]);
    let outcome = story.hear(&without);
    assert_eq!(outcome.news[0].to_string(), "c 192.0.2.3 leaves, for it was in no list since 2026-11-22T10:02:00Z");
    assert!(story.is_known(&["a=1", "b=2"]) && story.held().is_empty());
}

#[test]
fn a_node_that_comes_back_has_to_be_missing_for_the_whole_hour_again() {
    let mut story = Story::of(&ALL);
    let without = complete(&["a=1", "b=2"]);
    story.hear_for(&without, NOT_QUITE);
    assert_eq!(
        story.hear(&cut(&["c=3"])).news,
        [News::Back { node: NodeName::new("c"), addresses: vec![address("3")] }]
    );
    assert_eq!(story.hear_for(&without, HOUR), [""; 0]);
    assert_eq!(story.hear_for(&without, MINUTE), ["c=3"]);
}

#[test]
fn one_list_after_a_long_silence_takes_nothing_away_and_the_second_does() {
    let mut story = Story::of(&ALL);
    let without = complete(&["a=1", "b=2"]);
    story.hear(&without);
    story.now = story.now.after(24 * HOUR);
    assert_eq!(story.hear_for(&without, MINUTE), ["c=3"], "the list before the silence was the first");

    let mut story = Story::of(&ALL);
    story.now = story.now.after(24 * HOUR);
    assert_eq!(story.hear_for(&without, HOUR), [""; 0]);

    let mut story = Story::of(&ALL);
    story.now = story.now.after(24 * HOUR);
    let at_once = |story: &mut Story| story.roster.take(&without, &story.usable, Duration::ZERO, story.now).news;
    assert!(!at_once(&mut story).iter().any(News::changes_nodes), "without any pause it still takes two lists");
    assert_eq!(story.held(), [Held::Pause { until: story.now.after(HOUR) }]);
    assert!(at_once(&mut story).iter().any(News::changes_nodes));
}

#[test]
fn a_list_that_is_cut_short_or_empty_or_of_strangers_takes_nothing_away_however_often_it_comes() {
    for (listing, doubt) in
        [(cut(&["a=1"]), "the list is cut short"), (complete(&[]), "the list is empty, so it is not believed")]
    {
        let mut story = Story::of(&ALL);
        assert_eq!(story.hear(&listing).doubt.as_deref(), Some(doubt));
        assert_eq!(story.hear_for(&listing, 24 * HOUR), [""; 0]);
        assert!(story.is_known(&ALL) && story.held().is_empty(), "{doubt}");
    }
    let mut story = Story::of(&ALL);
    let outcome = story.hear(&complete(&["x=21"]));
    let doubt = "the list has none of the nodes that are known, so no node leaves by it";
    assert_eq!(outcome.doubt.as_deref(), Some(doubt));
    assert!(story.held().is_empty(), "nothing is missing by it");
}

#[test]
fn at_most_one_node_leaves_an_hour() {
    let mut story = Story::of(&["a=1", "b=2", "c=3", "d=4", "e=5"]);
    let without = complete(&["a=1", "b=2", "c=3"]);
    story.hear(&without);
    assert_eq!(story.hear_for(&without, HOUR), ["d=4"]);
    assert_eq!(story.hear_for(&without, NOT_QUITE), [""; 0]);
    assert_eq!(story.hear_for(&without, MINUTE), ["e=5"]);
}

#[test]
fn a_majority_of_what_was_known_always_stays() {
    let mut story = Story::of(&ALL);
    let only = complete(&["a=1"]);
    assert_eq!(story.hear_for(&only, 48 * HOUR), ["b=2"]);
    assert!(story.is_known(&["a=1", "c=3"]));
    assert_eq!(story.held(), [Held::Majority { left: 1, most: 3 }]);
    let mut story = Story::of(&["a=1", "b=2"]);
    assert_eq!(story.hear_for(&only, 48 * HOUR), [""; 0], "one of two is no majority");
}

#[test]
fn once_pool_and_list_agree_they_are_what_a_majority_is_counted_of() {
    let mut story = Story::of(&["a=1", "b=2", "c=3", "d=4", "e=5"]);
    assert_eq!(story.hear_for(&complete(&["a=1", "b=2", "c=3"]), 3 * HOUR), ["d=4", "e=5"]);
    assert_eq!(story.hear_for(&complete(&["a=1", "b=2"]), 3 * HOUR), ["c=3"]);
}

#[test]
fn a_label_that_moves_to_other_nodes_adds_them_and_takes_the_others_away_only_to_the_majority() {
    let mut story = Story::of(&ALL);
    let moved = complete(&["x=21", "y=22", "z=23"]);
    assert!(story.hear(&moved).doubt.is_some(), "they are strangers");
    assert!(story.is_known(&["a=1", "b=2", "c=3", "x=21", "y=22", "z=23"]));
    assert_eq!(story.hear_for(&moved, 48 * HOUR), ["a=1", "b=2"]);
    assert_eq!(story.held(), [Held::Majority { left: 3, most: 6 }]);
}

#[test]
fn a_node_with_another_address_has_both_for_an_hour() {
    let mut story = Story::of(&ALL);
    let renumbered = complete(&["a=1", "b=2", "c=33"]);
    assert_eq!(
        story.hear(&renumbered).news.iter().map(name).filter(|it| it.starts_with("c=")).collect::<Vec<_>>(),
        ["c=33"]
    );
    assert!(story.is_known(&["a=1", "b=2", "c=3,33"]));
    assert_eq!(story.hear_for(&renumbered, HOUR), ["c=3"]);
    assert!(story.is_known(&["a=1", "b=2", "c=33"]));
}

#[test]
fn new_addresses_of_all_nodes_at_once_cannot_take_the_place_of_all_known_ones() {
    let mut story = Story::of(&ALL);
    let renumbered = complete(&["a=21", "b=22", "c=23"]);
    assert_eq!(story.hear_for(&renumbered, 48 * HOUR), ["a=1", "b=2"]);
    assert_eq!(story.held(), [Held::Majority { left: 3, most: 6 }]);
}

#[test]
fn a_node_with_two_addresses_leaves_as_a_whole() {
    let mut story = Story::of(&["a=1,11", "b=2,12", "c=3,13"]);
    assert_eq!(story.hear_for(&complete(&["a=1,11", "b=2,12"]), 2 * HOUR), ["c=3,13"]);
}

#[test]
fn a_node_that_tells_no_address_keeps_those_that_are_known() {
    let mut story = Story::of(&ALL);
    assert_eq!(story.hear(&complete(&["a=1", "b=2", "c="])), Outcome::default());
    assert!(story.is_known(&ALL));
}

#[test]
fn an_address_under_another_name_changes_hands_after_the_hour_and_counts_once() {
    let mut story = Story::of(&ALL);
    let renamed = complete(&["x=1", "y=2", "z=3"]);
    story.hear(&renamed);
    assert!(story.is_known(&["a=1", "b=2", "c=3", "x=1", "y=2", "z=3"]));
    assert_eq!(story.hear_for(&renamed, 4 * HOUR), ["a=1", "b=2", "c=3"]);
}

#[test]
fn the_last_usable_address_stays() {
    let mut story = Story::of(&ALL);
    let without = complete(&["a=1", "b=2"]);
    for usable in [vec!["3"], vec![]] {
        story.usable = usable.into_iter().map(address).collect();
        assert_eq!(story.hear_for(&without, 5 * HOUR), [""; 0]);
        assert_eq!(story.held(), [Held::LastUsable]);
    }
    story.usable = [address("2")].into();
    assert_eq!(story.hear_for(&without, MINUTE), ["c=3"], "it was missing all the time");
}

#[test]
fn no_list_makes_the_pool_endless() {
    let many: Vec<String> = (0..=MOST).map(|n| format!("n{n}={n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut story = Story::of(&["n0=0"]);
    let outcome = story.hear(&complete(&many));
    assert_eq!(outcome.doubt.as_deref(), Some("1 addresses are left out, for 100 are the most that are taken"));
    assert_eq!(story.roster.known().count(), MOST);
}

#[test]
fn a_remark_is_told_but_is_no_reason_not_to_believe_a_list() {
    let mut story = Story::of(&ALL);
    let remark = Listing { remark: Some("other port".to_owned()), ..complete(&["a=1", "b=2"]) };
    assert_eq!(story.hear(&remark).doubt.as_deref(), Some("other port"));
    assert_eq!(story.hear_for(&remark, HOUR), ["c=3"]);
}

#[test]
fn the_state_has_everything_that_the_rules_need() {
    let mut story = Story::of(&ALL);
    let without = complete(&["a=1"]);
    story.hear_for(&without, HOUR / 2);
    let text = serde_json::to_string(&story.roster).unwrap();
    story.roster = serde_json::from_str(&text).unwrap();
    assert_eq!(
        story.hear_for(&without, 2 * HOUR),
        ["b=2"],
        "the time before the restart counts, and so does the majority"
    );
}

#[test]
fn what_someone_has_written_into_the_state_is_dropped_where_it_is_no_node() {
    let mut story = Story::of(&ALL);
    for (name, address) in [("a b", "192.0.2.7"), ("", "192.0.2.7"), ("d", "0.0.0.0"), ("d", "224.0.0.1")] {
        let addresses = [(address.parse().unwrap(), Known::default())];
        story.roster.known.entry(NodeName::new(name)).or_default().extend(addresses);
    }
    assert_eq!(story.roster.drop_nonsense().len(), 4);
    assert!(story.is_known(&ALL));
}
