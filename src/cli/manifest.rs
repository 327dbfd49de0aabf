//! `daymark manifest`: files for what runs Daymark, made of its configuration.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use daymark_config::Config;
use daymark_decision::HostName;

use super::{CONFIG_FILE, Failure, Outcome, Own};
use crate::manifest::{self, Account, USER};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    kind: ManifestKind,
}

#[derive(Debug, Subcommand)]
enum ManifestKind {
    /// A static Pod for /etc/kubernetes/manifests, so that the control-plane nodes are the hosts
    StaticPod(StaticPod),
    /// A unit of systemd that runs this binary, for hosts without the Debian package
    Systemd(Systemd),
    /// The rights that the configuration needs: to read the nodes, and /readyz if it is not open to everyone
    Rbac(Rbac),
}

#[derive(Debug, Args)]
struct StaticPod {
    /// The configuration file, at its path on the nodes
    #[arg(short, long, value_name = "FILE", default_value = CONFIG_FILE)]
    config: PathBuf,
    #[command(flatten)]
    own: Own,
    /// The container image, as the nodes know it
    #[arg(long, default_value = concat!("localhost/daymark:", env!("CARGO_PKG_VERSION")))]
    image: String,
}

#[derive(Debug, Args)]
struct Systemd {
    /// The configuration file
    #[arg(short, long, value_name = "FILE", default_value = CONFIG_FILE)]
    config: PathBuf,
    #[command(flatten)]
    own: Own,
}

#[derive(Debug, Args)]
struct Rbac {
    /// The configuration file
    #[arg(short, long, value_name = "FILE", default_value = CONFIG_FILE)]
    config: PathBuf,
    #[command(flatten)]
    own: Own,
    /// The name of the service account and of its other objects
    #[arg(long, default_value = "daymark", value_parser = label)]
    name: String,
    /// The namespace of the account
    #[arg(long, default_value = "kube-system", value_parser = label)]
    namespace: String,
    /// Add a Secret with a token that never expires, for a Daymark outside the cluster
    #[arg(long)]
    token: bool,
}

/// The error of a text that is no name for a namespace.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name of 1 to 63 lower-case letters, digits and inner hyphens is needed")]
struct NotALabel;

/// A name as Kubernetes takes it for a namespace (RFC 1123, section 2.1).
fn label(text: &str) -> Result<String, NotALabel> {
    let is_of_one = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    let is_one = (1..=63).contains(&text.len()) && text.chars().all(is_of_one);
    if is_one && !text.starts_with('-') && !text.ends_with('-') {
        return Ok(text.to_owned());
    }
    Err(NotALabel)
}

pub(super) fn manifest(arguments: &Arguments) -> Outcome {
    match &arguments.kind {
        ManifestKind::StaticPod(arguments) => static_pod(arguments),
        ManifestKind::Systemd(arguments) => systemd(arguments),
        ManifestKind::Rbac(arguments) => rbac(arguments),
    }
}

fn systemd(Systemd { config: file, own }: &Systemd) -> Outcome {
    let file = absolute(file)?;
    let config = Config::load(&file, own.name.as_deref())?;
    let binary = std::env::current_exe()
        .map_err(|error| Failure::Run(format!("the path of this program cannot be read: {error}")))?;
    manifest::unit(&binary, &file, &config).map_err(|fault| Failure::Usage(fault.to_string()))
}

fn absolute(file: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(file).map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))
}

fn rbac(Rbac { config: file, own, name, namespace, token }: &Rbac) -> Outcome {
    // The rights are needed before the token exists.
    let config = Config::load_alone(file, own.any(file).as_deref())?;
    let account = Account { name: name.clone(), namespace: namespace.clone() };
    let mut objects = manifest::rbac(&config, &account);
    if objects.is_empty() {
        let message = "no pool has `nodes.fromKubernetes` or `probe.auth`, so there is nothing to allow";
        return Err(Failure::Usage(config.finding("pools", "", message.to_owned()).to_string()));
    }
    objects.extend(token.then(|| manifest::token(&account)));
    let mut text = rbac_preface(&account, *token);
    for object in &objects {
        text.push_str("---\n");
        text.push_str(&serde_saphyr::to_string(object).map_err(|error| Failure::Run(error.to_string()))?);
    }
    Ok(text)
}

fn rbac_preface(Account { name, namespace }: &Account, token: bool) -> String {
    let mut text =
        "# Made by `daymark manifest rbac`, for `kubectl apply -f`. It allows what the configuration needs, no more.\n"
            .to_owned();
    if token {
        let secret =
            format!("kubectl -n {namespace} get secret {name}-token -o jsonpath='{{.data.token}}' | base64 -d");
        text.push_str(&format!("# The token for `probe.auth.tokenFile`: {secret}\n"));
    }
    text
}

fn static_pod(StaticPod { config: file, own, image }: &StaticPod) -> Outcome {
    let file = absolute(file)?;
    let config = Config::load(&file, own.name.as_deref())?;
    let pod = manifest::static_pod(&config, &file, image).map_err(|fault| Failure::Usage(fault.to_string()))?;
    let yaml = serde_saphyr::to_string(&pod).map_err(|error| Failure::Run(error.to_string()))?;
    Ok(format!("{}{yaml}", preface(&config, &file)))
}

fn preface(config: &Config, file: &Path) -> String {
    let mut lines = vec![
        "Made by `daymark manifest static-pod`. Copy it to /etc/kubernetes/manifests on every control-plane node, with"
            .to_owned(),
        format!("{} and every file that it names at the same paths.", file.display()),
        format!("It runs as user {USER}, who must be able to read these files. Make the state directory beforehand:"),
    ];
    let state = config.state_dir.iter();
    lines.extend(state.map(|dir| format!("  install -d -o {USER} -g {USER} -m 750 {}", dir.display())));
    if let Some(peers) = &config.peers {
        let names: Vec<&str> = peers.membership.members.iter().map(HostName::as_str).collect();
        lines.push(format!("Each host has the name of its node, so the nodes must be called {}.", names.join(", ")));
    }
    let elsewhere = manifest::files_elsewhere(config, file);
    if !elsewhere.is_empty() {
        let files: Vec<_> = elsewhere.iter().map(|path| path.display().to_string()).collect();
        lines.push(format!("The Pod reads these files once, when it starts: {}.", files.join(", ")));
        lines.push(
            "Keep a file that is replaced later, such as a token, in the directory of the configuration.".to_owned(),
        );
    }
    lines.iter().map(|line| format!("# {line}\n")).collect()
}
