use daymark_decision::Basis;
use daymark_decision::fixtures::pool_name;
use daymark_provider::contract::{self, AnswerNode, node_in, node_out};
use proptest::prelude::*;
use serde_json::json;

use super::balancer::{ObservedSetup, Setup};
use super::records::RecordSet;
use super::*;
use crate::api::{Balancer, CloudflarePool, Record};
use crate::drift::DriftTracker;
use crate::mark::Mark;

const PATH: &str = "/accounts/a/load_balancers/pools/p";
const RECORDS: &str = "/zones/z/dns_records";

fn pool() -> PoolName {
    pool_name("lb.example.org")
}

/// An answer over nodes `node-1`, `node-2`, … with these addresses, of which some are in.
fn answer(targets: &[(&str, bool)]) -> Answer {
    answer_of(targets.iter().zip(1..).map(|((address, is_in), n)| AnswerNode {
        name: format!("node-{n}"),
        address: address.parse().unwrap(),
        is_in: *is_in,
    }))
}

/// The problems of a plan as messages.
fn problems(plan: &Plan) -> Vec<String> {
    plan.problems.iter().map(ToString::to_string).collect()
}

fn answer_of(nodes: impl IntoIterator<Item = AnswerNode>) -> Answer {
    contract::answer(&pool(), 1, nodes)
}

fn cloudflare_pool(origins: &Value) -> CloudflarePool {
    serde_json::from_value(json!({ "id": "p", "name": "kube-cp", "origins": origins })).unwrap()
}

fn switches(observed: &CloudflarePool, answer: &Answer) -> Plan {
    origins::plan_switches(PATH, observed, answer, &PublishedEntries::default())
}

fn sent(plan: &Plan) -> &Value {
    assert_eq!(plan.first.len(), 1, "one call: {plan:?}");
    &plan.first[0].edit.body.as_ref().unwrap()["origins"]
}

/// The pool as it would be after the plan.
fn after(observed: &CloudflarePool, plan: &Plan) -> CloudflarePool {
    match plan.first.first() {
        Some(_) => cloudflare_pool(sent(plan)),
        None => observed.clone(),
    }
}

#[test]
fn only_the_switch_of_a_managed_origin_changes_and_every_other_field_is_sent_back() {
    let node_1 = json!({
        "name": "node-1", "address": "192.0.2.1", "enabled": true, "weight": 0.1, "header": {"Host": ["a", "b"]},
        "port": 6443, "flatten_cname": false, "of_next_year": {"deep": [1, 2.50, null]},
    });
    let mut observed_2 = json!({"name": "node-2", "address": "192.0.2.2", "disabled_at": "2026-01-01T00:00:00Z"});
    let foreign = json!({"name": "other", "address": "other.example.org", "enabled": false, "weight": 1});
    let observed = cloudflare_pool(&json!([node_1, observed_2, foreign]));
    let plan = switches(&observed, &answer(&[("192.0.2.1", false), ("192.0.2.2", true)]));

    let mut sent_1 = node_1.clone();
    sent_1["enabled"] = false.into();
    observed_2.as_object_mut().unwrap().remove("disabled_at");
    assert_eq!(*sent(&plan), json!([sent_1, observed_2, foreign]));
    assert_eq!((plan.first[0].method.as_str(), plan.first[0].edit.path.as_str()), ("PATCH", PATH));
    assert!(plan.problems.is_empty(), "{plan:?}");
}

#[test]
fn an_origin_belongs_to_a_node_by_name_before_address() {
    let observed = cloudflare_pool(&json!([
        {"name": "node-1", "address": "198.51.100.1", "enabled": true},
        {"name": "any", "address": "192.0.2.2", "enabled": true},
        {"name": "node-3", "address": "192.0.2.1", "enabled": true},
    ]));
    let plan = switches(&observed, &answer(&[("192.0.2.1", false), ("192.0.2.2", false), ("192.0.2.3", true)]));
    let enabled: Vec<bool> = sent(&plan).as_array().unwrap().iter().map(|origin| origin["enabled"] == true).collect();
    assert_eq!(enabled, [false, false, true]);
}

