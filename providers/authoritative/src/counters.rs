//! Counters of responses, by transport and response code.

use std::sync::atomic::{AtomicU64, Ordering};
use std::{fmt, mem};

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

/// A response that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Responded {
    pub(crate) code: ResponseCode,
    /// It was copied from the table of finished responses.
    pub(crate) is_copied: bool,
}

/// The responses of one worker since it last added them to the counters.
#[derive(Default)]
pub(crate) struct ResponseTally {
    codes: [u64; CODES.len()],
    copied: u64,
}

impl ResponseTally {
    /// Counts one response.
    pub(crate) fn count(&mut self, responded: Responded) {
        let index = CODES.iter().position(|counted| counted.code == responded.code);
        debug_assert!(index.is_some(), "CODES lists every code that is sent");
        if let Some(index) = index {
            self.codes[index] += 1;
        }
        self.copied += u64::from(responded.is_copied);
    }
}

/// One counter for each transport and response code. A query without a response is not counted.
#[derive(Default)]
pub(crate) struct ResponseCounters {
    codes: [[AtomicU64; CODES.len()]; DnsTransport::ALL.len()],
    copied: AtomicU64,
}

impl ResponseCounters {
    /// Counts one response.
    pub(crate) fn count(&self, transport: DnsTransport, responded: Responded) {
        let mut tally = ResponseTally::default();
        tally.count(responded);
        self.add(transport, &mut tally);
    }

    /// Adds the responses of a worker, which begins anew.
    pub(crate) fn add(&self, transport: DnsTransport, tally: &mut ResponseTally) {
        let counters = self.codes[transport as usize].iter().zip(mem::take(&mut tally.codes));
        for (counter, count) in counters.filter(|(_, count)| *count > 0) {
            counter.fetch_add(count, Ordering::Relaxed);
        }
        self.copied.fetch_add(mem::take(&mut tally.copied), Ordering::Relaxed);
    }

    /// The number of responses that were copied from the table of finished responses.
    pub(crate) fn copied(&self) -> u64 {
        self.copied.load(Ordering::Relaxed)
    }

    /// The value of every counter, including zeros.
    pub(crate) fn read(&self) -> Vec<ResponseCount> {
        let mut counts = Vec::new();
        for transport in DnsTransport::ALL {
            for (counted, counter) in CODES.iter().zip(&self.codes[transport as usize]) {
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
