//! The records that delegate the name of the pool, for the zone above it.

use std::net::IpAddr;

use super::{NamedAddresses, NewSetup};

/// The TTL of the delegation in seconds: an hour. It changes only with the hosts.
const TTL: u32 = 3600;

/// One record of the parent zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelegationRecord {
    /// The owner, without a dot at its end.
    pub owner: String,
    /// `NS`, `A` or `AAAA`.
    pub rtype: &'static str,
    /// The data: a name without a dot at its end, or an address.
    pub data: String,
}

impl NewSetup {
    /// The records for the parent zone: the nameservers of the pool's name, and the addresses of those in the parent zone.
    pub fn delegation(&self) -> Vec<DelegationRecord> {
        let hosts = self.hosts();
        let name = |host: &NamedAddresses| self.nameserver(host);
        let nameservers =
            hosts.iter().map(|host| DelegationRecord { owner: self.pool.name.clone(), rtype: "NS", data: name(host) });
        let suffix = format!(".{}", self.parent());
        let inside = hosts.iter().filter(|host| name(host).ends_with(&suffix));
        let addresses = inside.flat_map(|host| {
            host.addresses.iter().map(move |address| DelegationRecord {
                owner: name(host),
                rtype: if matches!(address, IpAddr::V4(_)) { "A" } else { "AAAA" },
                data: address.to_string(),
            })
        });
        nameservers.chain(addresses).collect()
    }

    /// The delegation as lines of a zone file.
    pub(super) fn zone_file_lines(&self) -> String {
        let line = |record: &DelegationRecord| {
            let dot = if record.rtype == "NS" { "." } else { "" };
            format!("{}. {TTL} IN {} {}{dot}\n", record.owner, record.rtype, record.data)
        };
        self.delegation().iter().map(line).collect()
    }

    /// The delegation as a table for a web form, which wants the owner below the zone.
    pub(super) fn form_rows(&self) -> String {
        let suffix = format!(".{}", self.parent());
        let rows = self.delegation();
        let below = |record: &DelegationRecord| record.owner.strip_suffix(&suffix).unwrap_or(&record.owner).to_owned();
        let width = rows.iter().map(|record| below(record).len()).max().unwrap_or_default().max("NAME".len());
        let mut text = format!("{:width$}  TYPE  VALUE\n", "NAME");
        for record in &rows {
            text.push_str(&format!("{:width$}  {:4}  {}\n", below(record), record.rtype, record.data));
        }
        text
    }
}
