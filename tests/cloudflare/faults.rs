//! Every fault of Cloudflare, at every call of a change.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use daymark_cloudflare::Cloudflare;
use daymark_fake_cloudflare::{Call, Fault, Matching};
use serde_json::{Value, json};

use crate::scene::{ONE, Scene, THREE, TWO, addresses, decision};
use crate::stage::{Stage, freeze};

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

/// One way to publish.
struct Way {
    scene: Scene,
    provider: fn(&Scene) -> Cloudflare,
    shown: fn(&Scene) -> BTreeSet<IpAddr>,
    /// How many calls a change takes.
    calls: usize,
}

async fn by_pool() -> Way {
    let scene = Scene::new().await;
    {
        let mut world = scene.cloudflare.world();
        let pool = world.pool(&scene.ids.pool);
        pool["of_next_year"] = json!({"a": [1.50, null]});
        let origins = pool["origins"].as_array_mut().unwrap();
        origins[0]["weight"] = json!(0.1);
        origins.push(json!({"name": "by-hand", "address": "192.0.2.77", "enabled": false, "weight": 0.3}));
    }
    Way { scene, provider: Scene::pools, shown: |scene| scene.enabled("kube-cp"), calls: 3 }
}

async fn by_records() -> Way {
    let scene = Scene::without_balancing().await;
    for record in [
        json!({"type": "TXT", "name": "lb.kube-cp.com", "content": "\"by hand\"", "ttl": 300}),
        json!({"type": "A", "name": "www.kube-cp.com", "content": "192.0.2.77", "ttl": 300, "comment": "by hand"}),
    ] {
        scene.cloudflare.world().add_record(&scene.ids.zone, record);
    }
    Way { scene, provider: Scene::records, shown: Scene::resolved, calls: 5 }
}

/// A setup of Daymark's own, which it has yet to make.
async fn by_a_whole_setup() -> Way {
    let scene = Scene::without_balancing().await;
    let by_hand = json!({"name": "by-hand", "origins": [{"name": "by-hand", "address": "192.0.2.77", "weight": 0.3}]});
    scene.cloudflare.world().add_pool(&scene.ids.account, by_hand);
    Way { scene, provider: Scene::whole, shown: |scene| scene.enabled("daymark-lb"), calls: 5 }
}

impl Way {
    /// Everything that is not Daymark's, as text.
    fn unmanaged(&self) -> String {
        let world = self.scene.cloudflare.world();
        let records = world.zones[&self.scene.ids.zone].records.values();
        let records =
            records.filter(|it| !it["comment"].as_str().is_some_and(|it| it.starts_with("managed by daymark")));
        let pools: Vec<Value> = world.accounts[&self.scene.ids.account].pools.values().cloned().map(blank).collect();
        let balancers = &world.zones[&self.scene.ids.zone].balancers;
        json!([records.collect::<Vec<_>>(), pools, balancers]).to_string()
    }
}

/// A pool without what Daymark may change in it, in the order of the names of its origins.
fn blank(mut pool: Value) -> Value {
    pool.as_object_mut().unwrap().remove("modified_on");
    let origins = pool["origins"].as_array_mut().unwrap();
    origins.sort_by_key(|it| it["name"].to_string());
    for origin in origins.iter_mut().filter(|it| it["name"] != "by-hand") {
        origin.as_object_mut().unwrap().retain(|field, _| field != "enabled" && field != "disabled_at");
    }
    pool
}

/// Plays a fault to the `nth` call of a change, and checks everything that must hold in the end.
async fn play(way: Way, fault: Fault, nth: usize) {
    let case = format!("{fault:?} at call {nth}");
    let Way { scene, provider, shown, .. } = &way;
    let stage = Stage::begin(provider(scene), decision(1, &[ONE, TWO]));
    stage.until(&scene.cloudflare, Duration::from_secs(10), || stage.is_published()).await;
    // The checks of the start come after it.
    stage.pass(&scene.cloudflare, Duration::from_secs(5)).await;
    let (unmanaged, before) = (way.unmanaged(), scene.cloudflare.calls().len());

    scene.cloudflare.play(fault, Matching::any().nth(nth));
    stage.decide(decision(2, &[TWO, THREE]));
    stage.until(&scene.cloudflare, Duration::from_mins(7), || stage.is_published()).await;
    assert_eq!(shown(scene), addresses(&[TWO, THREE]), "{case}");
    // What comes late, and the looks after it, change nothing any more.
    stage.pass(&scene.cloudflare, Duration::from_mins(11)).await;
    assert!(stage.is_published(), "{case}: {:?}", stage.progress.status());
    stage.end().await;
    assert_eq!(shown(scene), addresses(&[TWO, THREE]), "{case}");
    assert_eq!(way.unmanaged(), unmanaged, "{case}");

    let calls = &scene.cloudflare.calls()[before..];
    let played = calls.iter().position(|call| call.fault.is_some()).unwrap_or_else(|| panic!("{case} was not played"));
    let pause = match fault {
        Fault::TooMany { retry_after: Some(seconds) } => Duration::from_secs(seconds),
        Fault::TooMany { retry_after: None } => Duration::from_mins(5),
        // A slow answer in time is no failure.
        Fault::Slow(time) if time < Duration::from_secs(30) => Duration::ZERO,
        _ => Duration::from_millis(100),
    };
    let same = |call: &&Call| (&call.method, &call.path) == (&calls[played].method, &calls[played].path);
    let next = match fault {
        // What was refused is no reason not to make other calls.
        Fault::ErrorAsSuccess => calls[played + 1..].iter().find(same).expect("it is tried again"),
        _ => &calls[played + 1],
    };
    let gap = next.at - calls[played].at;
    assert!(gap >= pause, "{case}: the next call came after {gap:?}");
}

