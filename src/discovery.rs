//! Finding the nodes of a pool by Kubernetes itself, and forgetting them slowly.
//!
//! The rules are in [`roster`], which is pure; [`listing`] knows the API, and [`mod@ask`] reaches it.

pub mod ask;
pub mod listing;
pub mod news;
pub mod roster;
pub mod settings;