#[test]
fn each_family_of_a_node_has_its_own_switch() {
    let targets = [node_in("node", "192.0.2.1"), node_out("node", "2001:db8::1")];
    let observed = cloudflare_pool(&json!([
        {"name": "node", "address": "2001:db8::1", "enabled": true},
        {"name": "node", "address": "192.0.2.1", "enabled": false},
        {"name": "node", "address": "2001:db8::99", "enabled": true},
    ]));
    let plan = switches(&observed, &answer_of(targets));
    let enabled: Vec<bool> = sent(&plan).as_array().unwrap().iter().map(|origin| origin["enabled"] == true).collect();
    assert_eq!(enabled, [false, true, false]);
}

#[test]
fn nothing_is_written_where_nothing_differs() {
    let observed = cloudflare_pool(&json!([
        {"name": "node-1", "address": "192.0.2.1"},
        {"name": "node-2", "address": "192.0.2.2", "enabled": false},
    ]));
    let plan = switches(&observed, &answer(&[("192.0.2.1", true), ("192.0.2.2", false)]));
    assert!(plan.first.is_empty() && plan.then.is_empty() && plan.problems.is_empty(), "{plan:?}");
}

#[test]
fn no_last_enabled_origin_is_taken_out() {
    let observed = cloudflare_pool(&json!([
        {"name": "node-1", "address": "192.0.2.1", "enabled": true},
        {"name": "other", "address": "198.51.100.9", "enabled": false},
    ]));
    let plan = switches(&observed, &answer(&[("192.0.2.1", false), ("192.0.2.2", true)]));
    assert!(plan.first.is_empty() && plan.then.is_empty());
    assert_eq!(
        problems(&plan),
        [
            "no origin of the Cloudflare pool kube-cp belongs to a node of the answer, so Daymark changes nothing there; give the \
             origins the names or the addresses of the nodes (answer: node-2 192.0.2.2; origins: node-1 (192.0.2.1), other \
             (198.51.100.9))"
        ]
    );
}

#[test]
fn no_empty_list_is_written() {
    let plan = switches(&cloudflare_pool(&json!([])), &answer(&[("192.0.2.1", true)]));
    assert!(plan.first.is_empty() && plan.problems.len() == 1, "{plan:?}");
}

#[test]
fn a_contested_origin_is_switched_on_where_no_other_is_answered() {
    let on = |is_on| cloudflare_pool(&json!([{"name": "node-1", "address": "192.0.2.1", "enabled": is_on}]));
    let answer = answer(&[("192.0.2.1", true)]);
    let mut tracker = DriftTracker::default();
    for round in 0..10 {
        for is_on in [true, false] {
            let plan = origins::plan_switches(PATH, &on(is_on), &answer, &tracker.of(&pool(), false));
            assert_eq!(plan.first.is_empty(), is_on, "round {round}: {plan:?}");
            for entry in plan.confirmed.iter().chain(plan.first.iter().flat_map(|planned| &planned.entries)) {
                tracker.remember(&pool(), entry);
            }
        }
    }
}

#[test]
fn each_address_of_a_node_has_an_origin_of_its_own() {
    let targets = [("node", "192.0.2.1"), ("node", "2001:db8::1"), ("node", "192.0.2.2"), ("other", "192.0.2.3")]
        .map(|(node, address)| node_in(node, address));
    let names: Vec<String> = desired_targets(&answer_of(targets)).into_iter().map(|desired| desired.origin).collect();
    assert_eq!(names, ["daymark-node-ipv4", "daymark-node-ipv6", "daymark-node-ipv4-2", "daymark-other-ipv4"]);
}

/// The mark without an owner.
static MARK: Mark = Mark { owner: None };

fn setup() -> Setup<'static> {
    let pools = "/pools".to_owned();
    let balancers = "/balancers".to_owned();
    Setup { pools, balancers, name: "daymark-lb", ttl: 30, mark: &MARK, nearer: None }
}

fn record_set() -> RecordSet<'static> {
    RecordSet { path: RECORDS.to_owned(), ttl: 60, mark: &MARK, is_apex: false, nearer: None }
}

#[test]
fn a_whole_setup_is_made_and_marked() {
    let plan = balancer::plan(
        &setup(),
        &answer(&[("192.0.2.1", true), ("2001:db8::2", false)]),
        &ObservedSetup { pool: None, balancer: None },
        &PublishedEntries::default(),
    );
    let pool = &plan.first[0];
    let balancer = &plan.then[0];
    assert_eq!(
        pool.edit.body,
        Some(json!({
            "name": "daymark-lb", "description": "managed by daymark for lb.example.org", "enabled": true,
            "minimum_origins": 1, "origins": [
                {"name": "daymark-node-1-ipv4", "address": "192.0.2.1", "enabled": true},
                {"name": "daymark-node-2-ipv6", "address": "2001:db8::2", "enabled": false},
            ],
        }))
    );
    assert_eq!(
        balancer.edit.body,
        Some(json!({
            "default_pools": ["(the ID of the new pool)"], "fallback_pool": "(the ID of the new pool)", "proxied": false,
            "ttl": 30, "name": "lb.example.org", "description": "managed by daymark for lb.example.org",
            "steering_policy": "off",
        }))
    );
    assert!(!plan.then_is_safe, "the balancer waits for its pool");
}

