//! The kinds of calls, and the permission that each needs.

use std::fmt;

/// The kind of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// `GET /user/tokens/verify`.
    VerifyToken,
    /// `GET /zones` and `GET /zones/{zone}`.
    ReadZone,
    /// `GET` of Load Balancing pools.
    ReadPool,
    /// `POST`, `PATCH` and `DELETE` of Load Balancing pools.
    WritePool,
    /// `GET` of the load balancers of a zone.
    ReadBalancer,
    /// `POST` and `PATCH` of the load balancers of a zone.
    WriteBalancer,
    /// `GET` of DNS records.
    ReadRecords,
    /// `POST`, `PATCH` and `DELETE` of DNS records.
    WriteRecord,
}

impl Call {
    /// The label in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VerifyToken => "verifyToken",
            Self::ReadZone => "readZone",
            Self::ReadPool => "readPool",
            Self::WritePool => "writePool",
            Self::ReadBalancer => "readBalancer",
            Self::WriteBalancer => "writeBalancer",
            Self::ReadRecords => "readRecords",
            Self::WriteRecord => "writeRecord",
        }
    }

    /// The permission that the token needs for it, in the words of Cloudflare's dashboard.
    pub const fn permission(self) -> Option<&'static str> {
        Some(match self {
            Self::VerifyToken => return None,
            Self::ReadZone => "zone, Zone: Read",
            Self::ReadPool => "account, Load Balancing: Monitors And Pools: Read",
            Self::WritePool => "account, Load Balancing: Monitors And Pools: Edit",
            Self::ReadBalancer => "zone, Load Balancers: Read",
            Self::WriteBalancer => "zone, Load Balancers: Edit",
            Self::ReadRecords => "zone, DNS: Read",
            Self::WriteRecord => "zone, DNS: Edit",
        })
    }

    /// The entries of one page of a list: the maximum for zones, and the number that every zone allows for records. The lists of
    /// Load Balancing take no such parameter.
    pub(super) const fn page_size(self) -> Option<usize> {
        match self {
            Self::ReadZone => Some(50),
            Self::ReadRecords => Some(100),
            _ => None,
        }
    }
}

impl fmt::Display for Call {
    /// A gerund that fits after "while" and "refuses".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::VerifyToken => "verifying the token",
            Self::ReadZone => "reading the zone",
            Self::ReadPool => "reading Load Balancing pools",
            Self::WritePool => "writing a Load Balancing pool",
            Self::ReadBalancer => "reading load balancers",
            Self::WriteBalancer => "writing a load balancer",
            Self::ReadRecords => "reading DNS records",
            Self::WriteRecord => "writing a DNS record",
        })
    }
}
