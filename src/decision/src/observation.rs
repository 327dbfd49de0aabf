//! The outcome of one probe.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::duration::optional_milliseconds;
use crate::moment::Moment;
use crate::target::Grade;

/// The outcome of one probe of one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// The finding.
    #[serde(flatten)]
    pub kind: Kind,
    /// The durations of the phases.
    pub timings: Timings,
    /// The certificate that the target showed, also if it was not accepted.
    pub certificate: Option<Certificate>,
}

/// The duration of each phase of a probe; `None` for a phase that was not reached, or not needed on a kept connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timings {
    /// TCP, from SYN to the connection.
    #[serde(rename = "connectMs", with = "optional_milliseconds")]
    pub connect: Option<Duration>,
    /// TLS, from the first byte to the end of the handshake.
    #[serde(rename = "tlsMs", with = "optional_milliseconds")]
    pub tls: Option<Duration>,
    /// HTTP, from the request to the end of the answer.
    #[serde(rename = "httpMs", with = "optional_milliseconds")]
    pub http: Option<Duration>,
}

/// The relevant parts of a serving certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    /// The names and addresses that it is valid for, as text.
    pub names: Vec<String>,
    /// Its end (`notAfter`).
    pub not_after: Moment,
}

/// The finding of one probe. [`fmt::Display`] gives the sentence for people, [`Kind::label`] the label for metrics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Kind {
    /// 200.
    Ready,
    /// 500, with the names of the failing checks if the body had them.
    NotReady {
        /// The names behind `[-]`, such as `etcd`.
        failing: Vec<String>,
    },
    /// 500 with the failing check `shutdown`: the apiserver has begun to stop.
    ShuttingDown,
    /// 401 or 403: the probe is not authorised, so readiness is unknown.
    Unauthorized {
        /// 401 or 403.
        status: u16,
        /// True if the probe showed credentials: these are refused then.
        #[serde(default)]
        credentials: bool,
    },
    /// 429.
    Overloaded,
    /// 503, or 403 because a role is not loaded: the server is not complete yet.
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
    /// The network reports that the address cannot be reached (ICMP, or no neighbour answers).
    Unreachable,
    /// No TCP connection in time.
    ConnectTimeout,
    /// A TCP connection, but no end of the TLS handshake in time.
    TlsStall,
    /// Something that is not TLS answers.
    NotTls,
    /// The TLS handshake was refused or broken off by the target.
    TlsFailed {
        /// The message of the TLS library.
        detail: String,
    },
    /// The target refuses the client certificate of the probe in TLS.
    ClientCertificateRefused {
        /// The reason of the target, as the end of a sentence about the certificate.
        detail: String,
    },
    /// The target demands a client certificate in TLS, and the probe has none.
    ClientCertificateRequired {
        /// True if the probe showed a token: it is not enough then.
        #[serde(default)]
        credentials: bool,
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
    /// A CA of the certificate's chain has ended, though the certificate itself has not.
    CaExpired {
        /// The subject of the CA.
        ca: String,
    },
    /// The certificate breaks another rule, or is of an algorithm that is not accepted.
    CertificateRefused {
        /// The rule or the algorithm, as a sentence.
        detail: String,
    },
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
        /// The most bytes that are read.
        #[serde(rename = "limitBytes")]
        limit: usize,
    },
    /// A local error: no observation of the target at all.
    LocalError {
        /// The error.
        detail: String,
    },
}

impl Kind {
    /// The grade that the observation proves; `None` for a local error.
    pub fn grade(&self) -> Option<Grade> {
        match self {
            Self::Ready => Some(Grade::Ready),
            Self::NotReady { .. }
            | Self::ShuttingDown
            | Self::Unauthorized { .. }
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
            | Self::ClientCertificateRefused { .. }
            | Self::ClientCertificateRequired { .. }
            | Self::UntrustedCa
            | Self::WrongName { .. }
            | Self::Expired
            | Self::CaExpired { .. }
            | Self::CertificateRefused { .. }
            | Self::NotYetValid
            | Self::AnswerTimeout
            | Self::ClosedEarly
            | Self::NotHttp => Some(Grade::Down),
            Self::LocalError { .. } => None,
        }
    }

    /// True if one such observation is proof enough to take the target out.
    pub fn is_decisive(&self) -> bool {
        matches!(self, Self::ShuttingDown)
    }

    /// True if the target refuses the credentials that the probe has.
    pub fn refuses_credentials(&self) -> bool {
        matches!(
            self,
            Self::Unauthorized { credentials: true, .. }
                | Self::ClientCertificateRefused { .. }
                | Self::ClientCertificateRequired { credentials: true }
        )
    }

