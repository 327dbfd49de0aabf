//! The nodes as a client reaches them, by the same probe as in a running host: TCP, TLS, names, chain, ends, and the answer.

use daymark_config::PoolConfig;
use daymark_decision::{Grade, Kind, Moment, Observation, Target};
use daymark_probe::{Expiries, Expiry, Prober};
use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::time::{Duration, sleep};

use super::diagnosis::{Diagnosis, DoctorSection, Symptom};

/// The pause before a second probe of a node that was not ready.
const SECOND_PROBE: Duration = Duration::from_secs(1);
/// The time before the end of a certificate in which there is a warning: 30 days, in milliseconds.
const WARNING_PERIOD: u64 = 30 * 86_400_000;

/// The observations of one pool.
#[derive(Clone, Debug)]
pub(super) struct PoolNodesSeen {
    /// The name of the pool.
    pub(super) pool: String,
    /// The ends of the CAs and the credentials of its probes.
    pub(super) expiries: Expiries,
    /// The error of its files, with which nothing can be probed.
    pub(super) file_error: Option<String>,
    /// Its targets.
    pub(super) targets: Vec<TargetSeen>,
}

/// The observation of one target.
#[derive(Clone, Debug)]
pub(super) struct TargetSeen {
    /// The target.
    pub(super) target: Target,
    /// Its observation.
    pub(super) observation: Observation,
}

/// Probes each target of each pool, and a second time if it was not ready.
pub(super) async fn look(pools: &[PoolConfig]) -> Vec<PoolNodesSeen> {
    join_all(pools.iter().map(look_at_pool)).await
}

async fn look_at_pool(config: &PoolConfig) -> PoolNodesSeen {
    let prober = Prober::new(config.probe.clone());
    let targets = join_all(config.pool.targets().map(|target| async {
        let mut observation = prober.probe_once(target.address).await;
        if observation.kind != Kind::Ready {
            sleep(SECOND_PROBE).await;
            observation = prober.probe_once(target.address).await;
        }
        TargetSeen { target, observation }
    }));
    let targets = targets.await;
    PoolNodesSeen {
        pool: config.pool.name.to_string(),
        expiries: prober.expiries(),
        file_error: prober.file_error(),
        targets,
    }
}

/// Judges what was seen of the nodes.
pub(super) fn judge(seen: &[PoolNodesSeen], now: Moment) -> Vec<Diagnosis> {
    seen.iter().flat_map(|pool| judge_pool(pool, now)).collect()
}

fn judge_pool(seen: &PoolNodesSeen, now: Moment) -> Vec<Diagnosis> {
    let mut diagnoses = Vec::new();
    for TargetSeen { target, observation } in &seen.targets {
        let label = format!("{} {} ({})", target.node, target.address, seen.pool);
        diagnoses.push(judge_observation(&label, observation));
        diagnoses.extend(end_of_leaf(&label, observation, now));
    }
    diagnoses.extend(
        seen.expiries.authorities.iter().chain(&seen.expiries.credentials).map(|expiry| end(seen, expiry, now)),
    );
    if let Some(error) = &seen.file_error {
        let message = format!("{error}; replace the file");
        diagnoses.push(Diagnosis::fail(DoctorSection::Nodes, &seen.pool, Symptom::FileAccess, message));
    }
    diagnoses
}

fn judge_observation(label: &str, Observation { kind, timings, certificate }: &Observation) -> Diagnosis {
    let mend = mend(kind);
    let message = if mend.is_empty() { kind.to_string() } else { format!("{kind}; {mend}") };
    match kind.grade() {
        Some(Grade::Ready) => {
            let times = [("connect", timings.connect), ("tls", timings.tls), ("http", timings.http)];
            let times = times.iter().filter_map(|(phase, time)| Some(format!("{phase} {}", milliseconds((*time)?))));
            let until = certificate.as_ref().map(|certificate| {
                format!("; certificate until {} for {}", certificate.not_after, certificate.names.join(", "))
            });
            let times = times.collect::<Vec<_>>().join(", ");
            Diagnosis::ok(DoctorSection::Nodes, label, format!("ready: {times}{}", until.unwrap_or_default()))
        }
        Some(Grade::Live) => Diagnosis::warn(DoctorSection::Nodes, label, symptom(kind), message),
        Some(_) => Diagnosis::fail(DoctorSection::Nodes, label, symptom(kind), message),
        None => Diagnosis::fail(DoctorSection::Nodes, label, Symptom::LocalError, message),
    }
}

