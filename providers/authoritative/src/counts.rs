//! How many responses went out, by transport and response code.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use hickory_proto::op::ResponseCode;

/// How a query came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// As a datagram.
    Udp,
    /// Over a connection.
    Tcp,
}

impl Transport {
    const ALL: [Self; 2] = [Self::Udp, Self::Tcp];

    /// The word for it, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Every response code that this server gives, as metrics write it.
const CODES: [(ResponseCode, &str); 7] = [
    (ResponseCode::NoError, "NOERROR"),
    (ResponseCode::FormErr, "FORMERR"),
    (ResponseCode::ServFail, "SERVFAIL"),
    (ResponseCode::NXDomain, "NXDOMAIN"),
    (ResponseCode::NotImp, "NOTIMP"),
    (ResponseCode::Refused, "REFUSED"),
    (ResponseCode::BADVERS, "BADVERS"),
];

/// The counters. A query that gets no response is not counted.
#[derive(Default)]
pub(crate) struct Counts([[AtomicU64; CODES.len()]; Transport::ALL.len()]);

impl Counts {
    /// Counts one response.
    pub(crate) fn count(&self, transport: Transport, code: ResponseCode) {
        let code = CODES.iter().position(|(known, _)| *known == code);
        debug_assert!(code.is_some(), "every code given is listed");
        if let Some(code) = code {
            self.0[transport as usize][code].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Every counter, those at zero included.
    pub(crate) fn read(&self) -> Vec<(Transport, &'static str, u64)> {
        let of = |transport: Transport| {
            let counters = CODES.iter().zip(&self.0[transport as usize]);
            counters.map(move |((_, text), count)| (transport, *text, count.load(Ordering::Relaxed)))
        };
        Transport::ALL.into_iter().flat_map(of).collect()
    }
}
