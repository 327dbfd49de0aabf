//! Every fault of Cloudflare, at every call of a change.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use daymark_cloudflare::Cloudflare;
use daymark_fake_cloudflare::{Fault, RecordedCall, RequestMatcher};
use serde_json::{Value, json};

use crate::fixture::{Fixture, ONE, THREE, TWO, addresses, decision};
use crate::publisher::{PublisherFixture, freeze};

const FAULTS: [Fault; 18] = [
    Fault::CutBefore,
    Fault::CutAfter,
    Fault::StallBefore,
    Fault::StallAfter,
    Fault::Slow(Duration::from_secs(20)),
    Fault::Slow(Duration::from_secs(90)),
    Fault::TooMany { retry_after: Some(17) },
    Fault::TooMany { retry_after: None },
    Fault::Status(500),
    Fault::Status(503),
    Fault::Status(408),
    Fault::Status(409),
    Fault::Html(502),
    Fault::Html(200),
    Fault::Empty,
    Fault::TornJson,
    Fault::SuccessOfError,
    Fault::ErrorAsSuccess,
];

/// One setting to publish.
struct Setting {
    fixture: Fixture,
    provider: fn(&Fixture) -> Cloudflare,
    published: fn(&Fixture) -> BTreeSet<IpAddr>,
    /// The number of calls that a change takes.
    calls: usize,
}

async fn by_pool() -> Setting {
    let fixture = Fixture::new().await;
    {
        let mut store = fixture.cloudflare.store();
        let pool = store.pool(&fixture.ids.pool);
        pool["of_next_year"] = json!({"a": [1.50, null]});
        let origins = pool["origins"].as_array_mut().unwrap();
        origins[0]["weight"] = json!(0.1);
        origins.push(json!({"name": "by-hand", "address": "192.0.2.77", "enabled": false, "weight": 0.3}));
    }
    Setting { fixture, provider: Fixture::pools, published: |fixture| fixture.enabled("kube-cp"), calls: 3 }
}

async fn by_records() -> Setting {
    let fixture = Fixture::without_balancing().await;
    for record in [
        json!({"type": "TXT", "name": "lb.kube-cp.com", "content": "\"by hand\"", "ttl": 300}),
        json!({"type": "A", "name": "www.kube-cp.com", "content": "192.0.2.77", "ttl": 300, "comment": "by hand"}),
    ] {
        fixture.cloudflare.store().add_record(&fixture.ids.zone, record);
    }
    Setting { fixture, provider: Fixture::records, published: Fixture::resolved, calls: 5 }
}

/// A setup of Daymark's own, which it has yet to make.
async fn by_a_whole_setup() -> Setting {
    let fixture = Fixture::without_balancing().await;
    let by_hand = json!({"name": "by-hand", "origins": [{"name": "by-hand", "address": "192.0.2.77", "weight": 0.3}]});
    fixture.cloudflare.store().add_pool(&fixture.ids.account, by_hand);
    Setting { fixture, provider: Fixture::whole, published: |fixture| fixture.enabled("daymark-lb"), calls: 5 }
}

impl Setting {
    /// The objects that are not Daymark's, as text.
    fn unmanaged(&self) -> String {
        let store = self.fixture.cloudflare.store();
        let records = store.zones[&self.fixture.ids.zone].records.values();
        let records = records.filter(|record| {
            !record["comment"].as_str().is_some_and(|comment| comment.starts_with("managed by daymark"))
        });
        let pools: Vec<Value> = store.accounts[&self.fixture.ids.account].pools.values().cloned().map(blank).collect();
        let balancers = &store.zones[&self.fixture.ids.zone].balancers;
        json!([records.collect::<Vec<_>>(), pools, balancers]).to_string()
    }
}

/// A pool without what Daymark may change in it, in the order of the names of its origins.
fn blank(mut pool: Value) -> Value {
    pool.as_object_mut().unwrap().remove("modified_on");
    let origins = pool["origins"].as_array_mut().unwrap();
    origins.sort_by_key(|origin| origin["name"].to_string());
    for origin in origins.iter_mut().filter(|origin| origin["name"] != "by-hand") {
        origin.as_object_mut().unwrap().retain(|field, _| field != "enabled" && field != "disabled_at");
    }
    pool
}

/// Injects a fault into the `nth` call of a change, and checks everything that must hold in the end.
async fn change_with_fault(setting: Setting, fault: Fault, nth: usize) {
    let case = format!("{fault:?} at call {nth}");
    let Setting { fixture, provider, published, .. } = &setting;
    let publisher = PublisherFixture::begin(provider(fixture), decision(1, &[ONE, TWO]));
    publisher.until(&fixture.cloudflare, Duration::from_secs(10), || publisher.is_published()).await;
    // The checks of the start come after it.
    publisher.pass(&fixture.cloudflare, Duration::from_secs(5)).await;
    let unmanaged = setting.unmanaged();
    let before = fixture.cloudflare.calls().len();

    fixture.cloudflare.inject(fault, RequestMatcher::any().nth(nth));
    publisher.decide(decision(2, &[TWO, THREE]));
    publisher.until(&fixture.cloudflare, Duration::from_mins(7), || publisher.is_published()).await;
    assert_eq!(published(fixture), addresses(&[TWO, THREE]), "{case}");
    // What comes late, and the looks after it, change nothing any more.
    publisher.pass(&fixture.cloudflare, Duration::from_mins(11)).await;
    assert!(publisher.is_published(), "{case}: {:?}", publisher.progress.status());
    publisher.end().await;
    assert_eq!(published(fixture), addresses(&[TWO, THREE]), "{case}");
    assert_eq!(setting.unmanaged(), unmanaged, "{case}");

    let calls = &fixture.cloudflare.calls()[before..];
    let injected =
        calls.iter().position(|call| call.fault.is_some()).unwrap_or_else(|| panic!("{case} was not injected"));
    let pause = match fault {
        Fault::TooMany { retry_after: Some(seconds) } => Duration::from_secs(seconds),
        Fault::TooMany { retry_after: None } => Duration::from_mins(5),
        // A slow answer in time is no failure.
        Fault::Slow(time) if time < Duration::from_secs(30) => Duration::ZERO,
        _ => Duration::from_millis(100),
    };
    let same = |call: &&RecordedCall| (&call.method, &call.path) == (&calls[injected].method, &calls[injected].path);
    let next = match fault {
        // After a refusal, the other calls are still made.
        Fault::ErrorAsSuccess => calls[injected + 1..].iter().find(same).expect("it is tried again"),
        _ => &calls[injected + 1],
    };
    let gap = next.at - calls[injected].at;
    assert!(gap >= pause, "{case}: the next call came after {gap:?}");
}

