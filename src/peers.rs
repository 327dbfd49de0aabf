//! The other hosts: the gossip keys, the transport, and the hash by which configurations are compared.

mod configuration_hash;
pub mod keyfile;
mod transport;

pub use self::configuration_hash::configuration_hashes;
pub use self::transport::{TRANSPORT_TIMEOUT, Transport, TransportError};
