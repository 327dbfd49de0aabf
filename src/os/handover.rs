//! Hands the sockets of a running Daymark over to one that takes its place, by a UNIX socket in the state directory.
//!
//! The running one sends a byte for each socket, `u` for UDP or `t` for TCP, with its descriptor (`SCM_RIGHTS` in `unix(7)`), then
//! `.`. The successor sends `s` once it serves. Then the running one stops in order. The end of the connection is its end.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use daymark_authoritative::InheritedSockets;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use tokio::net::UnixListener;
use tracing::warn;

const FILE: &str = "take-over.sock";
const UDP: u8 = b'u';
const TCP: u8 = b't';
const END: u8 = b'.';
const SERVES: u8 = b's';

/// The time in which the other process sends or takes the sockets.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(5);
/// The time that a successor has until it serves.
const START_TIMEOUT: Duration = Duration::from_mins(1);
/// The time that a running Daymark has to stop. Its service manager gives it less.
const STOP_TIMEOUT: Duration = Duration::from_secs(90);

/// A running Daymark whose place is to be taken.
pub struct Predecessor {
    stream: UnixStream,
    /// Its sockets, which both processes read from now on.
    pub sockets: InheritedSockets,
}

impl Predecessor {
    /// The Daymark that runs with this state directory, if there is one.
    pub fn find(dir: &Path) -> io::Result<Option<Self>> {
        let stream = match UnixStream::connect(dir.join(FILE)) {
            Ok(stream) => stream,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        stream.set_read_timeout(Some(EXCHANGE_TIMEOUT))?;
        let mut sockets = InheritedSockets::default();
        loop {
            match receive(&stream)? {
                Received { kind: END, .. } => return Ok(Some(Self { stream, sockets })),
                Received { kind: UDP, descriptor: Some(descriptor) } => sockets.udp.push(descriptor.into()),
                Received { kind: TCP, descriptor: Some(descriptor) } => sockets.tcp.push(descriptor.into()),
                Received { .. } => {
                    return Err(io::Error::new(ErrorKind::InvalidData, "it sent something else than sockets"));
                }
            }
        }
    }

    /// Reports that this process serves, and waits until the other one has ended.
    pub fn replace(mut self) -> io::Result<()> {
        self.stream.write_all(&[SERVES])?;
        self.stream.set_read_timeout(Some(STOP_TIMEOUT))?;
        match self.stream.read(&mut [0]) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// The socket at which a successor asks for the sockets.
pub struct SuccessorListener(UnixListener);

/// A successor that serves. Dropping it reports the end of this process.
pub struct Successor {
    _stream: UnixStream,
}

impl SuccessorListener {
    /// Listens in a state directory whose lock this process holds.
    ///
    /// # Panics
    /// If it is called outside a tokio runtime.
    pub fn bind(dir: &Path) -> io::Result<Self> {
        let path = dir.join(FILE);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        Ok(Self(listener))
    }

    /// Waits for a successor, hands the sockets over, and waits until it serves. One that fails to is a warning, and the next is
    /// waited for.
    pub async fn successor(&self, sockets: impl Fn() -> io::Result<InheritedSockets>) -> Successor {
        loop {
            let handed = async {
                let stream = self.0.accept().await?.0.into_std()?;
                let sockets = sockets()?;
                tokio::task::spawn_blocking(move || hand_over(stream, &sockets)).await.map_err(io::Error::other)?
            };
            match handed.await {
                Ok(successor) => return successor,
                Err(error) => {
                    warn!("another Daymark asked for the sockets of this one, and does not take its place: {error}");
                }
            }
        }
    }
}

/// Sends the sockets, and waits until the other process serves.
fn hand_over(stream: UnixStream, sockets: &InheritedSockets) -> io::Result<Successor> {
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(EXCHANGE_TIMEOUT))?;
    stream.set_read_timeout(Some(START_TIMEOUT))?;
    let user = socket_peercred(&stream)?.uid;
    if !user.is_root() && user != rustix::process::geteuid() {
        return Err(io::Error::new(ErrorKind::PermissionDenied, "it runs as another user"));
    }
    sockets.udp.iter().try_for_each(|socket| send(&stream, UDP, Some(socket.as_fd())))?;
    sockets.tcp.iter().try_for_each(|listener| send(&stream, TCP, Some(listener.as_fd())))?;
    send(&stream, END, None)?;
    let mut answer = [0];
    (&stream).read_exact(&mut answer)?;
    match answer {
        [SERVES] => Ok(Successor { _stream: stream }),
        _ => Err(io::Error::new(ErrorKind::InvalidData, "it sent something else than that it serves")),
    }
}

fn send(stream: &UnixStream, kind: u8, descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = descriptor.as_slice();
    if !descriptors.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    sendmsg(stream, &[IoSlice::new(&[kind])], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// One message of the running Daymark.
struct Received {
    kind: u8,
    descriptor: Option<OwnedFd>,
}

fn receive(stream: &UnixStream) -> io::Result<Received> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut kind = [0];
    let message = recvmsg(stream, &mut [IoSliceMut::new(&mut kind)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    if message.bytes == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    Ok(Received { kind: kind[0], descriptor })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    fn sockets() -> InheritedSockets {
        let udp = (0..3).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        InheritedSockets { udp, tcp: vec![TcpListener::bind("127.0.0.1:0").unwrap()] }
    }

    fn cloned(sockets: &InheritedSockets) -> io::Result<InheritedSockets> {
        let udp = sockets.udp.iter().map(UdpSocket::try_clone).collect::<io::Result<_>>()?;
        Ok(InheritedSockets { udp, tcp: sockets.tcp.iter().map(TcpListener::try_clone).collect::<io::Result<_>>()? })
    }

    #[tokio::test]
    async fn a_successor_gets_the_sockets_and_sees_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let listener = SuccessorListener::bind(dir.path()).unwrap();
        let given = sockets();
        let path = dir.path().to_owned();
        let successor = tokio::task::spawn_blocking(move || {
            let predecessor = Predecessor::find(&path).unwrap().expect("one runs");
            let addresses: Vec<_> = predecessor.sockets.addresses().collect();
            predecessor.replace().map(|()| addresses)
        });
        let served = listener.successor(|| cloned(&given)).await;
        assert!(!successor.is_finished(), "it waits for the end");
        drop(served);
        assert_eq!(successor.await.unwrap().unwrap(), given.addresses().collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn one_that_goes_away_again_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let listener = SuccessorListener::bind(dir.path()).unwrap();
        let given = sockets();
        let path = dir.path().to_owned();
        let successor = tokio::task::spawn_blocking(move || {
            drop(Predecessor::find(&path).unwrap().expect("one runs"));
            Predecessor::find(&path).unwrap().expect("it runs still").replace()
        });
        drop(listener.successor(|| cloned(&given)).await);
        assert!(successor.await.unwrap().is_ok());
    }

    #[test]
    fn where_nobody_runs_there_is_no_predecessor() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Predecessor::find(dir.path()).unwrap().is_none());
        // The file of a process that was killed.
        drop(std::os::unix::net::UnixListener::bind(dir.path().join(FILE)).unwrap());
        assert!(Predecessor::find(dir.path()).unwrap().is_none());
    }
}
