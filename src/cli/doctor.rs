//! `daymark doctor`: looks at the whole setup from outside and from inside.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use daymark_resolver::DNS_PORT;
use tracing::level_filters::LevelFilter;

use super::log::{self, Format};
use super::{ConfigArguments, Failure, Outcome, Output, block_on, json, print, socket_address};
use crate::admin_client::is_host_and_port;
use crate::doctor::{DoctorReport, DoctorSection, DoctorTargets, ExaminedSetup, examine};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    file: ConfigArguments,
    /// A server of the parent zone; may be given several times. Without it they are found from the root
    #[arg(long = "parent", value_name = "ADDRESS[:PORT]", value_parser = server)]
    parents: Vec<SocketAddr>,
    /// A root server to begin at, of a network with its own; may be given several times
    #[arg(long = "root", value_name = "ADDRESS[:PORT]", value_parser = server)]
    roots: Vec<SocketAddr>,
    /// A resolver to ask beside those of this machine; may be given several times
    #[arg(long = "resolver", value_name = "ADDRESS[:PORT]", value_parser = server)]
    resolvers: Vec<SocketAddr>,
    /// The file that names the resolvers of this machine
    #[arg(long, value_name = "FILE", default_value = "/etc/resolv.conf")]
    resolv_conf: PathBuf,
    /// The port of the name servers
    #[arg(long, value_name = "PORT", default_value_t = DNS_PORT)]
    port: u16,
    /// The admin API of a host; may be given several times. Without it, the one of the configuration on this machine
    #[arg(long = "host-api", value_name = "HOST:PORT", value_parser = host_api)]
    host_apis: Vec<String>,
    /// The form of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

pub(super) fn doctor(arguments: &Arguments) -> Outcome {
    let config = arguments.file.load_without_keys()?;
    let targets = DoctorTargets {
        parents: arguments.parents.clone(),
        roots: arguments.roots.clone(),
        resolvers: arguments.resolvers.clone(),
        resolv_conf: arguments.resolv_conf.clone(),
        port: arguments.port,
        host_apis: arguments.host_apis.clone(),
    };
    // Its findings are in the report.
    let _log = log::start(Format::Text, LevelFilter::OFF);
    let setup = ExaminedSetup::new(config, targets)?;
    let report = block_on(async { Ok(examine(&setup, progress()).await) })?;
    print(&shown(&report, arguments.output)?)?;
    match report.exit_code() {
        0 => Ok(String::new()),
        code => Err(Failure::Reported(code)),
    }
}

fn shown(report: &DoctorReport, output: Output) -> Outcome {
    match output {
        Output::Json => json(report),
        Output::Text => Ok(report.to_string()),
    }
}

/// Says on a terminal which sections have ended.
fn progress() -> impl Fn(DoctorSection) {
    let is_terminal = io::stderr().is_terminal();
    move |section| {
        if is_terminal {
            // A lost line of progress is no loss.
            let _ = writeln!(io::stderr(), "looked at: {section}");
        }
    }
}

/// The error of a text that is no address of a server.
#[derive(Debug, thiserror::Error)]
#[error("ADDRESS or ADDRESS:PORT is needed, such as 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53")]
struct NotServer;

fn server(text: &str) -> Result<SocketAddr, NotServer> {
    socket_address(text, DNS_PORT).ok_or(NotServer)
}

/// The error of a text that is no address of an admin API.
#[derive(Debug, thiserror::Error)]
#[error("HOST:PORT is needed, such as 192.0.2.11:9353")]
struct NotHostApi;

/// Takes also the URL of an API, because browsers and scrapers have it so.
fn host_api(text: &str) -> Result<String, NotHostApi> {
    let address = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    if is_host_and_port(address) { Ok(address.to_owned()) } else { Err(NotHostApi) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_an_address_with_or_without_a_port() {
        assert_eq!(server("192.0.2.1").unwrap().to_string(), "192.0.2.1:53");
        assert_eq!(server("192.0.2.1:5353").unwrap().to_string(), "192.0.2.1:5353");
        assert_eq!(server("2001:db8::1").unwrap().to_string(), "[2001:db8::1]:53");
        for wrong in ["ns1.example.org", "192.0.2.1:dns", "", "192.0.2.1:53:53"] {
            assert!(server(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_admin_api_is_a_host_with_a_port_also_as_a_url() {
        assert_eq!(host_api("http://192.0.2.11:9353/").unwrap(), "192.0.2.11:9353");
        assert_eq!(host_api("dns-1.example.org:9353").unwrap(), "dns-1.example.org:9353");
        for wrong in ["https://192.0.2.11:9353", "192.0.2.11", "http://192.0.2.11:9353/api", ":9353"] {
            assert!(host_api(wrong).is_err(), "{wrong}");
        }
    }
}