fn whole(pool: Value, balancer: Value, answer: &Answer) -> Plan {
    let observed = ObservedSetup {
        pool: Some(serde_json::from_value(pool).unwrap()),
        balancer: Some(serde_json::from_value::<Balancer>(balancer).unwrap()),
    };
    balancer::plan(&setup(), answer, &observed, &PublishedEntries::default())
}

#[test]
fn a_setup_of_daymarks_own_is_kept_as_the_nodes_are() {
    let pool = json!({
        "id": "p", "name": "daymark-lb", "description": "managed by daymark, since 2026", "enabled": false, "origins": [
            {"name": "daymark-node-1-ipv4", "address": "192.0.2.99", "enabled": true, "weight": 0.5},
            {"name": "daymark-gone-ipv4", "address": "192.0.2.77", "enabled": true},
            {"name": "by-hand", "address": "192.0.2.66", "enabled": false},
        ],
    });
    let balancer = json!({
        "id": "b", "name": "lb.example.org", "description": "managed by daymark", "default_pools": ["p"],
        "fallback_pool": "p", "proxied": true, "steering_policy": "random",
    });
    let plan = whole(pool, balancer, &answer(&[("192.0.2.1", true), ("192.0.2.2", false)]));
    assert_eq!(
        plan.first[0].edit.body,
        Some(json!({"enabled": true, "origins": [
            {"name": "daymark-node-1-ipv4", "address": "192.0.2.1", "enabled": true, "weight": 0.5},
            {"name": "by-hand", "address": "192.0.2.66", "enabled": false},
            {"name": "daymark-node-2-ipv4", "address": "192.0.2.2", "enabled": false},
        ]}))
    );
    assert_eq!(plan.then[0].edit.body, Some(json!({"proxied": false, "ttl": 30, "steering_policy": "off"})));
    assert_eq!((plan.then[0].method.as_str(), plan.then[0].edit.path.as_str()), ("PATCH", "/balancers/b"));
}

#[test]
fn what_lacks_the_mark_is_refused_and_not_touched() {
    let ours = "managed by daymark";
    let pool = |description| json!({"id": "p", "name": "daymark-lb", "description": description, "origins": []});
    let balancer = |description| json!({"id": "b", "name": "lb.example.org", "description": description, "default_pools": ["x"], "fallback_pool": "x"});
    let answer = answer(&[("192.0.2.1", true)]);
    let foreign_pool = whole(pool("by hand"), balancer(ours), &answer);
    assert!(foreign_pool.first.is_empty() && foreign_pool.then.is_empty());
    assert!(
        foreign_pool.problems[0].to_string().starts_with("the Cloudflare pool daymark-lb exists and is not Daymark's")
    );
    let foreign_balancer = whole(pool(ours), balancer("not managed by daymark"), &answer);
    assert!(foreign_balancer.then.is_empty());
    assert!(
        foreign_balancer.problems[0]
            .to_string()
            .starts_with("the zone has a load balancer lb.example.org that is not Daymark's")
    );
}

fn record(id: &str, kind: &str, content: &str, comment: &str) -> Record {
    serde_json::from_value(json!({
        "id": id, "type": kind, "name": "lb.example.org", "content": content, "ttl": 60, "proxied": false, "comment": comment,
    }))
    .unwrap()
}

fn records_plan(answer: &Answer, observed: &[Record]) -> Plan {
    records::plan(&record_set(), answer, observed, &PublishedEntries::default())
}

/// An answer of which these families are a guess, or are left out if it has no member of them.
fn guess(families: &[Family], targets: &[(&str, bool)]) -> Answer {
    let mut answer = answer(targets);
    for family in families {
        let is_member = answer.members.iter().any(|member| Family::of(member.address) == *family);
        if is_member {
            answer.bases.insert(*family, Basis::Bootstrap)
        } else {
            answer.bases.remove(family)
        };
    }
    answer
}

