//! Writes the `ClusterConfiguration` that matches a cluster.

use super::api::KubeadmApi;
use super::cert_sans;
use super::cluster::{ClusterConfiguration, Etcd, ExternalEtcd};
use super::endpoint::DEFAULT_PORT;
use super::expected::ExpectedCluster;
use super::position::WithPosition;

/// The file of kubeadm for a cluster, with a comment for each choice. `base` gives what Daymark does not know: the version and
/// the name of the cluster, its networks, and an external etcd.
///
/// Its API is the newest that the release of kubeadm reads. A port other than 6443 adds an `InitConfiguration` with `bindPort`,
/// because the port of a name is that of the apiservers themselves.
pub fn write(expected: &ExpectedCluster, base: Option<&ClusterConfiguration>) -> String {
    let api = KubeadmApi::newest_of(expected.kubeadm);
    let name = expected.name.as_str();
    let mut file = format!(
        "# For the pool {name}, made by Daymark. The first node: kubeadm init --config FILE --upload-certs\n\
         apiVersion: {}\nkind: ClusterConfiguration\n",
        api.api_version()
    );
    if let Some(base) = base {
        field(&mut file, "kubernetesVersion", base.kubernetes_version.as_ref());
        field(&mut file, "clusterName", base.cluster_name.as_ref());
    }
    file.push_str(&format!(
        "# The name and the port of the pool. Certificates and kubeconfigs keep them, so no address is here.\n\
         controlPlaneEndpoint: {}\n",
        quoted_yaml(&format!("{name}:{}", expected.port))
    ));
    if let Some(base) = base {
        push_networking(&mut file, base);
    }
    let sans = cert_sans::required(expected);
    file.push_str(
        "apiServer:\n  # The name of the pool, and every node's name and addresses. kubeadm itself adds those of the node alone.\n",
    );
    push_list(&mut file, "  ", "certSANs", &sans);
    if let Some(Etcd::External(external)) = base.map(|base| &base.etcd) {
        push_external(&mut file, external);
    } else {
        file.push_str("etcd:\n  local:\n    # The same, so that a member is reached by any of them.\n");
        push_list(&mut file, "    ", "serverCertSANs", &sans);
        push_list(&mut file, "    ", "peerCertSANs", &sans);
    }
    if expected.port != DEFAULT_PORT {
        file.push_str(&format!(
            "---\n# The port of the pool is that of every apiserver. Further nodes need the same in their JoinConfiguration.\n\
             apiVersion: {}\nkind: InitConfiguration\nlocalAPIEndpoint:\n  bindPort: {}\n",
            api.api_version(),
            expected.port
        ));
    }
    file
}

fn push_networking(file: &mut String, base: &ClusterConfiguration) {
    let networking = &base.networking;
    let fields = [
        ("  podSubnet", &networking.pod_subnet),
        ("  serviceSubnet", &networking.service_subnet),
        ("  dnsDomain", &networking.dns_domain),
    ];
    if fields.iter().any(|(_, value)| value.is_some()) {
        file.push_str("networking:\n");
    }
    for (key, value) in fields {
        field(file, key, value.as_ref());
    }
}

fn push_external(file: &mut String, external: &ExternalEtcd) {
    file.push_str("etcd:\n  # Not kubeadm's, so its certificates are made elsewhere.\n  external:\n");
    let endpoints: Vec<String> = external.endpoints.iter().map(|endpoint| endpoint.value.clone()).collect();
    push_list(file, "    ", "endpoints", &endpoints);
    field(file, "    caFile", external.ca_file.as_ref());
    field(file, "    certFile", external.cert_file.as_ref());
    field(file, "    keyFile", external.key_file.as_ref());
}

fn field(file: &mut String, key: &str, value: Option<&WithPosition<String>>) {
    if let Some(value) = value {
        file.push_str(&format!("{key}: {}\n", quoted_yaml(&value.value)));
    }
}

fn push_list(file: &mut String, indent: &str, key: &str, entries: &[String]) {
    file.push_str(&format!("{indent}{key}:\n"));
    for entry in entries {
        file.push_str(&format!("{indent}- {}\n", quoted_yaml(entry)));
    }
}

/// A text in double quotes (YAML 1.2, section 5.7).
fn quoted_yaml(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            _ if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => quoted.push(c),
        }
    }
    quoted + "\""
}
