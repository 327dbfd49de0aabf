//! `daymark init`: the configuration of a new setup, and the steps after it.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use daymark_config::Config;
use daymark_files::{StagedFile, error_chain};
use daymark_kubeadm::{MAX_FILE_BYTES, Severity, Slip};

use super::{Failure, Outcome, block_on, keygen, socket_address};
use crate::init::{
    APISERVER_PORT, CA_NAME, CONFIG_NAME, ClusterSource, HostList, KEY_NAME, NamedAddresses, NewSetup, PoolEndpoint,
    Publishing, SourceCa, cluster_info,
};

/// The most slips that are shown. A file of kubeadm has a few dozen lines.
const MAX_SLIPS: usize = 50;
/// The CA that kubeadm makes.
const KUBEADM_CA: &str = "/etc/kubernetes/pki/ca.crt";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Take what is known from a configuration of kubeadm, a kubeconfig, or the apiserver at an address
    #[arg(long, value_name = "FILE|ADDRESS[:PORT]")]
    from: Option<PathBuf>,
    /// The name of the pool, and the port of its apiservers if it is not 6443: kubeadm's controlPlaneEndpoint
    #[arg(long, value_name = "NAME[:PORT]", required_unless_present = "from")]
    pool: Option<PoolEndpoint>,
    /// A control-plane node and its addresses; may be repeated
    #[arg(long, value_name = "NODE=ADDRESS[,ADDRESS]", required_unless_present = "from")]
    node: Vec<NamedAddresses>,
    /// The CA of the apiservers' certificates, at its path on the hosts: by default the one of `--from`, or kubeadm's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The hosts that serve the name, with their addresses; three tolerate the loss of one
    #[arg(long, value_name = "HOST=ADDRESS,…", required_unless_present = "cloudflare", conflicts_with = "cloudflare")]
    hosts: Option<HostList>,
    /// Publish through records of this zone at Cloudflare instead
    #[arg(long, value_name = "ZONE")]
    cloudflare: Option<String>,
    /// Write the configuration of kubeadm that matches, with the names and addresses that the certificates need
    #[arg(long, value_name = "FILE")]
    kubeadm_out: Option<PathBuf>,
    /// The directory to write to
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Replace files that exist. A gossip key that exists stays
    #[arg(long)]
    overwrite: bool,
}

pub(super) fn init(arguments: &Arguments) -> Outcome {
    let source = arguments.from.as_deref().map(read).transpose()?.unwrap_or_default();
    let errors = source.errors();
    if let (Some(from), false) = (&arguments.from, errors.is_empty()) {
        return Err(Failure::Usage(shown(from, errors.into_iter())));
    }
    let setup = setup(arguments, &source)?;
    let text = setup.configuration();
    check(&setup, &text)?;
    let mut files = vec![NewFile { path: arguments.out.join(CONFIG_NAME), content: text }];
    if let Some(SourceCa::Pem(pem)) = source.ca.as_ref().filter(|_| arguments.ca.is_none()) {
        files.push(NewFile { path: arguments.out.join(CA_NAME), content: String::from_utf8_lossy(pem).into_owned() });
    }
    let kubeadm = arguments.kubeadm_out.as_ref().and_then(|path| Some((path, source.kubeadm_file(&setup)?)));
    files.extend(kubeadm.map(|(path, content)| NewFile { path: path.clone(), content }));
    let written = write(arguments, &setup, &files)?;
    let slips = source.slips(&setup);
    let notes = match &arguments.from {
        Some(from) if !slips.is_empty() => format!("{}\n\n", shown(from, slips.iter())),
        _ => String::new(),
    };
    Ok(format!("Written: {}\n\n{notes}{}", written.join(", "), setup.next_steps(arguments.kubeadm_out.as_deref())))
}

/// A file to write.
struct NewFile {
    path: PathBuf,
    content: String,
}

