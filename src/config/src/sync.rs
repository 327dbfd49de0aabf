//! The settings of `daymark sync`.

use std::fmt;

/// The URLs that get the outcome of each pass of `daymark sync`. Their paths are often secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SyncConfig {
    /// Gets a POST with the changes after a pass that succeeded.
    pub on_success: Option<String>,
    /// Gets a POST with the reasons after a pass that failed.
    pub on_failure: Option<String>,
}

impl fmt::Debug for SyncConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = |url: &Option<String>| url.as_ref().map(|_| "(hidden)");
        f.debug_struct("SyncConfig")
            .field("on_success", &hidden(&self.on_success))
            .field("on_failure", &hidden(&self.on_failure))
            .finish()
    }
}
