//! Builders for the values of the core.

use std::time::Duration;

pub use daymark_decision::fixtures::{node, observation, thresholds};
use daymark_decision::{Kind, Membership, Moment, Override, OverrideKind, Pool, fixtures};

/// 2026-01-01T00:00:00Z, the start of every scenario.
pub const START: Moment = Moment::from_millis(1_767_225_600_000);

/// A pool without nodes.
pub fn pool(name: &str) -> Pool {
    fixtures::pool(name, Vec::new())
}

/// The membership of `own` and the hosts numbered after it, such as `dns-1` with `dns-2` and `dns-3`. `None` for one host.
pub fn membership(own: &str, members: usize) -> Option<Membership> {
    let first: usize = own.strip_prefix("dns-").and_then(|number| number.parse().ok()).expect("a name such as dns-1");
    (members > 1).then(|| fixtures::membership(first, first..first + members))
}

/// A request for an override without author and reason. It expires after `millis`, or never.
pub fn requested(kind: OverrideKind, since: Moment, millis: Option<u64>) -> Override {
    Override {
        kind,
        reason: String::new(),
        author: String::new(),
        since,
        until: millis.map(|millis| since.after(Duration::from_millis(millis))),
        host: None,
    }
}

/// The kind with this label. The label may have an argument, such as the failing checks: `notReady:etcd,ping`.
pub fn kind(word: &str) -> Option<Kind> {
    let (label, argument) = word.split_once(':').unwrap_or((word, ""));
    let list = || argument.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let status = |default: u16| argument.parse().unwrap_or(default);
    let kinds = [
        Kind::Ready,
        Kind::NotReady { failing: list() },
        Kind::ShuttingDown,
        Kind::Unauthorized { status: status(401), credentials: false },
        Kind::Overloaded,
        Kind::Starting,
        Kind::Redirect { status: 302, location: None },
        Kind::OtherStatus { status: status(404) },
        Kind::Refused,
        Kind::Reset,
        Kind::Unreachable,
        Kind::ConnectTimeout,
        Kind::TlsStall,
        Kind::NotTls,
        Kind::TlsFailed { detail: String::new() },
        Kind::ClientCertificateRefused { detail: String::new() },
        Kind::ClientCertificateRequired { credentials: false },
        Kind::UntrustedCa,
        Kind::WrongName { expected: "lb.kube-cp.com".to_owned(), names: list() },
        Kind::Expired,
        Kind::NotYetValid,
        Kind::AnswerTimeout,
        Kind::ClosedEarly,
        Kind::NotHttp,
        Kind::TooLarge { limit: 65_536 },
        Kind::LocalError { detail: "no route".to_owned() },
    ];
    kinds.into_iter().find(|kind| kind.label() == label)
}

/// A duration such as `100ms`, `1.5s`, `2m` or `1h`.
pub fn duration(word: &str) -> Option<Duration> {
    let digits = word.find(|c: char| c != '.' && !c.is_ascii_digit())?;
    let (number, unit) = word.split_at(digits);
    let millis = match unit {
        "ms" => 1.0,
        "s" => 1_000.0,
        "m" => 60_000.0,
        "h" => 3_600_000.0,
        _ => return None,
    };
    Duration::try_from_secs_f64((number.parse::<f64>().ok()? * millis).round() / 1000.0).ok()
}