fn setup(arguments: &Arguments, source: &ClusterSource) -> Result<NewSetup, Failure> {
    let needed = |flag: &str, what: &str| {
        Failure::Usage(format!(
            "{flag} is needed, because {} names {what}",
            arguments.from.as_deref().unwrap_or(Path::new("")).display()
        ))
    };
    let pool = arguments.pool.clone().or_else(|| source.pool.clone());
    let nodes = if arguments.node.is_empty() { source.nodes.clone() } else { arguments.node.clone() };
    if nodes.is_empty() {
        return Err(needed("--node kube-cp-1=10.10.1.1, one for each node,", "no node"));
    }
    let ca = arguments.ca.clone().unwrap_or_else(|| match &source.ca {
        Some(SourceCa::Pem(_)) => CA_NAME.into(),
        Some(SourceCa::File(path)) => path.clone(),
        None => KUBEADM_CA.into(),
    });
    let publishing = match &arguments.cloudflare {
        Some(zone) => Publishing::Cloudflare { zone: zone.clone() },
        None => Publishing::Hosts(arguments.hosts.clone().unwrap_or_default().0),
    };
    Ok(NewSetup {
        pool: pool.ok_or_else(|| needed("--pool lb.kube-cp.com", "no endpoint by a name"))?,
        nodes,
        ca,
        publishing,
    })
}

/// Reads a file, or asks the apiserver at an address.
fn read(from: &Path) -> Result<ClusterSource, Failure> {
    let shown = from.display();
    let failed = |error: String| Failure::Usage(format!("{shown}: {error}"));
    if let Some(address) = from.to_str().and_then(apiserver) {
        let text = block_on(async { cluster_info(address).await.map_err(|error| Failure::Run(error_chain(&error))) })?;
        return ClusterSource::read(&text, Path::new("")).map_err(|error| failed(error_chain(&error)));
    }
    let length = fs::metadata(from).map_err(|error| failed(error.to_string()))?.len();
    if length > MAX_FILE_BYTES as u64 {
        return Err(failed(format!("has {length} bytes; at most {MAX_FILE_BYTES} are allowed")));
    }
    let text = fs::read_to_string(from).map_err(|error| failed(error.to_string()))?;
    let dir = from.parent().unwrap_or(Path::new(""));
    ClusterSource::read(&text, &std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned()))
        .map_err(|error| failed(error_chain(&error)))
}

/// The address in a text such as `https://10.10.1.1:6443`, `10.10.1.1` or `[2001:db8::1]:6443`.
fn apiserver(text: &str) -> Option<SocketAddr> {
    let text = text.strip_prefix("https://").unwrap_or(text).trim_end_matches('/');
    socket_address(text, APISERVER_PORT)
}

/// The slips of a file, one a line.
fn shown<'a>(file: &Path, slips: impl ExactSizeIterator<Item = &'a Slip>) -> String {
    let count = slips.len();
    let mut lines: Vec<String> = slips
        .take(MAX_SLIPS)
        .map(|slip| {
            let kind = if slip.severity() == Severity::Error { "error" } else { "warning" };
            format!("{kind}: {}: {slip}", file.display())
        })
        .collect();
    if count > MAX_SLIPS {
        lines.push(format!("and {} more", count - MAX_SLIPS));
    }
    lines.join("\n")
}

/// Writes the files, none of which exists, and the key. Returns their paths.
fn write(arguments: &Arguments, setup: &NewSetup, files: &[NewFile]) -> Result<Vec<String>, Failure> {
    if let Some(existing) = files.iter().find(|file| !arguments.overwrite && file.path.exists()) {
        let path = existing.path.display();
        return Err(Failure::Usage(format!("{path} exists and stays as it is; --overwrite replaces it")));
    }
    let failed =
        |path: &Path, error: &io::Error| Failure::Run(format!("{} cannot be written: {error}", path.display()));
    fs::create_dir_all(&arguments.out).map_err(|error| failed(&arguments.out, &error))?;
    let key = arguments.out.join(KEY_NAME);
    let mut written = Vec::new();
    // A key that exists may be in use on other hosts already.
    if setup.needs_key() && !key.exists() {
        keygen::create_file(&key)?;
        written.push(key.display().to_string());
    }
    for NewFile { path, content } in files {
        let staged = StagedFile::shared(path, content.as_bytes());
        staged.and_then(StagedFile::replace).map_err(|error| failed(path, &error))?;
        written.push(path.display().to_string());
    }
    Ok(written)
}

/// Reads the configuration as `check` would, without the files that it names.
fn check(setup: &NewSetup, text: &str) -> Result<(), Failure> {
    let own = setup.hosts().first().filter(|_| setup.needs_key()).map(|host| host.name.as_str());
    Ok(Config::parse_former(text, Path::new("the configuration of these flags"), own, true).map(|_| ())?)
}
