//! Short ways to make the values of the core.

use std::num::NonZeroU32;
use std::time::Duration;

use daymark_decision::{
    HostName, Kind, Membership, Mode, Moment, Node, NodeName, Observation, Pool, PoolName, ProbeTiming, Steering,
    Thresholds, Timings, TtlRange,
};

/// 2026-01-01T00:00:00Z, where every story begins.
pub const START: Moment = Moment::from_millis(1_767_225_600_000);

pub fn pool(name: &str) -> Pool {
    Pool {
        name: PoolName::new(name),
        nodes: Vec::new(),
        thresholds: thresholds(2, 3),
        timing: ProbeTiming {
            interval: Duration::from_secs(1),
            confirm_interval: Duration::from_millis(100),
            detection: Duration::from_millis(6_300),
        },
        steering: Steering { mode: Mode::All, max_answers: 8 },
        ttl: TtlRange { min: 1, max: 5 },
    }
}

pub fn node(name: &str, addresses: &[&str]) -> Node {
    let addresses = addresses.iter().map(|it| it.parse().expect("an address")).collect();
    Node { name: NodeName::new(name), addresses, priority: 0, weight: 1 }
}

pub fn thresholds(rise: u32, fall: u32) -> Thresholds {
    let at_least_one = |n| NonZeroU32::new(n).expect("at least 1");
    Thresholds { rise: at_least_one(rise), fall: at_least_one(fall) }
}

/// A host with the hosts after it: `dns-1` with `dns-2` and `dns-3`. `None` for one host.
pub fn membership(own: &str, members: usize) -> Option<Membership> {
    let (stem, first) = own.rsplit_once('-').expect("a name with a number");
    let first: usize = first.parse().expect("a number");
    let names = (first..first + members).map(|n| HostName::new(&format!("{stem}-{n}")));
    let membership = Membership { own: HostName::new(own), members: names.collect(), can_write: true };
    (members > 1).then_some(membership)
}

pub fn observation(kind: Kind) -> Observation {
    Observation { kind, timings: Timings::default(), certificate: None }
}

/// A kind from its label, with failing checks after a colon: `notReady:etcd,ping`.
pub fn kind(word: &str) -> Option<Kind> {
    let (label, rest) = word.split_once(':').unwrap_or((word, ""));
    let list = || rest.split(',').filter(|it| !it.is_empty()).map(str::to_owned).collect();
    let status = |default: u16| rest.parse().unwrap_or(default);
    let kinds = [
        Kind::Ready,
        Kind::NotReady { failing: list() },
        Kind::ShuttingDown,
        Kind::Unauthorized { status: status(401) },
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
