//! What the hosts of Daymark tell each other. It owns the keys and the form of a sealed datagram; it has no socket, no file
//! and no clock, and draws no random bytes.

mod keyring;
mod seal;

pub use keyring::{Key, KeyId, KeyRing, KeyRingError, MOST_KEYS, SECRET_LENGTH};
pub use seal::{OVERHEAD, RANDOM_LENGTH, Unsealed, open, seal};
