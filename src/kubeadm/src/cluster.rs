//! The documents of kubeadm, with the fields that Daymark uses.

use super::api::KubeadmApi;
use super::mapping::Mapping;
use super::position::{FilePosition, WithPosition};
use super::slip::{Slip, SlipKind};
use super::tree::type_name;
use daymark_yaml::{YamlEntry, YamlValue};

/// A `ClusterConfiguration`. A field is `None` if it is not given or of a wrong type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterConfiguration {
    /// The position of the document.
    pub position: FilePosition,
    /// The version of the API; `None` for an unknown one.
    pub api: Option<WithPosition<KubeadmApi>>,
    /// The version of Kubernetes, or a label such as `stable-1`.
    pub kubernetes_version: Option<WithPosition<String>>,
    /// The name of the cluster.
    pub cluster_name: Option<WithPosition<String>>,
    /// The endpoint as it is written; [`KubeadmFile::endpoint`](super::KubeadmFile::endpoint) has its parts.
    pub control_plane_endpoint: Option<WithPosition<String>>,
    /// The networks of the cluster.
    pub networking: Networking,
    /// `apiServer.certSANs`.
    pub apiserver_sans: SanList,
    /// The members of etcd.
    pub etcd: Etcd,
}

/// The networks of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networking {
    /// The addresses of the pods, one CIDR or two with a comma.
    pub pod_subnet: Option<WithPosition<String>>,
    /// The addresses of the services, one CIDR or two with a comma.
    pub service_subnet: Option<WithPosition<String>>,
    /// The domain of the services.
    pub dns_domain: Option<WithPosition<String>>,
}

/// The names and addresses that a certificate has beyond those that kubeadm adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SanList {
    /// The position of its key, or of the nearest key above it.
    pub position: FilePosition,
    /// The entries; `None`: there is no such key.
    pub entries: Option<Vec<WithPosition<String>>>,
}

/// The members of etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Etcd {
    /// Each node of the control plane has one.
    Local {
        /// `etcd.local.serverCertSANs`.
        server_sans: SanList,
        /// `etcd.local.peerCertSANs`.
        peer_sans: SanList,
    },
    /// They are not kubeadm's.
    External(ExternalEtcd),
}

/// The way to an etcd that is not kubeadm's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExternalEtcd {
    /// The URLs of its members.
    pub endpoints: Vec<WithPosition<String>>,
    /// The file of its CA.
    pub ca_file: Option<WithPosition<String>>,
    /// The file of the client certificate.
    pub cert_file: Option<WithPosition<String>>,
    /// The file of the client's key.
    pub key_file: Option<WithPosition<String>>,
}

/// An `InitConfiguration`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitConfiguration {
    /// The position of the document.
    pub position: FilePosition,
    /// The version of the API; `None` for an unknown one.
    pub api: Option<WithPosition<KubeadmApi>>,
    /// The address of the first node's apiserver.
    pub advertise_address: Option<WithPosition<String>>,
    /// The port of the first node's apiserver.
    pub bind_port: Option<WithPosition<u16>>,
    /// The name of the first node.
    pub node_name: Option<WithPosition<String>>,
    /// The position of `certificateKey`, if it is given. Its value is a secret, and stays in the file.
    pub certificate_key: Option<FilePosition>,
}

impl ClusterConfiguration {
    pub(crate) fn read(document: &Mapping<'_>, api: Option<WithPosition<KubeadmApi>>, slips: &mut Vec<Slip>) -> Self {
        let networking = document.mapping("networking", slips);
        let mut networking_text = |key| networking.as_ref().and_then(|mapping| mapping.text(key, slips));
        let networking = Networking {
            pod_subnet: networking_text("podSubnet"),
            service_subnet: networking_text("serviceSubnet"),
            dns_domain: networking_text("dnsDomain"),
        };
        let apiserver = document.mapping("apiServer", slips);
        let controller_manager = document.mapping("controllerManager", slips);
        let scheduler = document.mapping("scheduler", slips);
        for component in [&apiserver, &controller_manager, &scheduler].into_iter().flatten() {
            check_arguments(component, "extraArgs", api.as_ref(), slips);
        }
        Self {
            position: document.position,
            kubernetes_version: document.text("kubernetesVersion", slips),
            cluster_name: document.text("clusterName", slips),
            control_plane_endpoint: document.text("controlPlaneEndpoint", slips),
            networking,
            apiserver_sans: SanList::read(apiserver.as_ref(), "certSANs", document.position, slips),
            etcd: Etcd::read(document, api.as_ref(), slips),
            api,
        }
    }
}

