//! `daymark ask`: what names lead to, for where there is no `dig`, as in the image.

use std::net::{IpAddr, SocketAddr};

use clap::Args;
use daymark_resolver::Names;

use super::{Failure, Outcome, block_on};
use daymark_files::error_chain;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The names
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// The server that is asked, by UDP and by TCP, at port 53 unless told otherwise; without it the name servers of the
    /// system
    #[arg(long, value_name = "HOST[:PORT]")]
    server: Option<String>,
}

pub(super) fn ask(arguments: &Arguments) -> Outcome {
    block_on(async {
        let mut lines = String::new();
        for name in &arguments.names {
            for (way, found) in found(name, arguments.server.as_deref()).await? {
                let addresses = found.map_err(|cause| Failure::Run(format!("{name}: no address {way}: {cause}")))?;
                let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                lines.push_str(&format!("{name}: {} {way}\n", addresses.join(" ")));
            }
        }
        Ok(lines)
    })
}

/// What was found in each way that there is to ask, or why nothing was.
type Found = Vec<(String, Result<Vec<IpAddr>, String>)>;

async fn found(name: &str, server: Option<&str>) -> Result<Found, Failure> {
    let Some(server) = server else {
        let found = Names::system().addresses(name).await.map_err(|error| error_chain(&error));
        return Ok(vec![("by the name servers of the system".to_owned(), found)]);
    };
    let server = resolved(server).await?;
    let mut ways = Vec::new();
    for (transport, by_tcp) in [("UDP", false), ("TCP", true)] {
        let found = daymark_resolver::ask(name, server, by_tcp).await.map_err(|error| error_chain(&error));
        ways.push((format!("at {server} by {transport}"), found));
    }
    Ok(ways)
}

/// Where a server is that is given as address or name, with or without a port.
async fn resolved(server: &str) -> Result<SocketAddr, Failure> {
    if let Ok(address) = server.parse() {
        return Ok(address);
    }
    let (host, port) = match server.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => (host, port.parse().ok()),
        _ => (server, Some(53)),
    };
    let port =
        port.ok_or_else(|| Failure::Usage(format!("{server}: HOST or HOST:PORT is wanted, such as 192.0.2.1:53")))?;
    let found = Names::system().addresses(host).await;
    let found =
        found.map_err(|error| Failure::Run(format!("the name {host} leads nowhere: {}", error_chain(&error))))?;
    Ok(SocketAddr::new(found[0], port))
}
