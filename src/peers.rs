//! What this host shares with the other hosts: keys, and datagrams that are sealed with them.

mod digest;
pub mod keyfile;
mod wire;

pub use self::digest::digests;
pub use self::wire::{PATIENCE, Wire, WireError};
