//! `daymark init`: the configuration of a new setup, and the steps after it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use daymark_config::Config;
use daymark_files::StagedFile;

use super::keygen;
use super::{Failure, Outcome};
use crate::init::{CONFIG_NAME, HostList, KEY_NAME, NamedAddresses, NewSetup, PoolEndpoint, Publishing};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The name of the pool, and the port of its apiservers if it is not 6443: kubeadm's controlPlaneEndpoint
    #[arg(long, value_name = "NAME[:PORT]")]
    pool: PoolEndpoint,
    /// A control-plane node and its addresses; may be repeated
    #[arg(long, value_name = "NODE=ADDRESS[,ADDRESS]", required = true)]
    node: Vec<NamedAddresses>,
    /// The CA of the apiservers' certificates, at its path on the hosts
    #[arg(long, value_name = "FILE", default_value = "/etc/kubernetes/pki/ca.crt")]
    ca: PathBuf,
    /// The hosts that serve the name, with their addresses; three tolerate the loss of one
    #[arg(long, value_name = "HOST=ADDRESS,…", required_unless_present = "cloudflare", conflicts_with = "cloudflare")]
    hosts: Option<HostList>,
    /// Publish through records of this zone at Cloudflare instead
    #[arg(long, value_name = "ZONE")]
    cloudflare: Option<String>,
    /// The directory to write to
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Replace files that exist. A gossip key that exists stays
    #[arg(long)]
    overwrite: bool,
}

pub(super) fn init(arguments: Arguments) -> Outcome {
    let Arguments { pool, node: nodes, ca, hosts, cloudflare, out, overwrite } = arguments;
    let publishing = match cloudflare {
        Some(zone) => Publishing::Cloudflare { zone },
        None => Publishing::Hosts(hosts.unwrap_or_default().0),
    };
    let setup = NewSetup { pool, nodes, ca, publishing };
    let text = setup.configuration();
    let config = out.join(CONFIG_NAME);
    let key = out.join(KEY_NAME);
    check(&setup, &text)?;
    if !overwrite && config.exists() {
        let config = config.display();
        return Err(Failure::Usage(format!("{config} exists and stays as it is; --overwrite replaces it")));
    }
    let failed =
        |path: &Path, error: &io::Error| Failure::Run(format!("{} cannot be written: {error}", path.display()));
    fs::create_dir_all(&out).map_err(|error| failed(&out, &error))?;
    let mut written = vec![config.display().to_string()];
    // A key that exists may be in use on other hosts already.
    if setup.needs_key() && !key.exists() {
        keygen::create_file(&key)?;
        written.push(key.display().to_string());
    }
    StagedFile::shared(&config, text.as_bytes())
        .and_then(StagedFile::replace)
        .map_err(|error| failed(&config, &error))?;
    Ok(format!("Written: {}\n\n{}", written.join(", "), setup.next_steps()))
}

/// Reads the configuration as `check` would, without the files that it names.
fn check(setup: &NewSetup, text: &str) -> Result<(), Failure> {
    let own = setup.hosts().first().filter(|_| setup.needs_key()).map(|host| host.name.as_str());
    Ok(Config::parse_former(text, Path::new("the configuration of these flags"), own, true).map(|_| ())?)
}
