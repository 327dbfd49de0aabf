//! The addresses to which the names of the other hosts resolved, kept over a restart: the name servers may be away when this host
//! comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;

use daymark_decision::HostName;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::state::{StateFile, StateWriter};

/// The addresses of each host that is configured by a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResolvedPeers(pub BTreeMap<HostName, BTreeSet<SocketAddr>>);

impl ResolvedPeers {
    /// The file of the addresses in a state directory.
    pub fn file(dir: &Path) -> StateFile<Self> {
        StateFile::named(dir, "peers.json")
    }
}

/// Saves the newest addresses until the sender is dropped.
pub async fn save_addresses(mut writer: StateWriter<ResolvedPeers>, mut newest: watch::Receiver<ResolvedPeers>) {
    loop {
        let addresses = newest.borrow_and_update().clone();
        writer.save(&addresses).await;
        tokio::select! {
            changed = newest.changed() => if changed.is_err() { return },
            () = writer.needs_attention(&addresses) => {}
        }
    }
}
