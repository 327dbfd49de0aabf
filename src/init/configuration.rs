//! The commented configuration of a setup.

use std::fmt::Write;
use std::net::IpAddr;

use super::{KEY_NAME, NamedAddresses, NewSetup, Publishing};

impl NewSetup {
    /// The text of the configuration file, the same for every host.
    pub fn configuration(&self) -> String {
        let mut text = format!(
            "# {}, made by `daymark init`. docs/configuration.md has every key.\npools:\n  - name: {} # kubeadm's controlPlaneEndpoint, \
             without its port\n    port: {}\n    nodes:\n",
            self.subject(),
            self.pool.name,
            self.pool.port
        );
        for NamedAddresses { name, addresses } in &self.nodes {
            push(&mut text, format_args!("      - {{name: {name}, addresses: [{}]}}\n", quoted(addresses)));
        }
        push(
            &mut text,
            format_args!("    probe:\n      ca: {} # the CA of the apiservers' certificates\n\n", self.ca.display()),
        );
        text.push_str(&match &self.publishing {
            Publishing::Hosts(hosts) => self.served(hosts),
            Publishing::Cloudflare { zone } => at_cloudflare(zone),
        });
        text
    }

    fn subject(&self) -> &'static str {
        match &self.publishing {
            Publishing::Hosts(hosts) if hosts.len() > 1 => {
                "One name for a control plane, served by hosts that decide together"
            }
            Publishing::Hosts(_) => "One name for a control plane, served by one host",
            Publishing::Cloudflare { .. } => "One name for a control plane, as records at Cloudflare",
        }
    }

    fn served(&self, hosts: &[NamedAddresses]) -> String {
        let mut text = "providers:\n  - type: authoritative\n    listen: [\"0.0.0.0:53\", \"[::]:53\"]\n    nameservers: # as in the parent \
                        zone\n"
            .to_owned();
        for host in hosts {
            let name = self.nameserver(host);
            push(&mut text, format_args!("      - {{name: {name}, addresses: [{}]}}\n", quoted(&host.addresses)));
        }
        if !self.needs_key() {
            return text;
        }
        text.push_str(
            "\npeers: # each host gets its own name by `daymark run --self NAME`, or by the variable DAYMARK_SELF\n  listen: \"[::]:7946\" \
             # UDP, between the hosts only\n  members:\n",
        );
        for NamedAddresses { name, addresses } in hosts {
            push(&mut text, format_args!("    - {{name: {name}, address: {}}}\n", quoted(&addresses[..1])));
        }
        push(&mut text, format_args!("  keyFile: {KEY_NAME} # beside this file, the same on every host\n"));
        text
    }
}

fn at_cloudflare(zone: &str) -> String {
    format!(
        "providers:\n  - type: cloudflare\n    mode: records # load-balancing needs a paid plan, and is faster\n    zone: {zone}\n    \
         tokenVariable: CLOUDFLARE_API_TOKEN # with \"Zone: Read\" and \"DNS: Edit\" for the zone\n"
    )
}

/// Addresses as the items of a YAML list. Those with colons need quotation marks.
fn quoted(addresses: &[IpAddr]) -> String {
    let quoted = |address: &IpAddr| if address.is_ipv6() { format!("\"{address}\"") } else { address.to_string() };
    addresses.iter().map(quoted).collect::<Vec<_>>().join(", ")
}

/// Writing to a text cannot fail.
fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(line);
}
