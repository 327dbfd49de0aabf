//! `daymark manifest`: files for what runs Daymark, made of its configuration.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use daymark_decision::HostName;

use super::{Failure, Outcome, Own};
use crate::config::Config;
use crate::manifest;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// A static Pod for /etc/kubernetes/manifests, so that the control-plane nodes are the hosts
    StaticPod(StaticPod),
    /// A unit of systemd that runs this binary, for hosts without the Debian package
    Systemd(Systemd),
}

#[derive(Debug, Args)]
struct StaticPod {
    /// The configuration file, at its path on the nodes
    #[arg(short, long, value_name = "FILE")]
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
    #[arg(short, long, value_name = "FILE", default_value = "/etc/daymark/daymark.yaml")]
    config: PathBuf,
    #[command(flatten)]
    own: Own,
}

pub(super) fn manifest(arguments: &Arguments) -> Outcome {
    match &arguments.kind {
        Kind::StaticPod(arguments) => static_pod(arguments),
        Kind::Systemd(arguments) => systemd(arguments),
    }
}

fn systemd(Systemd { config: file, own }: &Systemd) -> Outcome {
    let file = absolute(file)?;
    let config = Config::load(&file, own.name.as_deref())?;
    let binary = std::env::current_exe().map_err(|error| Failure::Run(format!("where is this binary? {error}")))?;
    let unit = manifest::unit(&binary, &file, config.state_dir.as_deref());
    unit.map_err(|fault| Failure::Usage(fault.to_string()))
}

fn absolute(file: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(file).map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))
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
    ];
    if let Some(peers) = &config.peers {
        let names: Vec<&str> = peers.membership.members.iter().map(HostName::as_str).collect();
        lines.push(format!("Each host has the name of its node, so the nodes have to be called {}.", names.join(", ")));
    }
    lines.iter().map(|line| format!("# {line}\n")).collect()
}