#[tokio::test]
async fn every_fault_of_a_change_of_a_pool_ends_in_the_desired_state() {
    let _frozen = freeze();
    for fault in FAULTS {
        for nth in 1..=by_pool().await.calls {
            change_with_fault(by_pool().await, fault, nth).await;
        }
    }
}

#[tokio::test]
async fn every_fault_of_a_change_of_records_ends_in_the_desired_state() {
    let _frozen = freeze();
    for fault in FAULTS {
        for nth in 1..=by_records().await.calls {
            change_with_fault(by_records().await, fault, nth).await;
        }
    }
}

#[tokio::test]
async fn every_fault_of_a_change_of_a_whole_setup_ends_in_the_desired_state() {
    let _frozen = freeze();
    for fault in FAULTS {
        for nth in 1..=by_a_whole_setup().await.calls {
            change_with_fault(by_a_whole_setup().await, fault, nth).await;
        }
    }
}

#[tokio::test]
async fn every_fault_while_a_whole_setup_is_made_ends_with_one_of_each() {
    let _frozen = freeze();
    for fault in FAULTS {
        // The zone, and three times pools and balancers with a write after each of the first two.
        for nth in 1..=9 {
            let fixture = by_a_whole_setup().await.fixture;
            fixture.cloudflare.inject(fault, RequestMatcher::any().nth(nth));
            let publisher = PublisherFixture::begin(fixture.whole(), decision(1, &[ONE, THREE]));
            publisher.until(&fixture.cloudflare, Duration::from_mins(7), || publisher.is_published()).await;
            publisher.end().await;
            let case = format!("{fault:?} at call {nth}");
            assert_eq!(fixture.enabled("daymark-lb"), addresses(&[ONE, THREE]), "{case}");
            let store = fixture.cloudflare.store();
            let balancers: Vec<&Value> = store.zones[&fixture.ids.zone].balancers.values().collect();
            assert_eq!((store.accounts[&fixture.ids.account].pools.len(), balancers.len()), (2, 1), "{case}");
            assert_eq!(balancers[0]["default_pools"], json!([balancers[0]["fallback_pool"]]), "{case}");
        }
    }
}

#[tokio::test]
async fn an_api_that_stays_broken_is_asked_less_and_less_often() {
    let fixture = Fixture::new().await;
    let _frozen = freeze();
    for _ in 0..200 {
        fixture.cloudflare.inject(Fault::Status(500), RequestMatcher::any());
    }
    let publisher = PublisherFixture::begin(fixture.pools(), decision(1, &[ONE]));
    publisher.pass(&fixture.cloudflare, Duration::from_mins(5)).await;
    // Newer answers are no reason to ask more often.
    for generation in 2..100 {
        publisher.decide(decision(generation, if generation % 2 == 0 { &[TWO] } else { &[ONE] }));
        publisher.pass(&fixture.cloudflare, Duration::from_secs(1)).await;
    }
    publisher.end().await;
    let gaps: Vec<Duration> = fixture.cloudflare.calls().windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    for (n, gap) in gaps.iter().enumerate() {
        let least = Duration::from_millis(100 << n.min(7));
        assert!(*gap >= least.min(Duration::from_secs(15)), "pause {n} is {gap:?}, of {gaps:?}");
    }
    assert!(gaps.len() < 40, "{} tries in seven minutes", gaps.len());
}

#[tokio::test]
async fn only_the_newest_answer_is_sent_after_a_stall() {
    let fixture = Fixture::new().await;
    let _frozen = freeze();
    let publisher = PublisherFixture::begin(fixture.pools(), decision(1, &[ONE, TWO, THREE]));
    publisher.until(&fixture.cloudflare, Duration::from_secs(10), || publisher.is_published()).await;
    fixture.cloudflare.inject(Fault::StallBefore, RequestMatcher::method("PATCH"));
    publisher.decide(decision(2, &[ONE, TWO]));
    publisher.pass(&fixture.cloudflare, Duration::from_secs(1)).await;
    publisher.decide(decision(3, &[ONE]));
    publisher.decide(decision(4, &[THREE]));
    publisher.until(&fixture.cloudflare, Duration::from_mins(2), || publisher.is_published()).await;
    publisher.end().await;
    let sent = fixture.cloudflare.calls().into_iter().filter(|call| call.method == "PATCH").map(|call| {
        let origins = call.body["origins"].as_array().unwrap().clone();
        origins
            .iter()
            .filter(|origin| origin["enabled"] != false)
            .map(|origin| origin["name"].as_str().unwrap().to_owned())
            .collect()
    });
    let sent: Vec<Vec<String>> = sent.collect();
    assert_eq!(sent, [vec!["kube-cp-1", "kube-cp-2"], vec!["kube-cp-3"]]);
}