    /// The label of the kind, the same as in JSON.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::NotReady { .. } => "notReady",
            Self::ShuttingDown => "shuttingDown",
            Self::Unauthorized { .. } => "unauthorized",
            Self::Overloaded => "overloaded",
            Self::Starting => "starting",
            Self::Redirect { .. } => "redirect",
            Self::OtherStatus { .. } => "otherStatus",
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::Unreachable => "unreachable",
            Self::ConnectTimeout => "connectTimeout",
            Self::TlsStall => "tlsStall",
            Self::NotTls => "notTls",
            Self::TlsFailed { .. } => "tlsFailed",
            Self::ClientCertificateRefused { .. } => "clientCertificateRefused",
            Self::ClientCertificateRequired { .. } => "clientCertificateRequired",
            Self::UntrustedCa => "untrustedCa",
            Self::WrongName { .. } => "wrongName",
            Self::Expired => "expired",
            Self::CaExpired { .. } => "caExpired",
            Self::CertificateRefused { .. } => "certificateRefused",
            Self::NotYetValid => "notYetValid",
            Self::AnswerTimeout => "answerTimeout",
            Self::ClosedEarly => "closedEarly",
            Self::NotHttp => "notHttp",
            Self::TooLarge { .. } => "tooLarge",
            Self::LocalError { .. } => "localError",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::NotReady { failing } if failing.is_empty() => f.write_str("500: no failing check named"),
            Self::NotReady { failing } => write!(f, "500: failing checks: {}", failing.join(", ")),
            Self::ShuttingDown => f.write_str("shutting down: the check `shutdown` fails"),
            Self::Unauthorized { status, credentials: true } => write!(
                f,
                "{status}: the credentials of probe.auth are refused, so readiness is unknown; renew them, or allow them to read \
                 the path"
            ),
            Self::Unauthorized { status, credentials: false } => write!(
                f,
                "{status}: the probe is not authorised, so readiness is unknown; allow anonymous reading of the path \
                 (--anonymous-auth, or its AuthenticationConfiguration) or give credentials under probe.auth"
            ),
            Self::Overloaded => f.write_str("429: the apiserver is overloaded and sheds load"),
            Self::Starting => f.write_str("starting: not every path is served yet, or not every role is loaded"),
            Self::Redirect { status, location: Some(to) } => write!(f, "{status}: a redirect to {to}, not followed"),
            Self::Redirect { status, location: None } => write!(f, "{status}: a redirect, not followed"),
            Self::OtherStatus { status } => write!(f, "{status}: not an answer that an apiserver gives on this path"),
            Self::Refused => f.write_str("connection refused: nothing listens on the port"),
            Self::Reset => f.write_str("connection reset"),
            Self::Unreachable => f.write_str("unreachable: the network reports that the address cannot be reached"),
            Self::ConnectTimeout => f.write_str("no TCP connection in time"),
            Self::TlsStall => f.write_str("connected, but the TLS handshake did not end in time"),
            Self::NotTls => f.write_str("the response is not TLS"),
            Self::TlsFailed { detail } => write!(f, "the TLS handshake failed: {detail}"),
            Self::ClientCertificateRefused { detail } => {
                write!(f, "the node refuses the client certificate: {detail}; renew that of `probe.auth`")
            }
            Self::ClientCertificateRequired { credentials: false } => {
                f.write_str("the node demands a client certificate; set `probe.auth`")
            }
            Self::ClientCertificateRequired { credentials: true } => f.write_str(
                "the node demands a client certificate, and `probe.auth` has a token; set `probe.auth.clientCertificate` instead",
            ),
            Self::UntrustedCa => f.write_str("the certificate is not from the pool's CA"),
            Self::WrongName { expected, names } if names.is_empty() => {
                write!(f, "the certificate lacks {expected}; it has no name at all")
            }
            Self::WrongName { expected, names } => {
                write!(f, "the certificate lacks {expected}; it has {}", names.join(", "))
            }
            Self::Expired => f.write_str("the certificate has expired"),
            Self::CaExpired { ca } => write!(f, "the CA that issued the certificate has expired: {ca}"),
            Self::CertificateRefused { detail } => write!(f, "the certificate is refused: {detail}"),
            Self::NotYetValid => f.write_str("the certificate is not valid yet"),
            Self::AnswerTimeout => f.write_str("TLS is up, but no whole answer came in time"),
            Self::ClosedEarly => f.write_str("the connection closed before an answer"),
            Self::NotHttp => f.write_str("the answer is not HTTP"),
            Self::TooLarge { limit } => write!(f, "the answer is larger than {limit} bytes"),
            Self::LocalError { detail } => write!(f, "not probed, because of an error on this host: {detail}"),
        }
    }
}
