//! The errors of a fake apiserver.

use std::io;
use std::net::SocketAddr;

use rustls::server::VerifierBuilderError;

/// An error of a fake apiserver.
#[derive(Debug, thiserror::Error)]
pub enum FakeApiserverError {
    /// The fake cannot listen on the address. The caller can choose another.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The kernel's error.
        source: io::Error,
    },
    /// A certificate cannot be issued for the names.
    #[error("cannot issue a certificate")]
    Certificate(#[from] rcgen::Error),
    /// The TLS library rejects a certificate, which is a bug of this crate.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
    /// The TLS library rejects the verifier of client certificates, which is a bug of this crate.
    #[error("cannot set up the verification of client certificates")]
    Verifier(#[from] VerifierBuilderError),
    /// The task of the fake has ended.
    #[error("the fake has stopped")]
    Stopped,
}
