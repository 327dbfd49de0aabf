//! The slips that people make in kubeadm's files. Each is one sentence: the key, its fault, and the mend.

use std::fmt;
use std::net::IpAddr;

use daymark_decision::{quoted, shortened};
use ipnet::IpNet;

use super::api::{KubeadmApi, KubeadmVersion};
use super::position::FilePosition;

/// The consequence of a slip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// kubeadm refuses the file, or makes a cluster that does not use the pool.
    Error,
    /// The cluster works, and something of it will not.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One slip at its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slip {
    /// The position at which the mend is made.
    pub position: FilePosition,
    /// The kind of slip, whose text is the sentence.
    pub kind: SlipKind,
}

impl Slip {
    pub(crate) fn new(position: FilePosition, kind: SlipKind) -> Self {
        Self { position, kind }
    }

    /// The consequence of this slip.
    pub fn severity(&self) -> Severity {
        match self.kind {
            SlipKind::EndpointSingleLabel { .. }
            | SlipKind::Deprecated { .. }
            | SlipKind::MissingSans { is_fatal: false, .. } => Severity::Warning,
            _ => Severity::Error,
        }
    }
}

impl fmt::Display for Slip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.position, self.kind)
    }
}

/// The kinds of slips. The text of each says the key, its fault and the mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SlipKind {
    /// The text is beyond the size of any such file.
    #[error("the file is too large; at most {max_kib} KiB are allowed")]
    TooLarge {
        /// The allowed size.
        max_kib: usize,
    },
    /// A value, or a key without a value, and the next key are on one line.
    #[error("`{}` and the key `{key}` run together on one line; begin a new line before `{key}:`", shortened(before))]
    RunTogether {
        /// The text before the key.
        before: String,
        /// The second key.
        key: String,
    },
    /// A value begins with a quote and does not end with one.
    #[error("`{}` has no closing quote; end it with {mark}, on the same line", shortened(text))]
    NoClosingQuote {
        /// The value, with its opening quote.
        text: String,
        /// The quote.
        mark: char,
    },
    /// A value ends with a quote and does not begin with one.
    #[error(
        "`{}` ends with a quote and begins without one; begin it with {mark}, or remove the quote at its end",
        shortened(text)
    )]
    NoOpeningQuote {
        /// The value, with its closing quote.
        text: String,
        /// The quote.
        mark: char,
    },
    /// Lines are indented by tabs.
    #[error("{}; YAML is indented by spaces alone, so write spaces", tabs(*more_lines))]
    Tab {
        /// The number of further lines with tabs.
        more_lines: usize,
    },
    /// The text is not YAML for another reason.
    #[error("the document is not valid YAML from here: {message}; mend this line or the one above")]
    NotYaml {
        /// The words of the YAML reader.
        message: String,
    },
    /// A mapping has a key twice.
    #[error("`{}` is given twice, first on line {first_line}; once is allowed, so merge both", shortened(key))]
    DuplicateKey {
        /// The key.
        key: String,
        /// The line of the first.
        first_line: u64,
    },
    /// A value is of another type.
    #[error("{path}: is {is}; {allowed} is allowed")]
    WrongType {
        /// The path of the key.
        path: String,
        /// The type, with its article.
        is: &'static str,
        /// The allowed type, with its article.
        allowed: &'static str,
    },
    /// A document does not say its type.
    #[error("the document has no `{key}`; each document needs `apiVersion` and `kind`, such as ClusterConfiguration")]
    NoType {
        /// The missing key.
        key: &'static str,
    },
    /// The file has two documents of a kind.
    #[error("the file has a second {kind}, after the one on line {first_line}; kubeadm allows one, so merge both")]
    DuplicateDocument {
        /// The kind.
        kind: &'static str,
        /// The line of the first.
        first_line: u64,
    },
    /// The file has no `ClusterConfiguration`.
    #[error(
        "the file has no ClusterConfiguration; add a document with `kind: ClusterConfiguration` and `controlPlaneEndpoint`"
    )]
    NoClusterConfiguration,
    /// No release of kubeadm since 1.15 reads this API.
    #[error("apiVersion: {} is unknown; kubeadm.k8s.io/v1beta1 to kubeadm.k8s.io/v1beta4 are allowed", quoted(text))]
    UnknownApi {
        /// The `apiVersion`.
        text: String,
    },
    /// The API was removed before this release.
    #[error(
        "apiVersion: kubeadm {kubeadm} no longer reads {api}, which kubeadm 1.{last} was the last to read; write it as {newest} \
         with `kubeadm config migrate` of kubeadm 1.{last}"
    )]
    NoLongerRead {
        /// The API of the document.
        api: KubeadmApi,
        /// The release.
        kubeadm: KubeadmVersion,
        /// The minor release that was the last to read the API.
        last: u32,
        /// The newest API that the last reader writes.
        newest: KubeadmApi,
    },
    /// The API came after this release.
    #[error(
        "apiVersion: kubeadm {kubeadm} does not read {api} yet, which kubeadm 1.{first} is the first to read; write {newest}"
    )]
    NotReadYet {
        /// The API of the document.
        api: KubeadmApi,
        /// The release.
        kubeadm: KubeadmVersion,
        /// The minor release that is the first to read the API.
        first: u32,
        /// The newest API of the release.
        newest: KubeadmApi,
    },
    /// The release reads the API, and a later one will not.
    #[error("apiVersion: {api} is deprecated in kubeadm {kubeadm}; write it as {newest} with `kubeadm config migrate`")]
    Deprecated {
        /// The API of the document.
        api: KubeadmApi,
        /// The release.
        kubeadm: KubeadmVersion,
        /// The newest API of the release.
        newest: KubeadmApi,
    },
    /// The cluster has no name of its own.
    #[error(
        "controlPlaneEndpoint is missing, so every client would use the address of the first node; add \
         `controlPlaneEndpoint: NAME:PORT`, with the name and the port of the pool"
    )]
    NoEndpoint,
    /// The name has an underscore.
    #[error(
        "controlPlaneEndpoint: {} has an underscore, which the name of a host may not have; write {}, in the DNS as well",
        quoted(name),
        quoted(&name.replace('_', "-"))
    )]
    EndpointUnderscore {
        /// The name.
        name: String,
    },
    /// The name has one label.
    #[error(
        "controlPlaneEndpoint: {} is a single label, which only the search list of each client completes; write the whole name, \
         such as {name}.example.com",
        quoted(name)
    )]
    EndpointSingleLabel {
        /// The name.
        name: String,
    },
    /// The endpoint is an address.
    #[error(
        "controlPlaneEndpoint: {address} is an address, which cannot move to another node; write the name of the pool, because \
         certificates and kubeconfigs keep what is here"
    )]
    EndpointIsAddress {
        /// The address.
        address: IpAddr,
    },
    /// The endpoint is neither a name nor an address.
    #[error("controlPlaneEndpoint: {fault}; NAME:PORT is allowed, and NAME is {allowed}")]
    EndpointNotAName {
        /// The text and its fault.
        fault: String,
        /// The allowed names.
        allowed: &'static str,
    },
    /// The port is no port.
    #[error("controlPlaneEndpoint: {} has no port from 1 to 65535 after its colon; write NAME:PORT", quoted(text))]
    EndpointNotAPort {
        /// The endpoint.
        text: String,
    },
    /// The name is not that of the pool.
    #[error("controlPlaneEndpoint: {} is not the name of the pool; write {expected}", quoted(name))]
    EndpointOtherName {
        /// The name.
        name: String,
        /// The name of the pool.
        expected: String,
    },
    /// The port is not that of the pool.
    #[error("controlPlaneEndpoint: the port is {port}{}, and that of the pool is {expected}; write {name}:{expected}",
        if *is_default { " by default" } else { "" })]
    EndpointOtherPort {
        /// The name.
        name: String,
        /// The port.
        port: u16,
        /// The port is not written; it is the `bindPort`.
        is_default: bool,
        /// The port of the pool.
        expected: u16,
    },
    /// The apiserver of the first node listens elsewhere.
    #[error(
        "localAPIEndpoint.bindPort: is {port}, and the port of the pool is {expected}; a name has no port of its own, so write {expected}"
    )]
    BindPort {
        /// The port of the apiserver.
        port: u16,
        /// The port of the pool.
        expected: u16,
    },
    /// A subnet is no CIDR.
    #[error("{path}: {} {fault}; write ADDRESS/PREFIX, such as {example}", quoted(text))]
    BadSubnet {
        /// The path of the key.
        path: String,
        /// The text.
        text: String,
        /// Its fault.
        fault: String,
        /// A subnet that may have been meant.
        example: String,
    },
    /// Pods and services share addresses.
    #[error("networking: serviceSubnet {service} and podSubnet {pod} overlap; take ranges that share no address")]
    SubnetsOverlap {
        /// A subnet of the pods.
        pod: IpNet,
        /// The subnet of the services.
        service: IpNet,
    },
    /// An entry of a list of SANs can be in no certificate.
    #[error(
        "{path}: {} can be in no certificate; a DNS name, `*.` before a DNS name, or an IP address is allowed",
        quoted(text)
    )]
    BadSan {
        /// The path of the list.
        path: String,
        /// The entry.
        text: String,
    },
    /// A certificate is not valid for names and addresses of the cluster.
    #[error("{path}: without {}; add {}", missing.join(", "), missing.iter().map(|san| format!("`- {san}`")).collect::<Vec<_>>().join(", "))]
    MissingSans {
        /// The path of the list.
        path: &'static str,
        /// The names and addresses, in the order in which they are to be added.
        missing: Vec<String>,
        /// The name of the pool is among them, and kubeadm does not add it, because `controlPlaneEndpoint` is another.
        is_fatal: bool,
    },
    /// `extraArgs` has the form of another version.
    #[error("{path}: is {is}, and {api} needs {needed}")]
    ExtraArgsForm {
        /// The path of the key.
        path: String,
        /// The type, with its article.
        is: &'static str,
        /// The API of the document.
        api: KubeadmApi,
        /// The form that the API needs.
        needed: &'static str,
    },
}

fn tabs(more_lines: usize) -> String {
    match more_lines {
        0 => "the line is indented by a tab".to_owned(),
        1 => "the line is indented by a tab, and so is another one".to_owned(),
        more => format!("the line is indented by a tab, and so are {more} others"),
    }
}
