//! The other hosts: the gossip keys, the transport, and the hash by which configurations are compared.

mod addresses;
mod channels;
mod configuration_hash;
pub mod keyfile;
pub(crate) mod mismatches;
mod transport;

pub use self::addresses::{ResolvedPeers, save_addresses};
pub use self::channels::{ChannelEnds, DriverChannels, OutboundMessage, PeerInput, TransportChannels, channels};
pub use self::configuration_hash::configuration_hashes;
pub(crate) use self::mismatches::{HostMismatch, Mismatches, OtherHosts};
pub use self::transport::{TRANSPORT_TIMEOUT, Transport};
