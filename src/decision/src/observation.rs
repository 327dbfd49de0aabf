//! The outcome of one probe.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::target::Grade;

/// The outcome of one probe of one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// What was found.
    pub kind: Kind,
    /// How long each phase took that was reached.
    pub timings: Timings,
    /// The certificate that the target showed, also where it was not accepted.
    pub certificate: Option<Certificate>,
}

/// How long each phase of a probe took; `None` for a phase that was not reached, or not needed on a kept connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timings {
    /// TCP, from SYN to the connection.
    pub connect: Option<Duration>,
    /// TLS, from the first byte to the end of the handshake.
    pub tls: Option<Duration>,
    /// HTTP, from the request to the end of the answer.
    pub http: Option<Duration>,
}

/// What matters of a serving certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    /// The names and addresses that it is valid for, as text.
    pub names: Vec<String>,
    /// Its end (`notAfter`), in seconds since the Unix epoch.
    pub not_after: i64,
}

/// What one probe found. [`fmt::Display`] gives the sentence for people, [`Kind::label`] the word for metrics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Kind {
    /// 200.
    Ready,
    /// 500, with the names of the failing checks where the body had them.
    NotReady {
        /// The names behind `[-]`, such as `etcd`.
        failing: Vec<String>,
    },
    /// 500 with the failing check `shutdown`: the apiserver has begun to stop.
    ShuttingDown,
    /// 401 or 403: the probe may not ask, so nothing is known of readiness.
    CannotJudge {
        /// 401 or 403.
        status: u16,
    },
    /// 429.
    Overloaded,
    /// 503: the server is not complete yet.
    Starting,
    /// 3xx; never followed.
    Redirect {
        /// The status.
        status: u16,
        /// The `Location` header.
        location: Option<String>,
    },
    /// Any other status.
    OtherStatus {
        /// The status.
        status: u16,
    },
    /// The TCP connection was refused.
    Refused,
    /// The connection was reset before an answer.
    Reset,
    /// The network says that the address cannot be reached (ICMP, or no neighbour answers).
    Unreachable,
    /// No TCP connection in time.
    ConnectTimeout,
    /// A TCP connection, but no end of the TLS handshake in time.
    TlsStall,
    /// Something that is not TLS answers.
    NotTls,
    /// The TLS handshake was refused or broken off by the target.
    TlsFailed {
        /// What the TLS library says.
        detail: String,
    },
    /// The certificate is from a CA that is not the pool's.
    UntrustedCa,
    /// The certificate lacks the name that clients verify.
    WrongName {
        /// The name that clients verify.
        expected: String,
        /// The names that the certificate has.
        names: Vec<String>,
    },
    /// The certificate has ended.
    Expired,
    /// The certificate has not begun.
    NotYetValid,
    /// No answer to the request in time.
    AnswerTimeout,
    /// The connection ended before an answer.
    ClosedEarly,
    /// The answer was no HTTP.
    NotHttp,
    /// The body was longer than is read.
    TooLarge {
        /// How many bytes are read at the most.
        limit: usize,
    },
    /// A fault of our own: no observation of the target at all.
    OwnFault {
        /// What went wrong.
        detail: String,
    },
}

impl Kind {
    /// What the observation says of the target; `None` for a fault of our own.
    pub fn grade(&self) -> Option<Grade> {
        match self {
            Self::Ready => Some(Grade::Ready),
            Self::NotReady { .. }
            | Self::ShuttingDown
            | Self::CannotJudge { .. }
            | Self::Overloaded
            | Self::Starting
            | Self::Redirect { .. }
            | Self::OtherStatus { .. }
            | Self::TooLarge { .. } => Some(Grade::Live),
            Self::Refused
            | Self::Reset
            | Self::Unreachable
            | Self::ConnectTimeout
            | Self::TlsStall
            | Self::NotTls
            | Self::TlsFailed { .. }
            | Self::UntrustedCa
            | Self::WrongName { .. }
            | Self::Expired
            | Self::NotYetValid
            | Self::AnswerTimeout
            | Self::ClosedEarly
            | Self::NotHttp => Some(Grade::Down),
            Self::OwnFault { .. } => None,
        }
    }

