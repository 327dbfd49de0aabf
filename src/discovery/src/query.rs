//! One query for the nodes of a pool: asks one apiserver after the other, each at its own address, until one gives a list.

use std::cmp::Reverse;
use std::net::IpAddr;
use std::time::Duration;

use daymark_decision::{Grade, Kind};
use daymark_probe::Prober;
use tokio::time::Instant;

use crate::listing::{self, ListError};
use crate::rules::Listing;
use crate::settings::DiscoverySource;

/// The most bytes of a list. A Node reports its images and has some 20 kB, and a page has at most 200 of them.
const MAX_LIST_BYTES: usize = 8 << 20;
/// The most apiservers without a list that a message names.
const MAX_SHOWN: usize = 3;

/// A list, and the apiserver that gave it.
#[derive(Debug)]
pub(crate) struct ListAnswer {
    pub(crate) listing: Listing,
    pub(crate) apiserver: IpAddr,
}

/// The limits of one query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    /// The longest time for one apiserver.
    pub(crate) each: Duration,
    /// The end of the whole query.
    pub(crate) all: Instant,
}

/// No apiserver gave a list.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub(crate) struct QueryError(Vec<String>);

#[cfg(test)]
impl QueryError {
    pub(crate) fn for_test(message: &str) -> Self {
        Self(vec![message.to_owned()])
    }
}

/// One apiserver gave no list.
#[derive(Debug, thiserror::Error)]
enum ApiserverError {
    /// The request cannot be made.
    #[error(transparent)]
    Request(#[from] kube_core::request::Error),
    /// There is no answer.
    #[error("{0}")]
    NoAnswer(Kind),
    /// The answer is no list.
    #[error(transparent)]
    NoList(#[from] ListError),
}

/// Asks the apiservers at these addresses in their order, and gives the first list.
pub(crate) async fn query(
    prober: &Prober,
    source: &DiscoverySource,
    apiservers: &[IpAddr],
    deadlines: Deadlines,
) -> Result<ListAnswer, QueryError> {
    let mut failures = Vec::new();
    for (asked, address) in apiservers.iter().enumerate() {
        let now = Instant::now();
        if now >= deadlines.all {
            failures.truncate(MAX_SHOWN);
            failures.push(format!("{asked} of {} were asked in time", apiservers.len()));
            return Err(QueryError(failures));
        }
        match query_one(prober, source, *address, deadlines.all.min(now + deadlines.each)).await {
            Ok(listing) => return Ok(ListAnswer { listing, apiserver: *address }),
            Err(error) => failures.push(format!("{address}: {error}")),
        }
    }
    let more = failures.len().saturating_sub(MAX_SHOWN);
    failures.truncate(MAX_SHOWN);
    failures.extend((more > 0).then(|| format!("and {more} more")));
    Err(QueryError(failures))
}

/// The addresses in the order of a query: the best grade first. `round` rotates those of one grade.
pub(crate) fn query_order(mut targets: Vec<GradedAddress>, round: usize) -> Vec<IpAddr> {
    let first = round % targets.len().max(1);
    targets.rotate_left(first);
    targets.sort_by_key(|target| Reverse(target.grade));
    targets.into_iter().map(|target| target.address).collect()
}

/// An address of the pool with its grade.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GradedAddress {
    pub(crate) address: IpAddr,
    pub(crate) grade: Grade,
}

async fn query_one(
    prober: &Prober,
    source: &DiscoverySource,
    address: IpAddr,
    deadline: Instant,
) -> Result<Listing, ApiserverError> {
    let path = listing::path(source)?;
    let answer = prober.fetch(address, &path, MAX_LIST_BYTES, deadline).await.map_err(ApiserverError::NoAnswer)?;
    Ok(listing::read(source, answer.status(), answer.body(), prober.settings().port)?)
}

#[cfg(test)]
mod tests {
    use daymark_decision::fixtures::assert_is_plain_message;

    use super::*;
    use crate::tests::probe_settings;

    #[tokio::test(start_paused = true)]
    async fn no_apiserver_is_asked_after_the_deadline() {
        let prober = Prober::new(probe_settings());
        let apiservers = [[127, 0, 0, 1].into(); 2];
        let within =
            |seconds| Deadlines { each: Duration::from_secs(1), all: Instant::now() + Duration::from_secs(seconds) };
        let error = query(&prober, &DiscoverySource::Endpoints, &apiservers, within(0)).await.unwrap_err().to_string();
        assert_eq!(error, "0 of 2 were asked in time");
        let error = query(&prober, &DiscoverySource::Endpoints, &apiservers, within(60)).await.unwrap_err().to_string();
        assert_eq!(error.matches("127.0.0.1: ").count(), 2, "{error}");
    }

    #[test]
    fn the_ready_ones_are_asked_first_and_in_rotation() {
        let address = |n: u8| IpAddr::from([192, 0, 2, n]);
        let grades = [Grade::Down, Grade::Ready, Grade::Unknown, Grade::Ready];
        let targets: Vec<_> =
            grades.into_iter().zip(1..).map(|(grade, n)| GradedAddress { address: address(n), grade }).collect();
        assert_eq!(query_order(targets.clone(), 0), [2, 4, 1, 3].map(address));
        assert_eq!(query_order(targets.clone(), 2), [4, 2, 1, 3].map(address));
        assert_eq!(query_order(targets, 6), [4, 2, 1, 3].map(address));
        assert_eq!(query_order(Vec::new(), 1), [] as [IpAddr; 0]);
    }

    /// A sample of the variant after this one. A new variant does not compile until it has its place.
    fn next_error(error: &ApiserverError) -> Option<ApiserverError> {
        let list = |status| listing::read(&DiscoverySource::Endpoints, status, b"no list", 6443).err();
        Some(match error {
            ApiserverError::Request(_) => ApiserverError::NoAnswer(Kind::Refused),
            ApiserverError::NoAnswer(_) => list(http::StatusCode::OK)?.into(),
            ApiserverError::NoList(_) => return None,
        })
    }

    #[test]
    fn every_error_of_a_query_is_a_sentence() {
        let invalid = kube_core::request::Error::Validation("the limit is not valid".to_owned());
        let errors: Vec<String> =
            std::iter::successors(Some(invalid.into()), next_error).map(|error| error.to_string()).collect();
        assert_eq!(errors.len(), 3);
        for error in &errors {
            assert_is_plain_message(error);
        }
        assert_is_plain_message(&QueryError(errors).to_string());
    }
}
