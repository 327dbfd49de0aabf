//! A fake kube-apiserver, for the tests of Daymark and for its demo.
//!
//! It answers `/readyz` like kube-apiserver and lists the nodes of a [`Cluster`]. At run time its [`Behaviour`] can be changed
//! to each failure that a probe must distinguish. The crate knows nothing of probes or pools. It works on Linux only, because
//! [`Behaviour::Silent`] needs a socket filter.

mod authority;
mod behaviour;
mod cluster;
mod connection;
mod error;
mod response;
mod server;
mod shared;
mod socket;
mod tls;

pub use authority::{FakeAuthority, Identity, Validity};
pub use behaviour::{Behaviour, UnknownBehaviour};
pub use cluster::{Cluster, ClusterNode, NodeAddress};
pub use error::FakeApiserverError;
pub use server::FakeApiserver;
pub use shared::Access;
