//! Finding the nodes of a pool by Kubernetes itself, and forgetting them slowly.
//!
//! The rules are in [`roster`], which is pure.

pub mod news;
pub mod roster;
pub mod settings;
