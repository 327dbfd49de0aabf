//! The state that the connections of a fake apiserver share.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use tokio::sync::watch;

use crate::behaviour::Behaviour;
use crate::cluster::Cluster;
use crate::tls::TlsConfigs;

/// The clients that are authenticated. Others get 401.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Access {
    /// Every client. This is the default.
    #[default]
    Anonymous,
    /// Clients with this bearer token.
    Token(String),
    /// Clients with a certificate of the authority.
    ClientCertificate,
}

/// The state that all connections share.
pub(crate) struct Shared {
    pub(crate) behaviour: watch::Sender<Behaviour>,
    pub(crate) access: Mutex<Access>,
    pub(crate) cluster: Mutex<Option<Cluster>>,
    pub(crate) tls: TlsConfigs,
    pub(crate) requests: AtomicU64,
    pub(crate) connections: AtomicU64,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Token(_) => "Token(…)",
            Self::ClientCertificate => "ClientCertificate",
        })
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("behaviour", &self.behaviour).finish_non_exhaustive()
    }
}
