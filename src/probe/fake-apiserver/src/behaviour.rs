//! The behaviours of a fake apiserver, as values. The modules `connection` and `response` implement them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The behaviour of a fake apiserver towards connections and requests.
///
/// Its text form, for the command line of the demo, is a word. Some words take a value: `not-ready=etcd,ping`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Answers 200 `ok`.
    Ready,
    /// Answers 500 with the list of checks, some of which fail.
    NotReady {
        /// The names of the failing checks.
        failing: Vec<String>,
    },
    /// Answers 500 with the failing check `shutdown`, like an apiserver after SIGTERM.
    ShuttingDown,
    /// Answers 401 to every request.
    Unauthorized,
    /// Answers 403 to every request.
    Forbidden,
    /// Answers 429.
    Overloaded,
    /// Answers 503.
    Starting,
    /// Answers 302.
    Redirect {
        /// The `Location` header.
        location: String,
    },
    /// Answers this status code, with an empty body.
    Status(u16),
    /// Answers 500 after a delay, like kube-apiserver when etcd hangs (4 s).
    Slow {
        /// The delay of the answer.
        after: Duration,
    },
    /// Closes every connection and refuses new ones, like a killed process.
    Dead,
    /// Resets connections: new ones at once, open ones at their next request.
    Reset,
    /// Drops every packet of new and open connections, like a host without power.
    Silent,
    /// Accepts connections, and then does nothing on any connection.
    TlsStall,
    /// Serves plain HTTP on the port.
    NotTls,
    /// Refuses every TLS handshake with an alert.
    TlsRefused,
    /// Presents a certificate of another CA that has the same name.
    OtherCa,
    /// Presents a certificate without the names that the fake was started with.
    WrongNames,
    /// Presents a certificate that has expired.
    Expired,
    /// Presents a certificate that is not valid yet.
    NotYetValid,
    /// Reads requests and never answers.
    NoAnswer,
    /// Closes a connection when a request arrives.
    ClosedEarly,
    /// Answers 200 with a body of [`Behaviour::LARGE_BODY_BYTES`].
    TooLarge,
    /// Accepts TLS, then sends data that is not HTTP.
    NotHttp,
}

impl Behaviour {
    /// The size of the body of [`Behaviour::TooLarge`].
    pub const LARGE_BODY_BYTES: usize = 1 << 20;

    /// Returns `true` if nothing happens on connections until the behaviour changes.
    pub(crate) fn is_unresponsive(&self) -> bool {
        matches!(self, Self::Silent | Self::TlsStall)
    }

    /// Returns `true` if a real apiserver would have to restart to get this behaviour, and again to lose it. A restart closes all
    /// connections.
    pub(crate) fn needs_restart(&self) -> bool {
        matches!(
            self,
            Self::Dead
                | Self::NotTls
                | Self::TlsRefused
                | Self::OtherCa
                | Self::WrongNames
                | Self::Expired
                | Self::NotYetValid
                | Self::NotHttp
        )
    }
}

/// The error of a text that is not a [`Behaviour`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown behaviour `{0}`; the behaviours are: ready, not-ready[=CHECK,…], shutdown, unauthorized, forbidden, overloaded, starting, \
     redirect[=LOCATION], status=CODE, slow[=MILLISECONDS], dead, reset, silent, stall, not-tls, tls-refused, other-ca, \
     wrong-names, expired, not-yet-valid, no-answer, closed-early, too-large, not-http, fail (the same as dead), heal (the same as ready)"
)]
pub struct UnknownBehaviour(String);

impl FromStr for Behaviour {
    type Err = UnknownBehaviour;

    /// Parses the output of [`fmt::Display`]. Also accepts the demo's words `heal` (ready) and `fail` (dead).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (word, value) = text.split_once('=').map_or((text, None), |(word, value)| (word, Some(value)));
        with_value(word, value)
            .or_else(|| without_value(word).filter(|_| value.is_none()))
            .ok_or_else(|| UnknownBehaviour(text.to_owned()))
    }
}

