//! One ask for the nodes of a pool: of one apiserver after the other, each at its own address, until one gives a list.

use std::cmp::Reverse;
use std::net::IpAddr;
use std::time::Duration;

use daymark_decision::Grade;
use tokio::time::Instant;

use super::listing;
use super::roster::Listing;
use super::settings::Source;
use daymark_files::error_chain;
use daymark_probe::Prober;

/// The most bytes of a list. A Node tells its images and has some 20 kB, and a page has 200 of them at the most.
const LIMIT: usize = 8 << 20;
/// How many apiservers are told of that gave no list.
const SHOWN: usize = 3;

/// Asks the apiservers at these addresses in turn, each for its share of the time and none after the deadline, and gives the
/// first list with who gave it; or else why each gave none.
pub async fn ask(
    prober: &Prober,
    source: &Source,
    apiservers: &[IpAddr],
    (share, deadline): (Duration, Instant),
) -> Result<(Listing, IpAddr), String> {
    let mut faults = Vec::new();
    for (asked, address) in apiservers.iter().enumerate() {
        let now = Instant::now();
        if now >= deadline {
            faults.truncate(SHOWN);
            faults.push(format!("{asked} of {} were asked in time", apiservers.len()));
            return Err(faults.join("; "));
        }
        match ask_one(prober, source, *address, deadline.min(now + share)).await {
            Ok(listing) => return Ok((listing, *address)),
            Err(fault) => faults.push(format!("{address}: {fault}")),
        }
    }
    let more = faults.len().saturating_sub(SHOWN);
    faults.truncate(SHOWN);
    faults.extend((more > 0).then(|| format!("and {more} more")));
    Err(faults.join("; "))
}

/// Every address of the pool, the best first, and those of one grade in turn.
pub fn in_turn(mut targets: Vec<(Grade, IpAddr)>, round: usize) -> Vec<IpAddr> {
    let first = round % targets.len().max(1);
    targets.rotate_left(first);
    targets.sort_by_key(|(grade, _)| Reverse(*grade));
    targets.into_iter().map(|(_, address)| address).collect()
}

async fn ask_one(prober: &Prober, source: &Source, address: IpAddr, deadline: Instant) -> Result<Listing, String> {
    let path = listing::path(source).map_err(|fault| error_chain(&fault))?;
    let answer = prober.fetch(address, &path, LIMIT, deadline).await.map_err(|it| it.to_string())?;
    listing::read(source, answer.status(), answer.body(), prober.settings().port).map_err(|fault| error_chain(&fault))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    #[tokio::test(start_paused = true)]
    async fn after_the_deadline_no_one_is_asked() {
        let text = "pools: [{name: lb.example.org, port: 1, nodes: [{name: a, addresses: [127.0.0.1]}]}]\n\
                    providers: [{type: authoritative, nameservers: [{name: ns1.example.net}]}]\n";
        let config = Config::parse(text, "test.yaml", Path::new("")).unwrap();
        let (prober, apiservers) = (Prober::new(config.pools[0].probe.clone()), [[127, 0, 0, 1].into(); 2]);
        let of = |seconds| (Duration::from_secs(1), Instant::now() + Duration::from_secs(seconds));
        let told = ask(&prober, &Source::Endpoints, &apiservers, of(0)).await.unwrap_err();
        assert_eq!(told, "0 of 2 were asked in time");
        let told = ask(&prober, &Source::Endpoints, &apiservers, of(60)).await.unwrap_err();
        assert_eq!(told.matches("127.0.0.1: ").count(), 2, "{told}");
    }

    #[test]
    fn the_ready_ones_are_asked_first_and_in_turn() {
        let address = |n: u8| IpAddr::from([192, 0, 2, n]);
        let grades = [Grade::Down, Grade::Ready, Grade::Unknown, Grade::Ready];
        let targets: Vec<_> = grades.into_iter().zip((1..).map(address)).collect();
        assert_eq!(in_turn(targets.clone(), 0), [2, 4, 1, 3].map(address));
        assert_eq!(in_turn(targets.clone(), 2), [4, 2, 1, 3].map(address));
        assert_eq!(in_turn(targets, 6), [4, 2, 1, 3].map(address));
        assert_eq!(in_turn(Vec::new(), 1), [] as [IpAddr; 0]);
    }
}
