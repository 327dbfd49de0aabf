//! The limit on calls, by paused time.

use std::time::Duration;

use tokio::time;

use crate::Setup;

/// Lists the zones. Returns the status and the headers `ratelimit` and `retry-after`.
async fn list_zones(setup: &Setup) -> (u16, String, Option<String>) {
    let reply = setup.get("/zones").await;
    let header = |name: &str| reply.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(header("ratelimit-policy").unwrap(), "\"default\";q=3;w=300");
    (reply.status, header("ratelimit").unwrap(), header("retry-after"))
}

#[tokio::test]
async fn past_the_limit_every_call_is_refused_for_five_minutes() {
    let setup = Setup::new().await;
    setup.cloudflare.store().rate_limit.limit = 3;
    time::pause();
    assert_eq!(list_zones(&setup).await, (200, "\"default\";r=2;t=300".into(), None));
    time::advance(Duration::from_secs(100)).await;
    assert_eq!(list_zones(&setup).await, (200, "\"default\";r=1;t=200".into(), None));
    assert_eq!(list_zones(&setup).await, (200, "\"default\";r=0;t=200".into(), None));
    assert_eq!(list_zones(&setup).await, (429, "\"default\";r=0;t=300".into(), Some("300".into())));
    time::advance(Duration::from_secs(299)).await;
    assert_eq!(list_zones(&setup).await, (429, "\"default\";r=0;t=1".into(), Some("1".into())));
    time::advance(Duration::from_secs(1)).await;
    assert_eq!(list_zones(&setup).await, (200, "\"default\";r=2;t=300".into(), None));
}

#[tokio::test]
async fn a_window_ends_five_minutes_after_its_first_call() {
    let setup = Setup::new().await;
    setup.cloudflare.store().rate_limit.limit = 3;
    time::pause();
    for _ in 0..7 {
        assert_eq!(list_zones(&setup).await.0, 200);
        time::advance(Duration::from_secs(100)).await;
    }
}

#[tokio::test]
async fn the_dashboard_spends_of_the_same_and_a_refusal_need_not_say_when_to_retry() {
    let setup = Setup::new().await;
    {
        let mut store = setup.cloudflare.store();
        store.rate_limit.limit = 3;
        store.rate_limit.retry_after = false;
        store.rate_limit.spend(3);
    }
    let (status, _, retry_after) = list_zones(&setup).await;
    assert_eq!((status, retry_after), (429, None));
}
