//! Certificates, judged as Kubernetes' own clients judge them: Go's `crypto/x509`.
//!
//! - [`CaBundle`] reads the CA certificates of a PEM file, and names those that cannot be used.
//! - [`ServerVerifier`] judges the whole chain of a server, its CA included, for rustls.
//! - [`ClientIdentity`] is a client certificate with its key.
//!
//! It knows no target and no setting. `docs/decisions/0009-chain-verifier.md` has the reasons.

mod algorithm;
mod bundle;
mod certificate;
mod chain;
mod constraints;
mod fault;
mod files;
mod host_name;
mod identity;
mod names;
mod private_key;
mod signature;
mod verifier;

pub use self::bundle::{Authorities, Authority, CaBundle, UnusableCertificate};
pub use self::fault::{BrokenRule, CertificateFault, ChainFault, IssuerRule};
pub use self::files::CertificateFileError;
pub use self::identity::{CertificateValidity, ClientIdentity, ClientIdentityError};
pub use self::verifier::{AcceptAny, ServerVerifier};
