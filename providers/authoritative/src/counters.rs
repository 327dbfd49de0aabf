//! Counters of responses, by transport and response code.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use hickory_proto::op::ResponseCode;

/// The transport protocol of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DnsTransport {
    /// UDP: one query in a datagram.
    Udp,
    /// TCP: queries over a connection.
    Tcp,
}

impl DnsTransport {
    const ALL: [Self; 2] = [Self::Udp, Self::Tcp];

    /// `udp` or `tcp`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

impl fmt::Display for DnsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The number of responses with one code over one transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseCount {
    /// The transport.
    pub transport: DnsTransport,
    /// The mnemonic of the response code, such as `NOERROR`.
    pub code: &'static str,
    /// The number of responses since the server started.
    pub count: u64,
}

/// A response code with its mnemonic in the IANA registry.
struct CountedCode {
    code: ResponseCode,
    mnemonic: &'static str,
}

/// The response codes that this server sends.
const CODES: [CountedCode; 8] = [
    CountedCode { code: ResponseCode::NoError, mnemonic: "NOERROR" },
    CountedCode { code: ResponseCode::FormErr, mnemonic: "FORMERR" },
    CountedCode { code: ResponseCode::ServFail, mnemonic: "SERVFAIL" },
    CountedCode { code: ResponseCode::NXDomain, mnemonic: "NXDOMAIN" },
    CountedCode { code: ResponseCode::NotImp, mnemonic: "NOTIMP" },
    CountedCode { code: ResponseCode::Refused, mnemonic: "REFUSED" },
    CountedCode { code: ResponseCode::NotAuth, mnemonic: "NOTAUTH" },
    CountedCode { code: ResponseCode::BADVERS, mnemonic: "BADVERS" },
];

/// One counter for each transport and response code. A query without a response is not counted.
#[derive(Default)]
pub(crate) struct ResponseCounters([[AtomicU64; CODES.len()]; DnsTransport::ALL.len()]);

impl ResponseCounters {
    /// Counts one response.
    pub(crate) fn count(&self, transport: DnsTransport, code: ResponseCode) {
        let index = CODES.iter().position(|counted| counted.code == code);
        debug_assert!(index.is_some(), "CODES lists every code that is sent");
        if let Some(index) = index {
            self.0[transport as usize][index].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The value of every counter, including zeros.
    pub(crate) fn read(&self) -> Vec<ResponseCount> {
        let mut counts = Vec::new();
        for transport in DnsTransport::ALL {
            for (counted, counter) in CODES.iter().zip(&self.0[transport as usize]) {
                counts.push(ResponseCount {
                    transport,
                    code: counted.mnemonic,
                    count: counter.load(Ordering::Relaxed),
                });
            }
        }
        counts
    }
}
