//! Sockets that are bound before Daymark starts.

use std::fs::File;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;

use super::{BINARY, Process};

/// The sockets of one address, held open as systemd does for a socket unit.
pub(crate) struct SocketUnit {
    pub(crate) address: SocketAddr,
    pub(crate) udp: UdpSocket,
    pub(crate) tcp: TcpListener,
}

impl SocketUnit {
    pub(crate) fn bind() -> Self {
        let tries = (0..16).find_map(|_| {
            let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = tcp.local_addr().unwrap();
            // Another process may use this port by UDP.
            Some(Self { address, udp: UdpSocket::bind(address).ok()?, tcp })
        });
        tries.expect("a port is free by both")
    }

    /// Makes a command that inherits them as descriptors 3 and 4, and logs to a file.
    pub(crate) fn run(&self, config: &Path, log: &Path) -> Process {
        let passing = "LISTEN_PID=$$ LISTEN_FDS=2 exec \"$0\" run -c \"$1\" 3<&0 4<&1 </dev/null >/dev/null";
        let mut command = Command::new("sh");
        command.args(["-c", passing, BINARY, config.to_str().unwrap()]).stderr(File::create(log).unwrap());
        command
            .stdin(OwnedFd::from(self.udp.try_clone().unwrap()))
            .stdout(OwnedFd::from(self.tcp.try_clone().unwrap()));
        Process(command.spawn().unwrap())
    }
}
