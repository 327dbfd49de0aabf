//! How a call can fail, whose fault that is, and when it may be made again.

use std::fmt;
use std::time::Duration;

use daymark_files::NoSystemRoots;
use jiff::Timestamp;
use serde::Deserialize;

use super::Call;
use super::token::NoToken;
use crate::settings::TokenSource;

/// What Cloudflare says of a header `Authorization` that cannot be one: "invalid request headers", and what is beneath it.
const MALFORMED: [u32; 3] = [6003, 6103, 6111];
/// What Cloudflare says, besides HTTP 401 and 403, of a token that it does not accept or that may not do this.
const UNAUTHORISED: [u32; 5] = [9103, 9106, 9109, 10000, 10001];

/// The client cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The system has no usable CA certificates.
    #[error("Cloudflare cannot be verified: {0}")]
    NoSystemRoots(#[from] NoSystemRoots),
    /// The environment holds no token.
    #[error(transparent)]
    Token(#[from] NoToken),
    /// The HTTP library refuses its settings.
    #[error("the HTTP client cannot be set up")]
    Http(#[from] reqwest::Error),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// When a call may be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// After the usual back-off: the world's fault, and likely to pass. Where it was a write, it may have been applied.
    BackOff,
    /// Not before so long.
    After(Duration),
    /// Only after the operator has mended something.
    Operator,
}

/// One error of an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ApiError {
    /// Cloudflare's number of it.
    #[serde(default)]
    pub code: u32,
    /// Cloudflare's sentence.
    #[serde(default)]
    pub message: String,
    /// What lies beneath it.
    #[serde(default)]
    pub error_chain: Vec<ApiError>,
}

/// A call failed. No error shows the token.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There is no token to call with, so no call was made.
    #[error("there is no token for {call}")]
    Token {
        /// What was to be called.
        call: Call,
        /// Why there is none.
        source: NoToken,
    },
    /// Too many calls were made (HTTP 429), by this call or an earlier one; until then none is.
    #[error(
        "too many calls were made by the user of the token, by all tokens and the dashboard together, and Cloudflare \
         refuses {call} like all calls until {until:.0}; if this comes often, lower the share of the provider"
    )]
    Limited {
        /// What was to be called.
        call: Call,
        /// How much longer.
        rest: Duration,
        /// Until when.
        until: Timestamp,
    },
    /// Cloudflare refuses what was asked, and would again.
    #[error("{}", Refusal(*call, *status, errors, token))]
    Refused {
        /// What was called.
        call: Call,
        /// The HTTP status.
        status: u16,
        /// What Cloudflare says.
        errors: Vec<ApiError>,
        /// The token that it was called with.
        token: TokenSource,
    },
    /// Cloudflare cannot do it now (HTTP 408, 409, 425, 5xx).
    #[error("Cloudflare cannot do this now: {call} failed with HTTP {status}{}", Listed(errors))]
    Busy {
        /// What was called.
        call: Call,
        /// The HTTP status.
        status: u16,
        /// What Cloudflare says, if it says anything.
        errors: Vec<ApiError>,
    },
    /// The answer is none of Cloudflare's API, or contradicts itself.
    #[error(
        "the answer to {call} (HTTP {status}) makes no sense: {detail}; if this stays, look at what is between this host \
         and Cloudflare, and at the address of the API"
    )]
    Unreadable {
        /// What was called.
        call: Call,
        /// The HTTP status.
        status: u16,
        /// What is wrong with it.
        detail: String,
    },
    /// No connection, or one that was cut.
    #[error("{} {call}", if source.is_connect() { "no connection to Cloudflare for" } else { "the connection broke while" })]
    Unreachable {
        /// What was called.
        call: Call,
        /// What happened.
        source: reqwest::Error,
    },
    /// No whole answer in time.
    #[error("no answer from Cloudflare within {limit:?} while {call}")]
    TimedOut {
        /// What was called.
        call: Call,
        /// How long it was waited for.
        limit: Duration,
    },
}

impl CallError {
    /// When the call may be made again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Token { .. } | Self::Refused { .. } => Retry::Operator,
            Self::Limited { rest, .. } => Retry::After(*rest),
            Self::Busy { .. } | Self::Unreadable { .. } | Self::Unreachable { .. } | Self::TimedOut { .. } => {
                Retry::BackOff
            }
        }
    }

    /// Whether Cloudflare says that what was asked for is not there (HTTP 404). Not so where something else said it.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    /// The word for it in metrics.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Token { .. } | Self::Refused { .. } => "refused",
            Self::Limited { .. } => "limited",
            Self::Busy { .. } => "busy",
            Self::Unreadable { .. } => "unreadable",
            Self::Unreachable { .. } => "unreachable",
            Self::TimedOut { .. } => "timed-out",
        }
    }
}

impl ApiError {
    fn has_any(&self, codes: &[u32]) -> bool {
        codes.contains(&self.code) || self.error_chain.iter().any(|error| error.has_any(codes))
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {})", self.message, self.code)?;
        self.error_chain.iter().try_for_each(|error| write!(f, ", from: {error}"))
    }
}

/// What Cloudflare says, behind a colon; nothing where it says nothing.
struct Listed<'a>(&'a [ApiError]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut mark = ": ";
        for error in self.0 {
            write!(f, "{mark}{error}")?;
            mark = "; ";
        }
        Ok(())
    }
}

/// A refusal, and what the operator can do about it.
struct Refusal<'a>(Call, u16, &'a [ApiError], &'a TokenSource);

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(call, status, errors, token) = self;
        write!(f, "Cloudflare refuses {call} (HTTP {status}){}", Listed(errors))?;
        let has = |codes| errors.iter().any(|error| error.has_any(codes));
        if has(&MALFORMED) {
            return write!(
                f,
                "; the token in {token} is malformed: has it quotes or a newline, or is it a global API key?"
            );
        }
        match (call, status) {
            (_, 404) => f.write_str("; is its ID or name right, and may the token see it?"),
            (Call::VerifyToken, 400 | 401 | 403) => {
                write!(f, "; the token in {token} is not accepted: it is unknown, expired or revoked")
            }
            _ if matches!(status, 401 | 403) || has(&UNAUTHORISED) => {
                let permission = call.permission();
                write!(f, "; the token in {token} lacks the permission \"{permission}\", or is not accepted at all")
            }
            _ => Ok(()),
        }
    }
}