    /// Whether one such observation is proof enough to take the target out.
    pub fn is_decisive(&self) -> bool {
        matches!(self, Self::ShuttingDown)
    }

    /// A short word, the same for every observation of the kind.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::NotReady { .. } => "not-ready",
            Self::ShuttingDown => "shutting-down",
            Self::CannotJudge { .. } => "cannot-judge",
            Self::Overloaded => "overloaded",
            Self::Starting => "starting",
            Self::Redirect { .. } => "redirect",
            Self::OtherStatus { .. } => "other-status",
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::Unreachable => "unreachable",
            Self::ConnectTimeout => "connect-timeout",
            Self::TlsStall => "tls-stall",
            Self::NotTls => "not-tls",
            Self::TlsFailed { .. } => "tls-failed",
            Self::UntrustedCa => "untrusted-ca",
            Self::WrongName { .. } => "wrong-name",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::AnswerTimeout => "answer-timeout",
            Self::ClosedEarly => "closed-early",
            Self::NotHttp => "not-http",
            Self::TooLarge { .. } => "too-large",
            Self::OwnFault { .. } => "own-fault",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::NotReady { failing } if failing.is_empty() => f.write_str("500: not ready, no failing check named"),
            Self::NotReady { failing } => write!(f, "500: not ready, failing checks: {}", failing.join(", ")),
            Self::ShuttingDown => f.write_str("shutting down: the check `shutdown` fails"),
            Self::CannotJudge { status } => write!(
                f,
                "{status}: the probe may not ask, so readiness cannot be judged; allow anonymous reading of the path \
                 (--anonymous-auth, or its AuthenticationConfiguration) or give credentials under probe.auth"
            ),
            Self::Overloaded => f.write_str("429: overloaded, the apiserver sheds load"),
            Self::Starting => f.write_str("503: starting, not every path is served yet"),
            Self::Redirect { status, location: Some(to) } => write!(f, "{status}: a redirect to {to}, not followed"),
            Self::Redirect { status, location: None } => write!(f, "{status}: a redirect, not followed"),
            Self::OtherStatus { status } => write!(f, "{status}: not an answer that an apiserver gives on this path"),
            Self::Refused => f.write_str("connection refused: nothing listens on the port"),
            Self::Reset => f.write_str("connection reset"),
            Self::Unreachable => f.write_str("unreachable: the network has no way to the address"),
            Self::ConnectTimeout => f.write_str("no TCP connection in time: silence"),
            Self::TlsStall => f.write_str("connected, but the TLS handshake did not end in time"),
            Self::NotTls => f.write_str("what answers is not TLS"),
            Self::TlsFailed { detail } => write!(f, "the TLS handshake failed: {detail}"),
            Self::UntrustedCa => f.write_str("the certificate is not from the pool's CA"),
            Self::WrongName { expected, names } if names.is_empty() => {
                write!(f, "the certificate lacks {expected}; it has no name at all")
            }
            Self::WrongName { expected, names } => {
                write!(f, "the certificate lacks {expected}; it has {}", names.join(", "))
            }
            Self::Expired => f.write_str("the certificate has expired"),
            Self::NotYetValid => f.write_str("the certificate is not valid yet"),
            Self::AnswerTimeout => f.write_str("TLS is up, but no whole answer came in time"),
            Self::ClosedEarly => f.write_str("the connection closed before an answer"),
            Self::NotHttp => f.write_str("the answer is not HTTP"),
            Self::TooLarge { limit } => write!(f, "the answer is larger than {limit} bytes"),
            Self::OwnFault { detail } => write!(f, "not judged, the fault is on this host: {detail}"),
        }
    }
}
