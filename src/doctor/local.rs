//! This machine: the processes that listen where Daymark wants to, and the permissions of its files.

pub(super) mod sockets;

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use daymark_cloudflare::TokenSource;
use daymark_config::{ADMIN_TOKEN, Config, PeerAddress, PoolConfig, ProviderConfig};
use daymark_probe::Auth;

use self::sockets::{ListenSocket, listening};
use super::diagnosis::{Diagnosis, DoctorSection, Symptom};
use crate::zones;

/// The stub listener of systemd-resolved answers here (systemd-resolved.service(8)).
const STUB: &str = "127.0.0.53";
/// The name of the process of systemd-resolved, as the kernel cuts it.
const RESOLVED: &str = "systemd-resolve";
/// The name of Daymark's own process.
const DAYMARK: &str = "daymark";

/// The sockets and files of this machine.
#[derive(Clone, Debug, Default)]
pub(super) struct LocalSeen {
    /// The sockets that listen; `None` if the system does not say.
    pub(super) sockets: Option<Vec<ListenSocket>>,
    /// True if the configuration of systemd-resolved switches its stub listener off.
    pub(super) is_stub_off: bool,
    /// True if this machine has an address of a name server or of a member, or a state directory: it is meant to run Daymark.
    pub(super) is_host: bool,
    /// The files that the configuration names.
    pub(super) files: Vec<FileSeen>,
    /// The state directory.
    pub(super) state_dir: Option<FileSeen>,
}

/// A file of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileSeen {
    pub(super) path: PathBuf,
    /// Its use, such as `gossip key`.
    pub(super) role: &'static str,
    /// True if only its owner and its group may read it.
    pub(super) is_secret: bool,
    pub(super) access: FileAccess,
}

/// The access to a file or directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FileAccess {
    /// It does not exist.
    Missing,
    /// The system refuses to look at it, or to read it.
    Refused(String),
    /// It exists.
    Known {
        /// The permissions, as in `chmod`.
        mode: u32,
        /// True for a directory.
        is_dir: bool,
    },
}

/// Looks at sockets and files. It blocks.
pub(super) fn look(config: &Config) -> LocalSeen {
    LocalSeen {
        sockets: listening(Path::new("/proc")),
        is_stub_off: is_stub_off(Path::new("/etc/systemd")),
        is_host: is_host(config),
        files: files(config),
        state_dir: config.state_dir.as_deref().map(|dir| FileSeen {
            path: dir.to_owned(),
            role: "state directory",
            is_secret: false,
            access: access(dir, false),
        }),
    }
}

/// True if this machine has an address of a name server or of a member, or the state directory of a Daymark that ran here.
fn is_host(config: &Config) -> bool {
    let servers = zones::authoritative(config).into_iter().flat_map(|authoritative| &authoritative.nameservers);
    let members = config.peers.iter().flat_map(|peers| peers.addresses.values()).filter_map(|address| match address {
        PeerAddress::Ip(address) => Some(address.ip()),
        PeerAddress::Name { .. } => None,
    });
    let mut addresses = servers.flat_map(|server| server.addresses.iter().copied()).chain(members);
    // The system lets a socket have only an address of this machine.
    addresses.any(|address| UdpSocket::bind((address, 0)).is_ok())
        || config.state_dir.as_deref().is_some_and(Path::exists)
}

/// True if a file of systemd-resolved has `DNSStubListener=no`; later files of `resolved.conf.d` count more.
fn is_stub_off(systemd: &Path) -> bool {
    let mut files = vec![systemd.join("resolved.conf")];
    let dropped = fs::read_dir(systemd.join("resolved.conf.d"));
    let mut dropped: Vec<PathBuf> = dropped.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    dropped.sort();
    files.append(&mut dropped);
    let mut is_off = false;
    for text in files.iter().filter_map(|file| fs::read_to_string(file).ok()) {
        for value in text.lines().filter_map(|line| line.trim().strip_prefix("DNSStubListener=")) {
            is_off = matches!(value.trim(), "no" | "false" | "0" | "off");
        }
    }
    is_off
}