#[tokio::test]
async fn every_fault_of_a_change_of_a_pool_ends_in_the_desired_state() {
    let _frozen = freeze();
    for fault in FAULTS {
        for nth in 1..=by_pool().await.calls {
            play(by_pool().await, fault, nth).await;
        }
    }
}

#[tokio::test]
async fn every_fault_of_a_change_of_records_ends_in_the_desired_state() {
    let _frozen = freeze();
    for fault in FAULTS {
        for nth in 1..=by_records().await.calls {
            play(by_records().await, fault, nth).await;
        }
    }
}

#[tokio::test]
async fn every_fault_of_a_change_of_a_whole_setup_ends_in_the_desired_state() {
    let _frozen = freeze();
    for fault in FAULTS {
        for nth in 1..=by_a_whole_setup().await.calls {
            play(by_a_whole_setup().await, fault, nth).await;
        }
    }
}

#[tokio::test]
async fn every_fault_while_a_whole_setup_is_made_ends_with_one_of_each() {
    let _frozen = freeze();
    for fault in FAULTS {
        // The zone, and three times pools and balancers with a write after each of the first two.
        for nth in 1..=9 {
            let scene = by_a_whole_setup().await.scene;
            scene.cloudflare.play(fault, Matching::any().nth(nth));
            let stage = Stage::begin(scene.whole(), decision(1, &[ONE, THREE]));
            stage.until(&scene.cloudflare, Duration::from_mins(7), || stage.is_published()).await;
            stage.end().await;
            let case = format!("{fault:?} at call {nth}");
            assert_eq!(scene.enabled("daymark-lb"), addresses(&[ONE, THREE]), "{case}");
            let world = scene.cloudflare.world();
            let balancers: Vec<&Value> = world.zones[&scene.ids.zone].balancers.values().collect();
            assert_eq!((world.accounts[&scene.ids.account].pools.len(), balancers.len()), (2, 1), "{case}");
            assert_eq!(balancers[0]["default_pools"], json!([balancers[0]["fallback_pool"]]), "{case}");
        }
    }
}

#[tokio::test]
async fn a_world_that_stays_broken_is_asked_less_and_less_often() {
    let scene = Scene::new().await;
    let _frozen = freeze();
    for _ in 0..200 {
        scene.cloudflare.play(Fault::Status(500), Matching::any());
    }
    let stage = Stage::begin(scene.pools(), decision(1, &[ONE]));
    stage.pass(&scene.cloudflare, Duration::from_mins(5)).await;
    // Newer answers are no reason to ask more often.
    for generation in 2..100 {
        stage.decide(decision(generation, if generation % 2 == 0 { &[TWO] } else { &[ONE] }));
        stage.pass(&scene.cloudflare, Duration::from_secs(1)).await;
    }
    stage.end().await;
    let gaps: Vec<Duration> = scene.cloudflare.calls().windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    for (n, gap) in gaps.iter().enumerate() {
        let least = Duration::from_millis(100 << n.min(7));
        assert!(*gap >= least.min(Duration::from_secs(15)), "pause {n} is {gap:?}, of {gaps:?}");
    }
    assert!(gaps.len() < 40, "{} tries in seven minutes", gaps.len());
}

#[tokio::test]
async fn only_the_newest_answer_is_sent_after_a_stall() {
    let scene = Scene::new().await;
    let _frozen = freeze();
    let stage = Stage::begin(scene.pools(), decision(1, &[ONE, TWO, THREE]));
    stage.until(&scene.cloudflare, Duration::from_secs(10), || stage.is_published()).await;
    scene.cloudflare.play(Fault::StallBefore, Matching::method("PATCH"));
    stage.decide(decision(2, &[ONE, TWO]));
    stage.pass(&scene.cloudflare, Duration::from_secs(1)).await;
    stage.decide(decision(3, &[ONE]));
    stage.decide(decision(4, &[THREE]));
    stage.until(&scene.cloudflare, Duration::from_mins(2), || stage.is_published()).await;
    stage.end().await;
    let sent = scene.cloudflare.calls().into_iter().filter(|it| it.method == "PATCH").map(|it| {
        let origins = it.body["origins"].as_array().unwrap().clone();
        origins.iter().filter(|it| it["enabled"] != false).map(|it| it["name"].as_str().unwrap().to_owned()).collect()
    });
    let sent: Vec<Vec<String>> = sent.collect();
    assert_eq!(sent, [vec!["kube-cp-1", "kube-cp-2"], vec!["kube-cp-3"]]);
}