fn with_value(word: &str, value: Option<&str>) -> Option<Behaviour> {
    Some(match word {
        "not-ready" => {
            let failing = value.unwrap_or("etcd").split(',').map(str::to_owned).collect();
            Behaviour::NotReady { failing }
        }
        "redirect" => Behaviour::Redirect { location: value.unwrap_or("https://elsewhere.invalid/").to_owned() },
        "status" => Behaviour::Status(value?.parse().ok().filter(|code| (200..=599).contains(code))?),
        "slow" => Behaviour::Slow { after: Duration::from_millis(value.unwrap_or("4000").parse().ok()?) },
        _ => return None,
    })
}

fn without_value(word: &str) -> Option<Behaviour> {
    Some(match word {
        "ready" | "heal" => Behaviour::Ready,
        "shutdown" => Behaviour::ShuttingDown,
        "unauthorized" => Behaviour::Unauthorized,
        "forbidden" => Behaviour::Forbidden,
        "overloaded" => Behaviour::Overloaded,
        "starting" => Behaviour::Starting,
        "dead" | "fail" => Behaviour::Dead,
        "reset" => Behaviour::Reset,
        "silent" => Behaviour::Silent,
        "stall" => Behaviour::TlsStall,
        "not-tls" => Behaviour::NotTls,
        "tls-refused" => Behaviour::TlsRefused,
        "other-ca" => Behaviour::OtherCa,
        "wrong-names" => Behaviour::WrongNames,
        "expired" => Behaviour::Expired,
        "not-yet-valid" => Behaviour::NotYetValid,
        "no-answer" => Behaviour::NoAnswer,
        "closed-early" => Behaviour::ClosedEarly,
        "too-large" => Behaviour::TooLarge,
        "not-http" => Behaviour::NotHttp,
        _ => return None,
    })
}

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.pad("ready"),
            Self::NotReady { failing } => write!(f, "not-ready={}", failing.join(",")),
            Self::ShuttingDown => f.pad("shutdown"),
            Self::Unauthorized => f.pad("unauthorized"),
            Self::Forbidden => f.pad("forbidden"),
            Self::Overloaded => f.pad("overloaded"),
            Self::Starting => f.pad("starting"),
            Self::Redirect { location } => write!(f, "redirect={location}"),
            Self::Status(code) => write!(f, "status={code}"),
            Self::Slow { after } => write!(f, "slow={}", after.as_millis()),
            Self::Dead => f.pad("dead"),
            Self::Reset => f.pad("reset"),
            Self::Silent => f.pad("silent"),
            Self::TlsStall => f.pad("stall"),
            Self::NotTls => f.pad("not-tls"),
            Self::TlsRefused => f.pad("tls-refused"),
            Self::OtherCa => f.pad("other-ca"),
            Self::WrongNames => f.pad("wrong-names"),
            Self::Expired => f.pad("expired"),
            Self::NotYetValid => f.pad("not-yet-valid"),
            Self::NoAnswer => f.pad("no-answer"),
            Self::ClosedEarly => f.pad("closed-early"),
            Self::TooLarge => f.pad("too-large"),
            Self::NotHttp => f.pad("not-http"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_behaviour_is_parsed_from_its_own_text() {
        let all = "ready not-ready=etcd,ping shutdown unauthorized forbidden overloaded starting redirect=https://a/ \
                   status=418 slow=4000 dead reset silent stall not-tls tls-refused other-ca wrong-names expired \
                   not-yet-valid no-answer closed-early too-large not-http";
        for word in all.split_whitespace() {
            let parsed: Behaviour = word.parse().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(parsed.to_string(), word);
        }
    }

    #[test]
    fn the_demo_words_fail_and_heal_are_behaviours() {
        assert_eq!("fail".parse(), Ok(Behaviour::Dead));
        assert_eq!("heal".parse(), Ok(Behaviour::Ready));
        assert_eq!("not-ready".parse(), Ok(Behaviour::NotReady { failing: vec!["etcd".into()] }));
    }

    #[test]
    fn any_other_text_is_an_error() {
        for text in ["", "nonsense", "dead=1", "status", "status=99", "status=teapot", "slow=soon"] {
            assert_eq!(text.parse::<Behaviour>(), Err(UnknownBehaviour(text.to_owned())));
        }
    }
}
