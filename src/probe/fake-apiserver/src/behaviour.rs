//! What the fake does. It is a value only: `conversation` and `answer` act on it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What the fake does with connections and requests, until told otherwise.
///
/// As text, for the command line of the demo, it is one word, some with a value: `not-ready=etcd,ping`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// 200 `ok`.
    Ready,
    /// 500 with the list of checks, these of them failing.
    NotReady {
        /// The names of the failing checks.
        failing: Vec<String>,
    },
    /// 500 with the failing check `shutdown`, as after SIGTERM.
    ShuttingDown,
    /// 401 to everyone.
    Unauthorized,
    /// 403 to everyone.
    Forbidden,
    /// 429.
    Overloaded,
    /// 503.
    Starting,
    /// 302 to elsewhere.
    Redirect {
        /// The `Location`.
        location: String,
    },
    /// This status, with an empty body.
    Status(u16),
    /// 500 after this time, as with etcd hanging (4 s in kube-apiserver).
    Slow {
        /// From the request to the answer.
        after: Duration,
    },
    /// As after SIGKILL: every connection has ended, and new ones are refused.
    Dead,
    /// Connections are reset: new ones at once, others at their next request.
    Reset,
    /// As after a power loss: no packet is taken, neither to connect nor on a connection.
    Silent,
    /// Connections are taken, and nothing more happens on any of them.
    TlsStall,
    /// Plain HTTP on the port.
    NotTls,
    /// Every handshake is refused with an alert.
    TlsRefused,
    /// A certificate of another CA with the same name.
    OtherCa,
    /// A certificate without the names that the fake was started with.
    WrongNames,
    /// A certificate that has ended.
    Expired,
    /// A certificate that has not begun.
    NotYetValid,
    /// Requests are read and never answered.
    NoAnswer,
    /// Connections end when a request comes.
    ClosedEarly,
    /// 200 with a body of [`Behaviour::LARGE`] bytes.
    TooLarge,
    /// TLS, and then something that is not HTTP.
    NotHttp,
}

impl Behaviour {
    /// How many bytes the body of [`Behaviour::TooLarge`] has.
    pub const LARGE: usize = 1 << 20;

    /// Whether connections wait for the next behaviour: nothing happens on them.
    pub(crate) fn is_still(&self) -> bool {
        matches!(self, Self::Silent | Self::TlsStall)
    }

    /// Whether it takes a restart of the server to come to this behaviour, and one to leave it.
    pub(crate) fn is_another_server(&self) -> bool {
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

/// A text that names no [`Behaviour`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no behaviour `{0}`; there are: ready, not-ready[=CHECK,…], shutdown, unauthorized, forbidden, overloaded, starting, \
     redirect[=LOCATION], status=CODE, slow[=MILLISECONDS], dead, reset, silent, stall, not-tls, tls-refused, other-ca, \
     wrong-names, expired, not-yet-valid, no-answer, closed-early, too-large, not-http"
)]
pub struct UnknownBehaviour(String);

impl FromStr for Behaviour {
    type Err = UnknownBehaviour;

    /// Takes the words that [`fmt::Display`] gives, and for the demo `heal` (ready) and `fail` (dead).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (word, value) = text.split_once('=').map_or((text, None), |(word, value)| (word, Some(value)));
        with_value(word, value)
            .or_else(|| plain(word).filter(|_| value.is_none()))
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

fn plain(word: &str) -> Option<Behaviour> {
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
    fn every_behaviour_reads_back_from_its_own_text() {
        let all = "ready not-ready=etcd,ping shutdown unauthorized forbidden overloaded starting redirect=https://a/ \
                   status=418 slow=4000 dead reset silent stall not-tls tls-refused other-ca wrong-names expired \
                   not-yet-valid no-answer closed-early too-large not-http";
        for word in all.split_whitespace() {
            let read: Behaviour = word.parse().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(read.to_string(), word);
        }
    }

    #[test]
    fn the_demo_may_say_fail_and_heal() {
        assert_eq!("fail".parse(), Ok(Behaviour::Dead));
        assert_eq!("heal".parse(), Ok(Behaviour::Ready));
        assert_eq!("not-ready".parse(), Ok(Behaviour::NotReady { failing: vec!["etcd".into()] }));
    }

    #[test]
    fn a_text_that_names_none_is_an_error() {
        for text in ["", "nonsense", "dead=1", "status", "status=99", "status=teapot", "slow=soon"] {
            assert_eq!(text.parse::<Behaviour>(), Err(UnknownBehaviour(text.to_owned())));
        }
    }
}
