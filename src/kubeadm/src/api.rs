//! The versions of kubeadm's API, and the releases of kubeadm that read each.

use std::fmt;
use std::str::FromStr;

use daymark_decision::quoted;

/// A version of the API of kubeadm's files, `kubeadm.k8s.io/…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KubeadmApi {
    /// Read by kubeadm 1.13 to 1.21.
    V1beta1,
    /// Read by kubeadm 1.15 to 1.26.
    V1beta2,
    /// Read by kubeadm 1.22 to 1.36.
    V1beta3,
    /// Read by kubeadm since 1.31.
    V1beta4,
}

/// The minor releases of kubeadm 1.x that read a version of its API.
pub(crate) struct Readers {
    pub(crate) first: u32,
    /// The first release that warns of it.
    pub(crate) deprecated: Option<u32>,
    /// The last release that reads it.
    pub(crate) last: Option<u32>,
}

impl KubeadmApi {
    /// All versions, in order.
    pub const ALL: [Self; 4] = [Self::V1beta1, Self::V1beta2, Self::V1beta3, Self::V1beta4];

    /// The version of an `apiVersion`; `None` for any other, such as the alpha versions, which kubeadm 1.15 no longer reads.
    pub fn of(api_version: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|api| api.api_version() == api_version)
    }

    /// The `apiVersion` of a document.
    pub fn api_version(self) -> &'static str {
        match self {
            Self::V1beta1 => "kubeadm.k8s.io/v1beta1",
            Self::V1beta2 => "kubeadm.k8s.io/v1beta2",
            Self::V1beta3 => "kubeadm.k8s.io/v1beta3",
            Self::V1beta4 => "kubeadm.k8s.io/v1beta4",
        }
    }

    /// The newest version that a release of kubeadm reads; the newest of all for an unknown release.
    pub fn newest_of(kubeadm: Option<KubeadmVersion>) -> Self {
        let reads = |api: &Self| kubeadm.is_none_or(|kubeadm| api.readers().first <= kubeadm.minor);
        Self::ALL.into_iter().rev().find(reads).unwrap_or(Self::V1beta1)
    }

    /// The releases that read this version.
    ///
    /// Source: the support matrix in `validateSupportedVersion` of kubernetes/kubernetes
    /// `cmd/kubeadm/app/util/config/common.go`; deprecations by the pull requests 83276 (v1beta1), 107013 (v1beta2) and 125029
    /// (v1beta3, which also enables v1beta4); the end of v1beta3 by pull request 136016 and CHANGELOG-1.37. From 1.28 to 1.30
    /// v1beta4 is experimental, and `kubeadm init` refuses it.
    pub(crate) fn readers(self) -> Readers {
        match self {
            Self::V1beta1 => Readers { first: 13, deprecated: Some(17), last: Some(21) },
            Self::V1beta2 => Readers { first: 15, deprecated: Some(24), last: Some(26) },
            Self::V1beta3 => Readers { first: 22, deprecated: Some(31), last: Some(36) },
            Self::V1beta4 => Readers { first: 31, deprecated: None, last: None },
        }
    }

    /// `extraArgs` is a list of names with values, as since v1beta4 (kubernetes/kubernetes pull request 125029).
    pub(crate) fn has_listed_arguments(self) -> bool {
        self >= Self::V1beta4
    }
}

impl fmt::Display for KubeadmApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.api_version().trim_start_matches("kubeadm.k8s.io/"))
    }
}

/// A minor release of kubeadm 1.x, such as 1.31.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KubeadmVersion {
    /// The 31 of 1.31.
    pub minor: u32,
}

impl fmt::Display for KubeadmVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.minor)
    }
}

impl FromStr for KubeadmVersion {
    type Err = KubeadmVersionError;

    /// Takes `1.31`, `v1.31.2` and `v1.31.0-rc.1`, as `kubeadm version -o short` prints it.
    fn from_str(text: &str) -> Result<Self, KubeadmVersionError> {
        let error = || KubeadmVersionError { text: text.to_owned() };
        let rest = text.trim().trim_start_matches('v').strip_prefix("1.").ok_or_else(error)?;
        let minor = rest.split(['.', '-', '+']).next().unwrap_or_default();
        if minor.is_empty() || !minor.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(error());
        }
        Ok(Self { minor: minor.parse().map_err(|_| error())? })
    }
}

/// The text is no version of kubeadm.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is not a version of kubeadm; a version such as 1.31 or v1.31.2 is allowed", quoted(text))]
pub struct KubeadmVersionError {
    /// The text.
    pub text: String,
}
