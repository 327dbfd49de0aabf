//! One ask for the nodes of a pool: of one apiserver after the other, each at its own address, until one gives a list.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::listing;
use super::roster::Listing;
use super::settings::Source;
use crate::fault::chain;
use crate::probe::Prober;

/// How long one apiserver may take to give its list.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most bytes of a list. A Node tells its images and has some 20 kB.
const LIMIT: usize = 16 << 20;
/// How many apiservers are told of that gave no list.
const SHOWN: usize = 3;

/// Asks the apiservers at these addresses in turn, and gives the first list with who gave it; or else why each gave none.
pub async fn ask(prober: &Prober, source: &Source, apiservers: &[IpAddr]) -> Result<(Listing, IpAddr), String> {
    let mut faults = Vec::new();
    for address in apiservers {
        match ask_one(prober, source, *address).await {
            Ok(listing) => return Ok((listing, *address)),
            Err(fault) => faults.push(format!("{address}: {fault}")),
        }
    }
    let more = faults.len().saturating_sub(SHOWN);
    faults.truncate(SHOWN);
    faults.extend((more > 0).then(|| format!("and {more} more")));
    Err(faults.join("; "))
}

async fn ask_one(prober: &Prober, source: &Source, address: IpAddr) -> Result<Listing, String> {
    let path = listing::path(source).map_err(|fault| chain(&fault))?;
    let answer = prober.fetch(address, &path, LIMIT, Instant::now() + PATIENCE).await.map_err(|it| it.to_string())?;
    listing::read(source, answer.status(), answer.body(), prober.settings().port).map_err(|fault| chain(&fault))
}