/// The changes of a plan, as sentences.
fn changes(plan: &Plan) -> Vec<&str> {
    plan.first.iter().chain(&plan.then).flat_map(|planned| &planned.edit.changes).map(String::as_str).collect()
}

const ALL_IN: [(&str, bool); 2] = [("192.0.2.1", true), ("2001:db8::1", true)];

#[test]
fn a_guess_replaces_no_record_of_an_earlier_answer() {
    let good = [record("1", "A", "192.0.2.9", "managed by daymark: former-1")];
    let plan = records_plan(&guess(&[Family::Ipv4, Family::Ipv6], &[ALL_IN[0]]), &good);
    assert_eq!(changes(&plan), [""; 0]);
    let problem = "no IPv4 target has been usable yet, so the addresses of an earlier answer stay: 192.0.2.9; check the nodes and \
                   their probes";
    assert_eq!(problems(&plan), [problem]);

    let same = [record("1", "A", "192.0.2.1", "managed by daymark: node-1")];
    let plan = records_plan(&guess(&[Family::Ipv4], &[ALL_IN[0]]), &same);
    assert_eq!((changes(&plan), plan.problems.len()), (vec![], 0), "the guess is the earlier answer");
}

#[test]
fn a_guess_replaces_a_guess_and_differs_from_a_good_answer_by_its_comment() {
    let first = records_plan(&guess(&[Family::Ipv4], &[ALL_IN[0]]), &[]);
    let comment = &first.first[0].edit.body.as_ref().unwrap()["comment"];
    assert_eq!(*comment, "managed by daymark, a guess: node-1");
    let former = [record("1", "A", "192.0.2.9", comment.as_str().unwrap())];
    let plan = records_plan(&guess(&[Family::Ipv4], &[ALL_IN[0]]), &former);
    assert_eq!(
        (plan.first[0].edit.method.as_str(), plan.then[0].edit.method.as_str(), plan.problems.len()),
        ("POST", "DELETE", 0)
    );
    let right = [record("1", "A", "192.0.2.1", comment.as_str().unwrap())];
    assert_eq!(changes(&records_plan(&guess(&[Family::Ipv4], &[ALL_IN[0]]), &right)), [""; 0]);
    let usable = records_plan(&answer(&[ALL_IN[0]]), &right);
    assert_eq!(usable.first[0].edit.body.as_ref().unwrap()["comment"], "managed by daymark: node-1");
}

#[test]
fn the_records_of_a_family_that_is_left_out_stay_unless_they_are_a_guess() {
    let left_out = guess(&[Family::Ipv4], &[("192.0.2.1", false), ("2001:db8::1", true)]);
    let ipv6 = record("2", "AAAA", "2001:db8::1", "managed by daymark: node-2");
    let good = [record("1", "A", "192.0.2.1", "managed by daymark: node-1"), ipv6.clone()];
    let plan = records_plan(&left_out, &good);
    assert_eq!((changes(&plan), plan.problems.len()), (vec![], 1), "{plan:?}");
    let guessed = [record("1", "A", "192.0.2.1", "managed by daymark, a guess: node-1"), ipv6];
    let plan = records_plan(&left_out, &guessed);
    assert_eq!((plan.first.len(), plan.then.len(), plan.problems.len()), (0, 1, 0), "{plan:?}");
}

#[test]
fn a_guess_changes_no_switch_of_a_family_that_has_an_enabled_origin() {
    let origins = |ipv4_is_on| {
        json!([
            {"name": "daymark-node-1-ipv4", "address": "192.0.2.1", "enabled": ipv4_is_on},
            {"name": "daymark-former-ipv4", "address": "192.0.2.9", "enabled": ipv4_is_on},
            {"name": "daymark-node-2-ipv6", "address": "2001:db8::1", "enabled": false},
        ])
    };
    let pool = |ipv4_is_on| {
        serde_json::from_value(json!({
            "id": "p", "name": "daymark-lb", "description": "managed by daymark", "origins": origins(ipv4_is_on),
        }))
    };
    let plan = |answer: &Answer, ipv4_is_on| {
        origins::plan_own_pool(PATH, &pool(ipv4_is_on).unwrap(), answer, &PublishedEntries::default())
    };
    let problem = "no IPv4 target has been usable yet, so the addresses of an earlier answer stay: 192.0.2.1, 192.0.2.9; \
                   check the nodes and their probes";

    let all = guess(&[Family::Ipv4, Family::Ipv6], &ALL_IN);
    let kept = plan(&all, true);
    assert_eq!(
        changes(&kept),
        ["enable the origin daymark-node-2-ipv6 (2001:db8::1) (in: ready since 1970-01-01T00:00:00Z)"]
    );
    assert_eq!(problems(&kept), [problem]);

    let only_ipv6 = guess(&[Family::Ipv4], &[("192.0.2.1", false), ("2001:db8::1", true)]);
    let kept = plan(&only_ipv6, true);
    assert_eq!((changes(&kept).len(), problems(&kept)), (1, vec![problem.to_owned()]));

    let without = plan(&all, false);
    assert!(changes(&without).iter().any(|change| change.starts_with("enable the origin daymark-node-1-ipv4")));
    assert!(without.problems.is_empty(), "{without:?}");
}