fn milliseconds(time: Duration) -> String {
    match time.as_millis() {
        0 => "under 1 ms".to_owned(),
        millis => format!("{millis} ms"),
    }
}

fn symptom(kind: &Kind) -> Symptom {
    match kind {
        Kind::Unauthorized { .. } | Kind::ClientCertificateRefused { .. } | Kind::ClientCertificateRequired { .. } => {
            Symptom::Unauthorized
        }
        Kind::WrongName { .. } => Symptom::WrongName,
        Kind::Expired | Kind::CaExpired { .. } => Symptom::Expired,
        kind if kind.grade() == Some(Grade::Live) => Symptom::NodeNotReady,
        _ => Symptom::NodeDown,
    }
}

/// The step that mends the cause, unless the sentence of the observation has one.
fn mend(kind: &Kind) -> &'static str {
    match kind {
        Kind::Ready
        | Kind::Unauthorized { .. }
        | Kind::ClientCertificateRefused { .. }
        | Kind::ClientCertificateRequired { .. } => "",
        Kind::NotReady { .. } => "look at these checks by `kubectl get --raw '/readyz?verbose'` on the node",
        Kind::ShuttingDown => "ask again once the apiserver has restarted",
        Kind::Overloaded => "look for the clients that load the apiserver",
        Kind::Starting => "ask again in a minute, and look at the log of the apiserver then",
        Kind::Redirect { .. } | Kind::OtherStatus { .. } | Kind::TooLarge { .. } => {
            "see that `port` and `probe.path` are those of the apiserver"
        }
        Kind::Refused => "start the apiserver on the node, and compare its port with `port`",
        Kind::Reset | Kind::ClosedEarly | Kind::AnswerTimeout | Kind::TlsStall => {
            "look at the apiserver on the node and at what is on the way to it, such as a proxy"
        }
        Kind::Unreachable | Kind::ConnectTimeout => {
            "see that the node runs, and that firewalls let this machine reach the port"
        }
        Kind::NotTls | Kind::NotHttp => "see that `port` is that of the apiserver",
        Kind::TlsFailed { .. } => "compare the TLS settings of the apiserver with docs/certificates.md",
        Kind::UntrustedCa => {
            "set `probe.ca` to the cluster's CA, which is /etc/kubernetes/pki/ca.crt on a node of kubeadm"
        }
        Kind::WrongName { .. } => {
            "add the name to `apiServer.certSANs` of kubeadm's ClusterConfiguration, and make the certificate anew by `kubeadm init \
             phase certs apiserver` after removing apiserver.crt and apiserver.key"
        }
        Kind::Expired => "renew it by `kubeadm certs renew apiserver` on the node, and restart the apiserver",
        Kind::CaExpired { .. } => "make a new CA and new certificates, and give clients and `probe.ca` the new CA",
        Kind::CertificateRefused { .. } => "make the certificate anew by the rules of docs/certificates.md",
        Kind::NotYetValid => "compare the clocks of this machine and of the node",
        Kind::LocalError { .. } => "mend that on this machine",
    }
}

/// The warning of a certificate that ends soon. One that has ended is an observation of its own.
fn end_of_leaf(label: &str, observation: &Observation, now: Moment) -> Option<Diagnosis> {
    let certificate = observation.certificate.as_ref()?;
    let left = certificate.not_after.as_millis().checked_sub(now.as_millis())?;
    (left < WARNING_PERIOD).then(|| {
        let message = format!(
            "its certificate ends on {}, in {} days; renew it by `kubeadm certs renew apiserver` on the node, and restart the \
             apiserver",
            certificate.not_after,
            left / 86_400_000
        );
        Diagnosis::warn(DoctorSection::Nodes, label, Symptom::Expiring, message)
    })
}

/// The end of a CA or of the credentials of the probes.
fn end(seen: &PoolNodesSeen, expiry: &Expiry, now: Moment) -> Diagnosis {
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    match expiry.warning(seconds) {
        Some(warning) if expiry.not_after < seconds => {
            Diagnosis::fail(DoctorSection::Nodes, &seen.pool, Symptom::Expired, warning)
        }
        Some(warning) => Diagnosis::warn(DoctorSection::Nodes, &seen.pool, Symptom::Expiring, warning),
        None => {
            let end =
                Timestamp::from_second(expiry.not_after).map_or_else(|_| "never".to_owned(), |end| end.to_string());
            Diagnosis::ok(DoctorSection::Nodes, &seen.pool, format!("{} is valid until {end}", expiry.name))
        }
    }
}
