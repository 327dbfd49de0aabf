//! The failures of a call: the cause, what the operator can do, and when to try again.

use std::time::Duration;

use daymark_decision::duration_text;
use daymark_files::NoSystemRoots;
use jiff::Timestamp;

use super::Call;
use super::api_error::{ApiError, Listed};
use super::refusal::{ObjectOwner, RefusedCall};
use super::token::NoToken;
use crate::settings::TokenSource;

/// The client cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The system has no usable CA certificates.
    #[error("Cloudflare cannot be verified")]
    NoSystemRoots(#[from] NoSystemRoots),
    /// The environment holds no token.
    #[error(transparent)]
    Token(#[from] NoToken),
    /// The HTTP library rejects its settings.
    #[error("the HTTP client cannot be set up")]
    Http(#[from] reqwest::Error),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// The time when a call may be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// A retry after the usual back-off. The cause is outside and likely to pass. A write may have been applied.
    BackOff,
    /// A retry after at least this pause.
    After(Duration),
    /// A retry after an operator has acted.
    Operator,
}

/// A call failed. No error shows the token.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There is no token to call with, so no call was made.
    #[error("no token for {call}")]
    Token {
        /// The kind of the call.
        call: Call,
        /// The cause.
        source: NoToken,
    },
    /// Cloudflare refuses every call after too many (HTTP 429), of this or an earlier call.
    #[error(
        "Cloudflare refuses {call}, like every call, until {until:.0}, because the user of the token has made too many \
         calls, with all tokens and the dashboard together; if this happens often, lower `callShare`"
    )]
    Limited {
        /// The kind of the call.
        call: Call,
        /// The rest of the refusal.
        rest: Duration,
        /// The end of the refusal, by the wall clock.
        until: Timestamp,
    },
    /// Cloudflare refuses the request, and would refuse it again.
    #[error("{}", RefusedCall { call: *call, owner, status: *status, errors, token })]
    Refused {
        /// The kind of the call.
        call: Call,
        /// The owner of the object that it is about.
        owner: ObjectOwner,
        /// The HTTP status.
        status: u16,
        /// Cloudflare's errors.
        errors: Vec<ApiError>,
        /// The token that it was called with.
        token: TokenSource,
    },
    /// Cloudflare cannot handle the request now (HTTP 408, 409, 425, 5xx).
    #[error("Cloudflare is unavailable: {call} failed with HTTP {status}{}", Listed(errors))]
    Busy {
        /// The kind of the call.
        call: Call,
        /// The HTTP status.
        status: u16,
        /// Cloudflare's errors, if it gives any.
        errors: Vec<ApiError>,
    },
    /// The response is not one of Cloudflare's API, or contradicts itself.
    #[error(
        "the response to {call} (HTTP {status}) is not valid: {detail}; if this persists, check the address of the API, and any \
         proxy between this host and Cloudflare"
    )]
    Unreadable {
        /// The kind of the call.
        call: Call,
        /// The HTTP status.
        status: u16,
        /// The reason.
        detail: String,
    },
    /// No connection, or one that was cut.
    #[error("{} {call}", if source.is_connect() { "no connection to Cloudflare for" } else { "the connection broke while" })]
    Unreachable {
        /// The kind of the call.
        call: Call,
        /// The cause.
        source: reqwest::Error,
    },
    /// No complete response in time.
    #[error("no response from Cloudflare within {} while {call}", duration_text(*limit))]
    TimedOut {
        /// The kind of the call.
        call: Call,
        /// The timeout.
        limit: Duration,
    },
}

impl CallError {
    /// The time when the call may be made again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Token { .. } | Self::Refused { .. } => Retry::Operator,
            Self::Limited { rest, .. } => Retry::After(*rest),
            Self::Busy { .. } | Self::Unreadable { .. } | Self::Unreachable { .. } | Self::TimedOut { .. } => {
                Retry::BackOff
            }
        }
    }

    /// Returns true if Cloudflare refuses the request. An object that it no longer knows may be why: it answers 403 or 404.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    /// The next step for an operator, if the message does not contain it.
    pub(crate) fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Token { .. } => Some("correct the file or the variable of the token"),
            Self::Limited { .. } | Self::Refused { .. } | Self::Unreadable { .. } => None,
            Self::Busy { .. } => Some("Daymark tries again; if this lasts, look at www.cloudflarestatus.com"),
            Self::Unreachable { .. } => {
                Some("Daymark tries again; if this lasts, check DNS, the firewall, `HTTPS_PROXY` and `SSL_CERT_FILE`")
            }
            Self::TimedOut { .. } => Some("Daymark tries again; if this lasts, raise `timeout`"),
        }
    }

    /// The label in metrics.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Token { .. } | Self::Refused { .. } => "refused",
            Self::Limited { .. } => "limited",
            Self::Busy { .. } => "busy",
            Self::Unreadable { .. } => "unreadable",
            Self::Unreachable { .. } => "unreachable",
            Self::TimedOut { .. } => "timedOut",
        }
    }
}