#[test]
fn a_guess_leaves_a_pool_of_the_operators_as_it_is() {
    let origins = |is_on| {
        cloudflare_pool(&json!([{"name": "former", "address": "192.0.2.9", "enabled": true},
        {"name": "node-1", "address": "198.51.100.1", "enabled": is_on}, {"name": "node-2", "address": "192.0.2.2", "enabled": false}]))
    };
    let guess = guess(&[Family::Ipv4], &[("192.0.2.1", true), ("192.0.2.2", true)]);
    assert_eq!(changes(&switches(&origins(true), &guess)), [""; 0]);
    assert_eq!(changes(&switches(&origins(false), &guess)).len(), 2, "no origin of a node is enabled");
}

#[test]
fn a_record_of_another_name_is_neither_deleted_nor_in_the_way() {
    let named = |record: Record| Record { name: "other.example.org".to_owned(), ..record };
    let own = named(record("1", "A", "192.0.2.9", "managed by daymark: node-9"));
    let foreign = named(record("2", "CNAME", "elsewhere.example.org", ""));
    let plan = records_plan(&answer(&[("192.0.2.1", true)]), &[own, foreign]);
    assert_eq!((plan.first.len(), plan.then.len(), plan.problems.len()), (1, 0, 0));
}

#[test]
fn records_are_added_before_others_are_deleted() {
    let observed = [record("1", "A", "192.0.2.1", "managed by daymark: node-1")];
    let plan = records_plan(&answer(&[("192.0.2.1", false), ("2001:db8::2", true)]), &observed);
    assert_eq!(
        plan.first[0].edit.body,
        Some(json!({
            "type": "AAAA", "name": "lb.example.org", "content": "2001:db8::2", "ttl": 60, "proxied": false,
            "comment": "managed by daymark: node-2",
        }))
    );
    assert_eq!((plan.then[0].method.as_str(), plan.then[0].edit.path.as_str()), ("DELETE", "/zones/z/dns_records/1"));
    assert!(!plan.then_is_safe, "the last record waits for the first of the answer");
}

#[test]
fn a_record_that_was_changed_by_hand_is_set_right() {
    let mut changed = record("1", "A", "192.0.2.1", "managed by daymark: node-1");
    (changed.ttl, changed.proxied) = (1, true);
    let plan = records_plan(&answer(&[("192.0.2.1", true)]), &[changed]);
    let body = plan.first[0].edit.body.as_ref().unwrap();
    assert_eq!((&body["ttl"], &body["proxied"]), (&json!(60), &json!(false)));
    assert_eq!((plan.first[0].method.as_str(), plan.first[0].edit.path.as_str()), ("PATCH", "/zones/z/dns_records/1"));
}

#[test]
fn a_foreign_record_is_refused_by_name() {
    for (kind, content, comment, reason) in [
        ("A", "192.0.2.9", "by hand", "is not Daymark's"),
        ("AAAA", "2001:db8::9", "managed by daymarketing", "is not Daymark's"),
        ("CNAME", "elsewhere.example.org", "managed by daymark", "is an alias"),
        ("NS", "ns1.example.org", "managed by daymark", "delegates lb.example.org"),
    ] {
        let plan = records_plan(&answer(&[("192.0.2.1", true)]), &[record("9", kind, content, comment)]);
        assert!(plan.first.is_empty() && plan.then.is_empty(), "{kind}");
        assert!(
            plan.problems[0].to_string().starts_with(&format!("the record lb.example.org {kind} {content} {reason}"))
        );
    }
    let text = record("9", "TXT", "hello", "by hand");
    assert!(records_plan(&answer(&[("192.0.2.1", true)]), &[text]).problems.is_empty(), "a text holds no name");
}

