//! `daymark ask`: resolves names. It serves hosts without `dig`, such as a container of the image.

use std::net::{IpAddr, SocketAddr};

use clap::Args;
use daymark_files::error_chain;
use daymark_resolver::{Protocol, ResolveError, SystemResolver, resolve_at};

use super::{Failure, Outcome, block_on};

/// The port of a server without one in `--server`.
const DNS_PORT: u16 = 53;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The names to resolve
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// Ask this server by UDP and by TCP, at port 53 unless PORT is given; by default /etc/hosts and /etc/resolv.conf are used
    #[arg(long, value_name = "HOST[:PORT]")]
    server: Option<String>,
}

pub(super) fn ask(arguments: &Arguments) -> Outcome {
    block_on(async {
        let mut lines = String::new();
        for name in &arguments.names {
            for resolution in resolve(name, arguments.server.as_deref()).await? {
                lines.push_str(&resolution.line(name)?);
            }
        }
        Ok(lines)
    })
}

/// The result of resolving a name in one way.
struct NameResolution {
    /// The server and the protocol, such as `at 192.0.2.1:53 by UDP`.
    via: String,
    result: Result<Vec<IpAddr>, ResolveError>,
}

impl NameResolution {
    fn line(&self, name: &str) -> Outcome {
        let via = &self.via;
        match &self.result {
            Ok(addresses) => {
                let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                Ok(format!("{name}: {} {via}\n", addresses.join(" ")))
            }
            Err(error) => Err(Failure::Run(format!("{} {via}", error_chain(error)))),
        }
    }
}

/// Resolves a name, by both protocols if a server is given.
async fn resolve(name: &str, server: Option<&str>) -> Result<Vec<NameResolution>, Failure> {
    let Some(server) = server else {
        let result = SystemResolver::new().addresses(name).await;
        return Ok(vec![NameResolution { via: "by /etc/hosts or /etc/resolv.conf".to_owned(), result }]);
    };
    let server = server_address(server).await?;
    let mut resolutions = Vec::new();
    for protocol in [Protocol::Udp, Protocol::Tcp] {
        let result = resolve_at(name, server, protocol).await;
        resolutions.push(NameResolution { via: format!("at {server} by {protocol}"), result });
    }
    Ok(resolutions)
}

/// The address of a server that is given as an address or a name, with or without a port.
async fn server_address(server: &str) -> Result<SocketAddr, Failure> {
    if let Ok(address) = server.parse() {
        return Ok(address);
    }
    // An IPv6 address without a port has several colons.
    let (host, port) = match server.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => (host, port.parse().ok()),
        _ => (server, Some(DNS_PORT)),
    };
    let Some(port) = port else {
        return Err(Failure::Usage(format!("{server}: HOST or HOST:PORT is expected, such as 192.0.2.1:53")));
    };
    let addresses = SystemResolver::new().addresses(host).await;
    let addresses = addresses.map_err(|error| Failure::Run(format!("--server: {}", error_chain(&error))))?;
    Ok(SocketAddr::new(addresses[0], port))
}
