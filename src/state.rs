//! The state that survives a restart: its files, the task that writes them, and the lock of their directory.
//!
//! Files help and are never needed. If a file cannot be read, Daymark starts without it. If one cannot be written, Daymark goes
//! on, and raises an alarm and a metric.

mod directory;
mod file;
mod lock;
mod writer;

pub use directory::StateDirectory;
pub use file::{Loaded, StateFile};
pub use lock::{LockError, StateLock};
pub use writer::{DecidedState, StateHealth, StateWriter, persist_decisions};
