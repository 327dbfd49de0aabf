//! The files that Daymark reads and writes: PEM, tokens and secrets, watched files, and atomic writes.
//!
//! It knows what kinds of files there are. It does not know which part of Daymark uses a file, nor what keys or states mean.

mod bounded;
mod chain;
mod lifetime;
mod messages;
mod pem;
mod plain;
mod roots;
mod secret;
mod staged;
mod token;
mod version;
mod watched;

pub use self::bounded::{READ_TIMEOUT, bounded};
pub use self::chain::error_chain;
pub use self::lifetime::Lifetime;
pub use self::messages::{pem_message, tls_message};
pub use self::pem::{CertificateSection, TornSection, certificate_sections, certificates, private_key};
pub use self::plain::{FileError, is_missing, read};
pub use self::roots::{NoSystemRoots, client_tls, system_certificates, system_roots};
pub use self::secret::{SecretFile, SecretFileError, is_open_to_all};
pub use self::staged::StagedFile;
pub use self::token::{Token, TokenError};
pub use self::version::FileVersion;
pub use self::watched::{WatchError, WatchedFiles};
