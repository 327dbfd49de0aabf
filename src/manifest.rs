//! The manifests that run Daymark: a static Pod for hosts that are the control-plane nodes themselves, a unit of systemd for
//! others, and the rights of a host in a cluster. This module writes no file.

mod rbac;
mod systemd;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Component, Path, PathBuf};

use daymark_cloudflare::TokenSource;
use daymark_config::{Config, ProviderConfig};
use serde_json::{Value, json};

pub use self::rbac::{Account, rbac, token};
pub use self::systemd::unit;

use crate::zones;

/// The error of a configuration for which no manifest can be made.
#[derive(Debug, thiserror::Error)]
pub enum NoManifest {
    /// A static Pod has no Secret to take a variable from.
    #[error(
        "providers[{0}].tokenVariable: a static Pod takes no variable from a Secret; `tokenFile` names a file on the node"
    )]
    Variable(usize),
    /// Files are mounted where they are.
    #[error("{0} is a relative path; an absolute path on the node is needed")]
    Relative(PathBuf),
    /// A mount would hide the files of the image at its path.
    #[error(
        "{0} cannot be mounted, because the binary of the image is below it; another directory is needed, such as \
         /etc/daymark"
    )]
    Hiding(PathBuf),
    /// The image is named otherwise.
    #[error("\"{0}\" is not the name of an image; a name such as registry.example.net/daymark:0.1.0 is needed")]
    Image(String),
}

/// The path of the binary in the image.
const BINARY: &str = "/usr/bin/daymark";

/// The user and the group of the processes of the image.
pub const USER: u32 = 65532;
/// The limit of the memory in a static Pod.
const MEMORY_LIMIT: &str = "128Mi";

/// The static Pod (<https://kubernetes.io/docs/tasks/configure-pod-container/static-pod/>) that runs this configuration
/// from the file of that path, which has to be on every node, as every file that it names.
///
/// The process is root, with no capability but `NET_BIND_SERVICE`. Root owns the directories that the kubelet makes on the node,
/// and the keys that nobody else may read.
pub fn static_pod(config: &Config, file: &Path, image: &str) -> Result<Value, NoManifest> {
    let is_of_a_name = |letter: char| letter.is_ascii_alphanumeric() || "._-/:@".contains(letter);
    if image.is_empty() || !image.chars().all(is_of_a_name) {
        return Err(NoManifest::Image(image.to_owned()));
    }
    let mut mounts = Vec::new();
    let mut volumes = Vec::new();
    for (number, Mount { path, kind, is_read_only }) in mounts_of(config, file)?.into_iter().enumerate() {
        let name = format!("files-{number}");
        mounts.push(json!({"name": name, "mountPath": path, "readOnly": is_read_only}));
        volumes.push(json!({"name": name, "hostPath": {"path": path, "type": kind}}));
    }
    let mut container = json!({
        "name": "daymark",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["run", "-c", file, "--log-format", "json"],
    });
    if config.peers.is_some() {
        let own = json!({"name": "DAYMARK_SELF", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}});
        container["env"] = json!([own]);
    }
    let admin = config.admin.listen;
    let get = |path: &str| json!({"host": reached(admin.ip()), "path": path, "port": admin.port()});
    // A stuck task fails /livez after 10 s, so the kubelet stops a stuck host within 20 s.
    container["livenessProbe"] =
        json!({"httpGet": get("/livez"), "periodSeconds": 4, "timeoutSeconds": 4, "failureThreshold": 2});
    container["readinessProbe"] = json!({"httpGet": get("/readyz"), "periodSeconds": 10, "timeoutSeconds": 5});
    container["resources"] = json!({"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": MEMORY_LIMIT}});
    container["securityContext"] = json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "runAsNonRoot": true,
        "runAsUser": USER,
        "runAsGroup": USER,
        // The file of the binary has this capability, for port 53.
        "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    });
    container["volumeMounts"] = mounts.into();
    let labels = json!({"app.kubernetes.io/name": "daymark", "tier": "control-plane"});
    Ok(json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "daymark", "namespace": "kube-system", "labels": labels},
        "spec": {
            "hostNetwork": true,
            // The name servers of the node: those of the cluster need the cluster.
            "dnsPolicy": "Default",
            "priorityClassName": "system-node-critical",
            "automountServiceAccountToken": false,
            // An orderly shutdown takes at most 8 s.
            "terminationGracePeriodSeconds": 10,
            "containers": [container],
            "volumes": volumes,
        },
    }))
}

/// A file or directory of the node that the container sees at the same path.
struct Mount {
    path: PathBuf,
    kind: &'static str,
    is_read_only: bool,
}

/// The mounts of the configuration. Its directory is mounted as a whole, so that the container sees a file that is replaced.
/// Each file elsewhere is mounted by itself, because a CA has its key beside it. The state is mounted too.
fn mounts_of(config: &Config, file: &Path) -> Result<Vec<Mount>, NoManifest> {
    if let Some(found) = tokens(config).find(|of| matches!(of.token, TokenSource::Environment(_))) {
        return Err(NoManifest::Variable(found.index));
    }
    let file = without_dots(file);
    let home = file.parent().unwrap_or(Path::new("/"));
    let mut mounts = vec![Mount { path: home.to_owned(), kind: "Directory", is_read_only: true }];
    let files: BTreeSet<PathBuf> = files(config).iter().map(|path| without_dots(path)).collect();
    let elsewhere = files.into_iter().filter(|path| !path.starts_with(home));
    mounts.extend(elsewhere.map(|path| Mount { path, kind: "File", is_read_only: true }));
    let state = config.state_dir.iter().map(|path| without_dots(path));
    mounts.extend(state.map(|path| Mount { path, kind: "DirectoryOrCreate", is_read_only: false }));
    for Mount { path, .. } in &mounts {
        if !path.is_absolute() {
            return Err(NoManifest::Relative(path.clone()));
        }
        if Path::new(BINARY).starts_with(path) {
            return Err(NoManifest::Hiding(path.clone()));
        }
    }
    Ok(mounts)
}

/// The files outside the directory of the configuration, which a static Pod sees as they are when it starts.
pub fn files_elsewhere(config: &Config, file: &Path) -> Vec<PathBuf> {
    let mounts = mounts_of(config, file).unwrap_or_default().into_iter();
    mounts.filter(|mount| mount.kind == "File").map(|mount| mount.path).collect()
}

/// The path without `.` and `..`, which Kubernetes takes in no path.
fn without_dots(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(clean.pop()),
            Component::CurDir => {}
            named => clean.push(named),
        }
    }
    clean
}

/// Every file that the configuration names, and every file that its zone file includes.
fn files(config: &Config) -> BTreeSet<PathBuf> {
    let mut files = zones::files(config);
    files.extend(config.files().into_iter().map(Path::to_owned));
    files
}

/// The token of a provider.
struct TokenOfProvider<'a> {
    /// The index of the provider in the configuration.
    index: usize,
    token: &'a TokenSource,
}

/// The token of each provider that has one.
fn tokens(config: &Config) -> impl Iterator<Item = TokenOfProvider<'_>> {
    config.providers.iter().enumerate().filter_map(|(index, provider)| match provider {
        ProviderConfig::Cloudflare(settings) => Some(TokenOfProvider { index, token: &settings.calls.token }),
        ProviderConfig::Authoritative(_) => None,
    })
}

/// The address at which the kubelet of the same node reaches a listener. A listener on `[::]` takes IPv4 too, which every node
/// has.
fn reached(listen: IpAddr) -> IpAddr {
    if listen.is_unspecified() { [127, 0, 0, 1].into() } else { listen }
}
