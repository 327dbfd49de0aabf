//! The files of kubeadm: read critically, compared with the cluster that is expected, and written anew. Owns the slips
//! that people make in them, each with its line and its mend. Knows no socket, no clock and no file: its input is text.
//!
//! ```text
//! text ─> mended text ─> tree ─> documents ─> KubeadmFile ──── judge ───> slips
//!         (slips that   (lines)  (fields)     (with slips)  (expected
//!         break YAML)                                        cluster)
//! ```
//!
//! A slip such as two keys on one line breaks the YAML, and its error then hides all others. So a pass over the lines finds
//! these slips first and mends them in memory, and the rest of the file is read as it was meant.
//!
//! ```
//! let file = daymark_kubeadm::KubeadmFile::read(
//!     "apiVersion: kubeadm.k8s.io/v1beta4\n\
//!      kind: ClusterConfiguration\n\
//!      controlPlaneEndpoint: k8s_api.example.com:6443\n",
//! );
//! assert_eq!(
//!     file.slips[0].to_string(),
//!     "line 3, column 23: controlPlaneEndpoint: \"k8s_api.example.com\" has an underscore, which the name of a host may not \
//!      have; write \"k8s-api.example.com\", in the DNS as well",
//! );
//! ```

mod api;
mod cert_sans;
mod cluster;
mod documents;
mod endpoint;
mod expected;
mod judge;
mod kubeconfig;
mod lines;
mod mapping;
mod mended;
mod position;

mod slip;
mod subnets;
mod tree;
mod write;

pub use self::api::{KubeadmApi, KubeadmVersion, KubeadmVersionError};
pub use self::cluster::{ClusterConfiguration, Etcd, ExternalEtcd, InitConfiguration, Networking, SanList};
pub use self::documents::{KubeadmFile, MAX_FILE_BYTES};
pub use self::endpoint::ControlPlaneEndpoint;
pub use self::expected::{ExpectedCluster, ExpectedNode};
pub use self::kubeconfig::{Kubeconfig, KubeconfigCa, KubeconfigError};
pub use self::position::{FilePosition, WithPosition};
pub use self::slip::{Severity, Slip, SlipKind};
pub use self::write::write;
