//! Asks an apiserver for what kubeadm publishes of its cluster to everyone.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use daymark_decision::Thresholds;
use daymark_probe::{ProbeSettings, Prober, Trust};
use serde::Deserialize;
use tokio::time::Instant;

/// The `ConfigMap` that kubeadm makes for nodes that join (`kubernetes/kubernetes`
/// `cmd/kubeadm/app/phases/bootstraptoken/clusterinfo/clusterinfo.go`).
const PATH: &str = "/api/v1/namespaces/kube-public/configmaps/cluster-info";
/// The most bytes of the answer. A CA has a few thousand.
const MAX_ANSWER_BYTES: usize = 256 << 10;
/// The time in which the apiserver answers.
const TIMEOUT: Duration = Duration::from_secs(10);

/// An apiserver that does not describe its cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterInfoError {
    /// The apiserver cannot be asked.
    #[error("{address}: {cause}")]
    Unreachable {
        /// The address.
        address: SocketAddr,
        /// The cause, as a probe would have it.
        cause: String,
    },
    /// The apiserver refuses it, or has none.
    #[error(
        "{address}: the apiserver answers {code} to a request for {PATH}; a kubeconfig or a configuration of kubeadm is needed \
         instead"
    )]
    Refused {
        /// The address.
        address: SocketAddr,
        /// The status code of HTTP.
        code: u16,
    },
    /// The answer has no kubeconfig.
    #[error("{address}: {PATH} has no kubeconfig; a kubeconfig or a configuration of kubeadm is needed instead")]
    NoKubeconfig {
        /// The address.
        address: SocketAddr,
    },
}

/// The part of the `ConfigMap` that is read.
#[derive(Deserialize)]
struct ClusterInfo {
    data: ClusterInfoData,
}

#[derive(Deserialize)]
struct ClusterInfoData {
    kubeconfig: String,
}

/// The kubeconfig that the apiserver gives to everyone: its name and its CA, and no credentials.
///
/// The certificate of the apiserver is not verified, because its CA is what is asked for. So the operator has to compare it.
pub async fn cluster_info(address: SocketAddr) -> Result<String, ClusterInfoError> {
    let prober = Prober::new(settings(address));
    let answer = prober.fetch(address.ip(), PATH, MAX_ANSWER_BYTES, Instant::now() + TIMEOUT).await;
    let answer = answer.map_err(|kind| ClusterInfoError::Unreachable { address, cause: kind.to_string() })?;
    if !answer.status().is_success() {
        return Err(ClusterInfoError::Refused { address, code: answer.status().as_u16() });
    }
    let info: ClusterInfo =
        serde_json::from_slice(answer.body()).map_err(|_| ClusterInfoError::NoKubeconfig { address })?;
    Ok(info.data.kubeconfig)
}

fn settings(address: SocketAddr) -> ProbeSettings {
    ProbeSettings {
        pool: "the apiserver".to_owned(),
        port: address.port(),
        path: PATH.to_owned(),
        server_name: "kubernetes".to_owned(),
        interval: TIMEOUT,
        connect_timeout: TIMEOUT,
        tls_timeout: TIMEOUT,
        timeout: TIMEOUT,
        confirm_interval: TIMEOUT,
        late_after: TIMEOUT,
        fresh_every: NonZeroU32::MIN,
        thresholds: Thresholds { rise: NonZeroU32::MIN, fall: NonZeroU32::MIN },
        trust: Trust::Nothing,
        auth: None,
    }
}
