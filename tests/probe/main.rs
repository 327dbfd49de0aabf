//! The probe against a stand-in apiserver, over real sockets on loopback.

mod auth;
mod files;
mod identity;
mod outcomes;
mod scene;
mod watching;
