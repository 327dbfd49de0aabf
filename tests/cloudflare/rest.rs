//! The number of calls while nothing changes.

use std::time::Duration;

use daymark_cloudflare::Cloudflare;

use crate::fixture::{Fixture, public};
use crate::publisher::{PublisherFixture, freeze};

/// Publishes, and counts the calls of the following hour: reads and writes.
async fn an_hour(fixture: &Fixture, provider: Cloudflare) -> (usize, usize) {
    let _frozen = freeze();
    let publisher = PublisherFixture::begin(provider, public(1));
    publisher.until(&fixture.cloudflare, Duration::from_secs(10), || publisher.is_published()).await;
    // The checks of the start come after it.
    publisher.pass(&fixture.cloudflare, Duration::from_secs(5)).await;
    let before = fixture.cloudflare.calls().len();
    let writes = fixture.writes().len();
    // A little more than an hour: each check is late by a part of the step that advances time.
    publisher.pass(&fixture.cloudflare, Duration::from_secs(3_630)).await;
    publisher.end().await;
    let written = fixture.writes().len() - writes;
    (fixture.cloudflare.calls().len() - before - written, written)
}

#[tokio::test]
async fn an_hour_of_steady_state_is_twelve_reads_of_the_pool_one_check_and_no_write() {
    let fixture = Fixture::public().await;
    // The check asks for the token, the pools, the zones of the name and of its parent, the balancers, the references of the pool,
    // and the records of the name.
    assert_eq!(an_hour(&fixture, fixture.pools()).await, (12 + 7, 0));
}

#[tokio::test]
async fn an_hour_of_steady_state_is_twelve_reads_of_the_records_one_check_and_no_write() {
    let fixture = Fixture::without_balancing().await;
    // The check asks for the token, the two zones, the balancers, and the records with a mark.
    assert_eq!(an_hour(&fixture, fixture.records()).await, (12 + 5, 0));
}

#[tokio::test]
async fn an_hour_of_steady_state_is_twelve_reads_of_pool_and_balancer_one_check_and_no_write() {
    let fixture = Fixture::without_balancing().await;
    assert_eq!(an_hour(&fixture, fixture.whole()).await, (24 + 7, 0));
}

#[tokio::test]
async fn while_there_is_a_finding_an_hour_has_a_check_with_each_drift_check_and_no_write() {
    let fixture = Fixture::public().await;
    fixture.cloudflare.store().pool(&fixture.ids.pool)["monitor"] = "f1aba936b94213e5b8dca0c0dbf1f9cc".into();
    assert_eq!(an_hour(&fixture, fixture.pools()).await, (12 * (1 + 7), 0));
}
