//! The token: where it is, read again when it changes, and never shown.
