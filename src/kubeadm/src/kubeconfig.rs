//! The cluster of a kubeconfig: the URL of the apiserver and its CA. Knows nothing of users and their credentials.

use daymark_decision::quoted;
use daymark_yaml::YamlValue;
use http::Uri;

use super::documents::MAX_FILE_BYTES;
use super::mapping::Mapping;
use super::position::{FilePosition, WithPosition};
use super::slip::{Slip, SlipKind};
use super::tree::{self, type_name};

/// The cluster of the current context of a kubeconfig (`Config` in kubernetes/kubernetes
/// `staging/src/k8s.io/client-go/tools/clientcmd/api/v1/types.go`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kubeconfig {
    /// The URL of the apiserver.
    pub server: WithPosition<String>,
    /// The name or the address in the URL, without brackets.
    pub host: String,
    /// The port in the URL, 443 if there is none.
    pub port: u16,
    /// The CA; `None`: that of the system.
    pub ca: Option<KubeconfigCa>,
    /// The name for which the certificate of the apiserver is to be valid, if it is not the host.
    pub tls_server_name: Option<WithPosition<String>>,
    /// The certificate of the apiserver is not verified.
    pub insecure: bool,
}

/// The CA of a kubeconfig.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KubeconfigCa {
    /// The certificates as PEM.
    Pem(Vec<u8>),
    /// The path of a file with them. A relative one is relative to the folder of the kubeconfig.
    File(String),
}

/// A text from which no cluster can be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KubeconfigError {
    /// The text is not YAML.
    #[error("{position}: the kubeconfig is not valid YAML: {message}")]
    NotYaml {
        /// The position.
        position: FilePosition,
        /// The words of the YAML reader.
        message: String,
    },
    /// The text is too large.
    #[error("the kubeconfig is too large; at most {} KiB are allowed", MAX_FILE_BYTES >> 10)]
    TooLarge,
    /// The text is another file.
    #[error("the file is not a kubeconfig; `apiVersion: v1` and `kind: Config` are needed")]
    NotAKubeconfig,
    /// A value is of another type.
    #[error("{0}")]
    WrongType(Slip),
    /// No cluster is named, or several are there.
    #[error(
        "the kubeconfig does not name its cluster; `current-context` with one of `contexts` is needed, or a single cluster"
    )]
    NoCluster,
    /// A name that another part gives is not there.
    #[error("the kubeconfig has no entry {} in `{list}`; add it, or name another", quoted(name))]
    NoEntry {
        /// The list.
        list: &'static str,
        /// The name.
        name: String,
    },
    /// The cluster has no URL.
    #[error("the cluster of the kubeconfig has no `server`; a URL such as https://api.example.com:6443 is needed")]
    NoServer,
    /// The URL is none.
    #[error("{position}: server: {} is not a URL of an apiserver; https://NAME:PORT is allowed", quoted(text))]
    BadServer {
        /// The position.
        position: FilePosition,
        /// The text.
        text: String,
    },
    /// The CA is not base64.
    #[error("{position}: certificate-authority-data is not base64; the whole text is needed, on one line")]
    BadCa {
        /// The position.
        position: FilePosition,
    },
}

impl Kubeconfig {
    /// The text is meant as a kubeconfig, sound or not: a line without indentation says `kind: Config`. This tells a kubeconfig
    /// from a file of kubeadm.
    pub fn is_meant_by(text: &str) -> bool {
        let mut kinds = text.lines().filter_map(|line| line.strip_prefix("kind:"));
        kinds.any(|kind| kind.trim().trim_matches(['"', '\'']) == "Config")
    }

