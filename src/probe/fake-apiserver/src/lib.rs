//! A fake apiserver, for the tests of Daymark and for its demo.
//!
//! It answers `/readyz` as kube-apiserver does and can be told at run time to fail in every way that a probe must tell
//! apart: [`Behaviour`]; and it lists the nodes of a [`Cluster`]. It knows nothing of probes, pools or names. Linux only: silence is made with a socket filter.

mod answer;
mod authority;
mod behaviour;
mod cluster;
mod conversation;
mod server;
mod tls;

pub use authority::{Authority, Identity, Validity};
pub use behaviour::{Behaviour, UnknownBehaviour};
pub use cluster::{Cluster, Node};
pub use server::{Access, Error, FakeApiserver};
