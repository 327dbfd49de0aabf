//! What this host shares with the other hosts.

pub mod keyfile;
