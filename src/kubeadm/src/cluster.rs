//! The documents of kubeadm, as far as Daymark uses them.

use super::api::KubeadmApi;
use super::position::{FilePosition, Located};
use super::section::Section;
use super::slip::{Slip, SlipKind};
use super::tree::TreeValue;

/// A ClusterConfiguration. A field is `None` if it is not given or of a wrong type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterConfiguration {
    /// The position of the document.
    pub position: FilePosition,
    /// The version of the API; `None` for an unknown one.
    pub api: Option<Located<KubeadmApi>>,
    /// The version of Kubernetes, or a label such as `stable-1`.
    pub kubernetes_version: Option<Located<String>>,
    /// The name of the cluster.
    pub cluster_name: Option<Located<String>>,
    /// The endpoint as it is written; [`KubeadmFile::endpoint`](super::KubeadmFile::endpoint) has its parts.
    pub control_plane_endpoint: Option<Located<String>>,
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
    pub pod_subnet: Option<Located<String>>,
    /// The addresses of the services, one CIDR or two with a comma.
    pub service_subnet: Option<Located<String>>,
    /// The domain of the services.
    pub dns_domain: Option<Located<String>>,
}

/// The names and addresses that a certificate has beyond those that kubeadm adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SanList {
    /// The position of its key, or of the nearest key above it.
    pub position: FilePosition,
    /// The entries; `None`: there is no such key.
    pub entries: Option<Vec<Located<String>>>,
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
    pub endpoints: Vec<Located<String>>,
    /// The file of its CA.
    pub ca_file: Option<Located<String>>,
    /// The file of the client certificate.
    pub cert_file: Option<Located<String>>,
    /// The file of the client's key.
    pub key_file: Option<Located<String>>,
}

/// An InitConfiguration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitConfiguration {
    /// The position of the document.
    pub position: FilePosition,
    /// The version of the API; `None` for an unknown one.
    pub api: Option<Located<KubeadmApi>>,
    /// The address of the first node's apiserver.
    pub advertise_address: Option<Located<String>>,
    /// The port of the first node's apiserver.
    pub bind_port: Option<Located<u16>>,
    /// The name of the first node.
    pub node_name: Option<Located<String>>,
    /// The position of `certificateKey`, if it is given. Its value is a secret, and stays in the file.
    pub certificate_key: Option<FilePosition>,
}

impl ClusterConfiguration {
    pub(crate) fn read(document: &Section<'_>, api: Option<Located<KubeadmApi>>, slips: &mut Vec<Slip>) -> Self {
        let networking = document.section("networking", slips);
        let mut networking_text = |key| networking.as_ref().and_then(|section| section.text(key, slips));
        let networking = Networking {
            pod_subnet: networking_text("podSubnet"),
            service_subnet: networking_text("serviceSubnet"),
            dns_domain: networking_text("dnsDomain"),
        };
        let apiserver = document.section("apiServer", slips);
        let controller_manager = document.section("controllerManager", slips);
        let scheduler = document.section("scheduler", slips);
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
    pub(crate) fn read(document: &Section<'_>, api: Option<Located<KubeadmApi>>, slips: &mut Vec<Slip>) -> Self {
        let endpoint = document.section("localAPIEndpoint", slips);
        let registration = document.section("nodeRegistration", slips);
        if let Some(registration) = &registration {
            check_arguments(registration, "kubeletExtraArgs", api.as_ref(), slips);
        }
        Self {
            position: document.position,
            advertise_address: endpoint.as_ref().and_then(|section| section.text("advertiseAddress", slips)),
            bind_port: endpoint.as_ref().and_then(|section| section.port("bindPort", slips)),
            node_name: registration.as_ref().and_then(|section| section.text("name", slips)),
            certificate_key: document.entry("certificateKey").map(|entry| entry.position),
            api,
        }
    }
}

impl SanList {
    fn read(section: Option<&Section<'_>>, key: &str, above: FilePosition, slips: &mut Vec<Slip>) -> Self {
        match section.and_then(|section| section.texts(key, slips)) {
            Some(list) => Self { position: list.position, entries: Some(list.value) },
            None => Self { position: section.map_or(above, |section| section.position), entries: None },
        }
    }
}

impl Etcd {
    fn read(document: &Section<'_>, api: Option<&Located<KubeadmApi>>, slips: &mut Vec<Slip>) -> Self {
        let etcd = document.section("etcd", slips);
        if let Some(external) = etcd.as_ref().and_then(|etcd| etcd.section("external", slips)) {
            return Self::External(ExternalEtcd {
                endpoints: external.texts("endpoints", slips).map(|list| list.value).unwrap_or_default(),
                ca_file: external.text("caFile", slips),
                cert_file: external.text("certFile", slips),
                key_file: external.text("keyFile", slips),
            });
        }
        let local = etcd.as_ref().and_then(|etcd| etcd.section("local", slips));
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
fn check_arguments(section: &Section<'_>, key: &str, api: Option<&Located<KubeadmApi>>, slips: &mut Vec<Slip>) {
    let Some(api) = api.map(|api| api.value) else { return };
    let Some(entry) = section.entry(key) else { return };
    let needed = match (&entry.node.value, api.has_listed_arguments()) {
        (TreeValue::Empty, _) | (TreeValue::List(_), true) | (TreeValue::Map(_), false) => return,
        (_, true) => "a list: write each argument as `- name: NAME` with `value: VALUE` below",
        (_, false) => "a mapping: write each argument as `NAME: VALUE`",
    };
    let kind = SlipKind::ExtraArgsForm { path: section.path_of(key), is: entry.node.value.type_name(), api, needed };
    slips.push(Slip::new(entry.position, kind));
}