    /// Reads the cluster of the current context, or the only cluster.
    ///
    /// # Errors
    ///
    /// Fails if the text is no kubeconfig, or if its cluster is not clear or has no usable URL.
    pub fn read(text: &str) -> Result<Self, KubeconfigError> {
        if text.len() > MAX_FILE_BYTES {
            return Err(KubeconfigError::TooLarge);
        }
        let tree = tree::parse(text)
            .map_err(|error| KubeconfigError::NotYaml { position: error.position, message: error.message })?;
        let mut slips = Vec::new();
        let document = Mapping::document(&tree).ok_or(KubeconfigError::NotAKubeconfig)?;
        if document.text("kind", &mut slips).is_none_or(|kind| kind.value != "Config") {
            return Err(KubeconfigError::NotAKubeconfig);
        }
        let cluster = current_cluster(&document, &mut slips)?;
        let read = Self::of_cluster(&cluster, &mut slips);
        // The type of a value is the cause of everything that is missing then.
        match slips.into_iter().next() {
            Some(slip) => Err(KubeconfigError::WrongType(slip)),
            None => read,
        }
    }

    fn of_cluster(cluster: &Mapping<'_>, slips: &mut Vec<Slip>) -> Result<Self, KubeconfigError> {
        let server = cluster.text("server", slips).ok_or(KubeconfigError::NoServer)?;
        let bad = || KubeconfigError::BadServer { position: server.position, text: server.value.clone() };
        let uri: Uri = server.value.parse().map_err(|_| bad())?;
        let default_port = match uri.scheme_str() {
            Some("https") => 443,
            Some("http") => 80,
            _ => return Err(bad()),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(bad)?.trim_matches(['[', ']']).to_owned();
        let ca = match cluster.text("certificate-authority-data", slips) {
            Some(data) => {
                let compact: String = data.value.split_whitespace().collect();
                let pem = data_encoding::BASE64.decode(compact.as_bytes());
                Some(KubeconfigCa::Pem(pem.map_err(|_| KubeconfigError::BadCa { position: data.position })?))
            }
            None => cluster.text("certificate-authority", slips).map(|path| KubeconfigCa::File(path.value)),
        };
        Ok(Self {
            port: uri.port_u16().unwrap_or(default_port),
            host,
            server,
            ca,
            tls_server_name: cluster.text("tls-server-name", slips),
            insecure: cluster
                .entry("insecure-skip-tls-verify")
                .is_some_and(|entry| matches!(entry.node.value, YamlValue::Bool(true))),
        })
    }
}

/// The cluster of the current context, or else the only one.
fn current_cluster<'t>(document: &Mapping<'t>, slips: &mut Vec<Slip>) -> Result<Mapping<'t>, KubeconfigError> {
    let clusters = named(document, "clusters", slips);
    let context = document.text("current-context", slips).filter(|name| !name.value.is_empty());
    let name = match context {
        None if clusters.len() == 1 => None,
        None => return Err(KubeconfigError::NoCluster),
        Some(context) => {
            let contexts = named(document, "contexts", slips);
            let found = contexts.iter().find(|mapping| name_of(mapping).as_ref() == Some(&context.value));
            let found = found.ok_or(KubeconfigError::NoEntry { list: "contexts", name: context.value })?;
            let cluster = found.mapping("context", slips).and_then(|context| context.text("cluster", slips));
            Some(cluster.ok_or(KubeconfigError::NoCluster)?.value)
        }
    };
    let found = clusters.iter().find(|mapping| name.is_none() || name_of(mapping) == name);
    let found = found.ok_or_else(|| KubeconfigError::NoEntry { list: "clusters", name: name.unwrap_or_default() })?;
    found.mapping("cluster", slips).ok_or(KubeconfigError::NoServer)
}

/// The mappings of a list, each of which has a `name`.
fn named<'t>(document: &Mapping<'t>, key: &str, slips: &mut Vec<Slip>) -> Vec<Mapping<'t>> {
    let Some(entry) = document.entry(key) else { return Vec::new() };
    let YamlValue::List(nodes) = &entry.node.value else {
        let kind = SlipKind::WrongType { path: key.to_owned(), is: type_name(&entry.node.value), allowed: "a list" };
        slips.push(Slip::new(entry.node.position(), kind));
        return Vec::new();
    };
    nodes.iter().filter_map(Mapping::document).collect()
}

fn name_of(mapping: &Mapping<'_>) -> Option<String> {
    mapping.text("name", &mut Vec::new()).map(|name| name.value)
}