impl InitConfiguration {
    pub(crate) fn read(document: &Mapping<'_>, api: Option<WithPosition<KubeadmApi>>, slips: &mut Vec<Slip>) -> Self {
        let endpoint = document.mapping("localAPIEndpoint", slips);
        let registration = document.mapping("nodeRegistration", slips);
        if let Some(registration) = &registration {
            check_arguments(registration, "kubeletExtraArgs", api.as_ref(), slips);
        }
        Self {
            position: document.position,
            advertise_address: endpoint.as_ref().and_then(|mapping| mapping.text("advertiseAddress", slips)),
            bind_port: endpoint.as_ref().and_then(|mapping| mapping.port("bindPort", slips)),
            node_name: registration.as_ref().and_then(|mapping| mapping.text("name", slips)),
            certificate_key: document.entry("certificateKey").map(YamlEntry::position),
            api,
        }
    }
}

impl SanList {
    fn read(mapping: Option<&Mapping<'_>>, key: &str, above: FilePosition, slips: &mut Vec<Slip>) -> Self {
        match mapping.and_then(|mapping| mapping.texts(key, slips)) {
            Some(list) => Self { position: list.position, entries: Some(list.value) },
            None => Self { position: mapping.map_or(above, |mapping| mapping.position), entries: None },
        }
    }
}

impl Etcd {
    fn read(document: &Mapping<'_>, api: Option<&WithPosition<KubeadmApi>>, slips: &mut Vec<Slip>) -> Self {
        let etcd = document.mapping("etcd", slips);
        if let Some(external) = etcd.as_ref().and_then(|etcd| etcd.mapping("external", slips)) {
            return Self::External(ExternalEtcd {
                endpoints: external.texts("endpoints", slips).map(|list| list.value).unwrap_or_default(),
                ca_file: external.text("caFile", slips),
                cert_file: external.text("certFile", slips),
                key_file: external.text("keyFile", slips),
            });
        }
        let local = etcd.as_ref().and_then(|etcd| etcd.mapping("local", slips));
        if let Some(local) = &local {
            check_arguments(local, "extraArgs", api, slips);
        }
        let above = etcd.map_or(document.position, |etcd| etcd.position);
        Self::Local {
            server_sans: SanList::read(local.as_ref(), "serverCertSANs", above, slips),
            peer_sans: SanList::read(local.as_ref(), "peerCertSANs", above, slips),
        }
    }
}

/// Arguments are a list since v1beta4, and a mapping before.
fn check_arguments(mapping: &Mapping<'_>, key: &str, api: Option<&WithPosition<KubeadmApi>>, slips: &mut Vec<Slip>) {
    let Some(api) = api.map(|api| api.value) else { return };
    let Some(entry) = mapping.entry(key) else { return };
    let needed = match (&entry.node.value, api.has_listed_arguments()) {
        (YamlValue::Empty, _) | (YamlValue::List(_), true) | (YamlValue::Map(_), false) => return,
        (_, true) => "a list: write each argument as `- name: NAME` with `value: VALUE` below",
        (_, false) => "a mapping: write each argument as `NAME: VALUE`",
    };
    let kind = SlipKind::ExtraArgsForm { path: mapping.path_of(key), is: type_name(&entry.node.value), api, needed };
    slips.push(Slip::new(entry.position(), kind));
}
