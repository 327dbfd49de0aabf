//! The sockets that listen on this machine, with their processes, from `/proc` (`proc(5)`).

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// The state of a TCP socket that listens (`TCP_LISTEN` in `include/net/tcp_states.h` of Linux).
const TCP_LISTEN: &str = "0A";
/// The state of a UDP socket that is not connected (`TCP_CLOSE`).
const UDP_UNCONNECTED: &str = "07";

/// A socket that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::doctor) struct ListenSocket {
    /// `UDP` or `TCP`.
    pub(in crate::doctor) transport: &'static str,
    /// Its address.
    pub(in crate::doctor) address: SocketAddr,
    /// The name of its process; `None` if this user may not see it.
    pub(in crate::doctor) process: Option<String>,
}

impl ListenSocket {
    /// True if the system refuses to bind `listen` because of this socket.
    pub(super) fn conflicts_with(&self, listen: SocketAddr) -> bool {
        let own = self.address.ip();
        let other = listen.ip();
        let is_any = own.is_unspecified() || other.is_unspecified();
        // `[::]` has IPv4 as well, and 0.0.0.0 has no IPv6.
        let shares_family = own.is_ipv4() == other.is_ipv4()
            || own == IpAddr::from(Ipv6Addr::UNSPECIFIED)
            || other == IpAddr::from(Ipv6Addr::UNSPECIFIED);
        self.address.port() == listen.port() && (own == other || (is_any && shares_family))
    }
}

/// A socket in a table of the kernel.
struct TableEntry {
    transport: &'static str,
    address: SocketAddr,
    inode: u64,
}

/// Every socket that listens; `None` if the tables of the kernel cannot be read.
pub(in crate::doctor) fn listening(proc: &Path) -> Option<Vec<ListenSocket>> {
    let mut entries = Vec::new();
    for (file, transport, state) in [
        ("udp", "UDP", UDP_UNCONNECTED),
        ("udp6", "UDP", UDP_UNCONNECTED),
        ("tcp", "TCP", TCP_LISTEN),
        ("tcp6", "TCP", TCP_LISTEN),
    ] {
        match fs::read_to_string(proc.join("net").join(file)) {
            Ok(table) => entries.extend(table.lines().skip(1).filter_map(|line| entry(line, transport, state))),
            // Without IPv6 there is no table of it.
            Err(_) if file.ends_with('6') => {}
            Err(_) => return None,
        }
    }
    let processes = processes(proc);
    let socket = |TableEntry { transport, address, inode }| ListenSocket {
        transport,
        address,
        process: processes.get(&inode).cloned(),
    };
    Some(entries.into_iter().map(socket).collect())
}

/// Reads one line of a table: its number, local address, remote address, state, and the inode as the tenth field.
fn entry(line: &str, transport: &'static str, state: &str) -> Option<TableEntry> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (address, port) = fields.get(1)?.split_once(':')?;
    if *fields.get(3)? != state {
        return None;
    }
    let address = SocketAddr::new(parse_address(address)?, u16::from_str_radix(port, 16).ok()?);
    Some(TableEntry { transport, address, inode: fields.get(9)?.parse().ok()? })
}

/// An address as words of 32 bits in hex, each in the order of the machine.
fn parse_address(hex: &str) -> Option<IpAddr> {
    let words: Option<Vec<[u8; 4]>> = (0..hex.len() / 8)
        .map(|index| u32::from_str_radix(hex.get(index * 8..index * 8 + 8)?, 16).ok().map(u32::to_ne_bytes))
        .collect();
    match words?.as_slice() {
        [word] => Some(Ipv4Addr::from(*word).into()),
        words @ [_, _, _, _] => Some(Ipv6Addr::from(<[u8; 16]>::try_from(words.concat()).ok()?).into()),
        _ => None,
    }
}

/// The names of the processes by the inodes of their sockets, of those that this user may see.
fn processes(proc: &Path) -> BTreeMap<u64, String> {
    let mut names = BTreeMap::new();
    for process in fs::read_dir(proc).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let Ok(descriptors) = fs::read_dir(process.join("fd")) else { continue };
        for target in descriptors.flatten().filter_map(|descriptor| fs::read_link(descriptor.path()).ok()) {
            let inode = target.to_str().and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
            if let Some(inode) = inode {
                let name = || fs::read_to_string(process.join("comm")).unwrap_or_default().trim().to_owned();
                names.entry(inode).or_insert_with(name);
            }
        }
    }
    names
}