/// The files of a configuration with their use.
fn files(config: &Config) -> Vec<FileSeen> {
    let mut files = Vec::new();
    let mut add = |path: &Path, role, is_secret| {
        files.push(FileSeen { path: path.to_owned(), role, is_secret, access: access(path, true) });
    };
    for PoolConfig { probe, .. } in &config.pools {
        if let Some(ca) = probe.trust.file() {
            add(ca, "CA", false);
        }
        match &probe.auth {
            Some(Auth::ClientCertificate { certificate, key }) => {
                add(certificate, "client certificate", false);
                add(key, "client key", true);
            }
            Some(Auth::TokenFile(token)) => add(token, "token of the probes", true),
            None => {}
        }
    }
    for provider in &config.providers {
        match provider {
            ProviderConfig::Cloudflare(settings) => {
                if let TokenSource::File(token) = &settings.calls.token {
                    add(token, "Cloudflare token", true);
                }
            }
            ProviderConfig::Authoritative(authoritative) => {
                if let Some(file) = &authoritative.zone_file {
                    add(file, "zone file", false);
                }
                for key in authoritative.dnssec.iter().flat_map(|dnssec| &dnssec.keys) {
                    add(&key.file, "DNSSEC key", true);
                }
            }
        }
    }
    if let Some(peers) = &config.peers {
        add(&peers.key_file, "gossip key", true);
    }
    match (&config.admin.token_file, &config.state_dir) {
        (Some(token), _) => add(token, "admin token", true),
        // Daymark makes this one at its first start.
        (None, Some(dir)) if dir.join(ADMIN_TOKEN).exists() => add(&dir.join(ADMIN_TOKEN), "admin token", true),
        (None, _) => {}
    }
    files.dedup();
    files
}

fn access(path: &Path, is_read: bool) -> FileAccess {
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return FileAccess::Missing,
        Err(error) => return FileAccess::Refused(error.to_string()),
    };
    if is_read
        && metadata.is_file()
        && let Err(error) = fs::File::open(path)
    {
        return FileAccess::Refused(error.to_string());
    }
    FileAccess::Known { mode: metadata.permissions().mode() & 0o7777, is_dir: metadata.is_dir() }
}

/// Judges what was seen of this machine.
pub(super) fn judge(config: &Config, seen: &LocalSeen) -> Vec<Diagnosis> {
    let mut diagnoses = Vec::new();
    for listen in zones::authoritative(config).into_iter().flat_map(|authoritative| &authoritative.listen) {
        diagnoses.push(judge_listen(*listen, seen));
    }
    let faults: Vec<Diagnosis> = seen.files.iter().filter_map(judge_file).chain(state_dir(seen)).collect();
    if faults.is_empty() {
        let message = format!("{} files and the state directory have the right permissions", seen.files.len());
        diagnoses.push(Diagnosis::ok(DoctorSection::Local, "files", message));
    }
    diagnoses.extend(faults);
    diagnoses
}