#[test]
fn at_the_most_as_many_are_published_as_one_response_holds_of_a_family() {
    let mut answer = answer(&[("192.0.2.1", true), ("192.0.2.2", true), ("2001:db8::3", true), ("192.0.2.4", true)]);
    answer.max_answers = 2;
    let is_in: Vec<bool> = desired_targets(&answer).iter().map(|desired| desired.is_in).collect();
    assert_eq!(is_in, [true, true, true, false]);
}

/// A random answer over up to five nodes; at least one of them is in.
fn some_answer() -> impl Strategy<Value = Answer> {
    (proptest::collection::vec(any::<bool>(), 1..6), any::<prop::sample::Index>()).prop_map(|(mut is_in, one)| {
        let one = one.index(is_in.len());
        is_in[one] = true;
        let addresses: Vec<String> = (1..=is_in.len()).map(|n| format!("192.0.2.{n}")).collect();
        answer(&addresses.iter().map(String::as_str).zip(is_in).collect::<Vec<_>>())
    })
}

prop_compose! {
    fn some_origin()(n in 1..9_u8, is_named in any::<bool>(), enabled in any::<Option<bool>>(), weight in 0.0..1.0_f64)
        -> (u8, Value) {
        let name = if is_named { format!("node-{n}") } else { format!("origin-{n}") };
        let mut origin = json!({"name": name, "address": format!("192.0.2.{n}"), "weight": weight, "later": [n, null]});
        if let Some(enabled) = enabled {
            origin["enabled"] = enabled.into();
        }
        (n, origin)
    }
}

proptest! {
    #[test]
    fn no_plan_changes_what_is_not_daymarks_or_empties_a_pool(
        answer in some_answer(),
        origins in proptest::collection::vec(some_origin(), 0..8),
    ) {
        let unique: BTreeMap<u8, Value> = origins.into_iter().collect();
        let before: Vec<Value> = unique.into_values().collect();
        let observed = cloudflare_pool(&json!(before));
        let plan = switches(&observed, &answer);
        let Some(_) = plan.first.first() else { return Ok(()) };

        let targets = desired_targets(&answer);
        let sent = sent(&plan).as_array().unwrap();
        prop_assert_eq!(sent.len(), before.len(), "no origin comes or goes");
        for (before, after) in before.iter().zip(sent) {
            let origin = serde_json::from_value(before.clone()).unwrap();
            let mut expected = before.clone();
            if let Some(desired) = origin::target_of(&origin, &targets)
                && origin.is_enabled() != desired.is_in
            {
                expected["enabled"] = desired.is_in.into();
            }
            prop_assert_eq!(after.to_string(), expected.to_string(), "not a byte but the switch");
        }
        prop_assert!(sent.iter().any(|origin| origin["enabled"] != false), "an origin is left");
        let again = switches(&after(&observed, &plan), &answer);
        prop_assert!(again.first.is_empty() && again.problems.is_empty(), "and then it stands: {:?}", again);
    }

    #[test]
    fn records_come_to_the_answer_and_are_never_none(answers in proptest::collection::vec(some_answer(), 1..6)) {
        let mut remote: Vec<Record> = Vec::new();
        let mut tracker = DriftTracker::default();
        let mut next = 0;
        for answer in &answers {
            for _ in 0..3 {
                let plan = records::plan(&record_set(), answer, &remote, &tracker.of(&pool(), false));
                let edits = if plan.first.is_empty() { &plan.then } else { &plan.first };
                for planned in edits {
                    match &planned.edit.body {
                        Some(body) => {
                            next += 1;
                            let comment = body["comment"].as_str().unwrap();
                            remote.push(record(&next.to_string(), "A", body["content"].as_str().unwrap(), comment));
                        }
                        None => remote.retain(|record| !planned.edit.path.ends_with(&format!("/{}", record.id))),
                    }
                    prop_assert!(!remote.is_empty(), "one record always");
                    for entry in &planned.entries {
                        tracker.remember(&pool(), entry);
                    }
                }
            }
            let mut published: Vec<IpAddr> = remote.iter().filter_map(Record::address).collect();
            let mut desired: Vec<IpAddr> = answer.members.iter().map(|member| member.address).collect();
            published.sort_unstable();
            desired.sort_unstable();
            prop_assert_eq!(published, desired);
        }
    }
}