fn judge_listen(listen: SocketAddr, seen: &LocalSeen) -> Diagnosis {
    let subject = format!("listen {listen}");
    let Some(sockets) = &seen.sockets else {
        let message = "the sockets of this machine cannot be seen without /proc; look at `ss -lnptu` by hand";
        return Diagnosis::warn(DoctorSection::Local, subject, Symptom::Incomplete, message);
    };
    let conflicting: Vec<&ListenSocket> = sockets.iter().filter(|socket| socket.conflicts_with(listen)).collect();
    if conflicting.iter().any(|socket| socket.process.as_deref() == Some(DAYMARK)) {
        return Diagnosis::ok(DoctorSection::Local, subject, "Daymark listens");
    }
    let Some(taken) = conflicting.iter().max_by_key(|socket| socket.process.is_some()) else {
        return Diagnosis::ok(DoctorSection::Local, subject, "no other process has this address");
    };
    let ListenSocket { transport, address, process } = taken;
    let message = match process.as_deref() {
        Some(RESOLVED) => resolved_message(transport, *address, seen),
        Some(name) => format!(
            "the process {name} has {address} by {transport}, so Daymark cannot listen; stop that process, or give `listen` an \
             address that it does not have"
        ),
        None => format!(
            "a process of another user has {address} by {transport}; run `daymark doctor` as root to see if that is Daymark"
        ),
    };
    if seen.is_host && process.is_some() {
        return Diagnosis::fail(DoctorSection::Local, subject, Symptom::AddressTaken, message);
    }
    // The machine of an operator, or a host with other addresses than clients use.
    Diagnosis::warn(DoctorSection::Local, subject, Symptom::AddressTaken, message)
}

fn resolved_message(transport: &str, address: SocketAddr, seen: &LocalSeen) -> String {
    let mend = if seen.is_stub_off {
        "its configuration has `DNSStubListener=no` already, so run `systemctl restart systemd-resolved`"
    } else {
        "set `DNSStubListener=no` in /etc/systemd/resolved.conf, let /etc/resolv.conf point to \
         /run/systemd/resolve/resolv.conf, and run `systemctl restart systemd-resolved`; or give `listen` the address of an \
         interface"
    };
    let stub = if address.ip().to_string() == STUB { "its stub listener" } else { "a listener" };
    format!("systemd-resolved has {stub} on {address} by {transport}, so Daymark cannot listen; {mend}")
}

fn judge_file(file: &FileSeen) -> Option<Diagnosis> {
    let FileSeen { path, role, is_secret, access } = file;
    let shown = path.display();
    let message = match access {
        FileAccess::Missing => {
            format!("the {role} does not exist; put it there, or change the path in the configuration")
        }
        FileAccess::Refused(error) => {
            format!(
                "the {role} cannot be read ({error}); run `daymark doctor` as the user of Daymark or as root, and compare its owner"
            )
        }
        FileAccess::Known { is_dir: true, .. } => {
            format!("the {role} is a directory; a file is needed, so change the path")
        }
        FileAccess::Known { mode, .. } if *is_secret && mode & 0o007 != 0 => {
            format!("the {role} is open to every user of this machine (mode {mode:o}); run `chmod o-rwx {shown}`")
        }
        FileAccess::Known { mode, .. } if mode & 0o002 != 0 => {
            format!("every user of this machine may write the {role} (mode {mode:o}); run `chmod o-w {shown}`")
        }
        FileAccess::Known { .. } => return None,
    };
    Some(Diagnosis::fail(DoctorSection::Local, shown.to_string(), Symptom::FileAccess, message))
}

fn state_dir(seen: &LocalSeen) -> Option<Diagnosis> {
    let FileSeen { path, access, .. } = seen.state_dir.as_ref()?;
    let shown = path.display();
    let fail =
        |message: String| Some(Diagnosis::fail(DoctorSection::Local, shown.to_string(), Symptom::FileAccess, message));
    match access {
        FileAccess::Refused(error) => {
            let message = format!(
                "the state directory cannot be looked at ({error}); run `daymark doctor` as the user of Daymark or as root"
            );
            Some(Diagnosis::warn(DoctorSection::Local, shown.to_string(), Symptom::FileAccess, message))
        }
        FileAccess::Known { is_dir: false, .. } => {
            fail("the state directory is a file; remove it, or change `stateDir`".to_owned())
        }
        FileAccess::Known { mode, .. } if mode & 0o002 != 0 => fail(format!(
            "every user of this machine may write the state directory (mode {mode:o}); run `chmod o-w {shown}`"
        )),
        // Daymark makes a missing one at its first start.
        FileAccess::Missing | FileAccess::Known { .. } => None,
    }
}
