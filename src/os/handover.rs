//! Hands the sockets of a running Daymark over to its successor, by a UNIX socket in the state directory.
//!
//! The running one sends a byte for each socket, `u` for UDP or `t` for TCP, with its descriptor (`SCM_RIGHTS` in `unix(7)`), then
//! `.`. The successor sends `s` once it serves. The running one answers `o` and stops, or `n` if it has another successor. The end of
//! its lock is its end. This module does not know what is served on the sockets.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use daymark_authoritative::InheritedSockets;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use rustix::process::geteuid;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

const FILE: &str = "take-over.sock";
const UDP: u8 = b'u';
const TCP: u8 = b't';
const END: u8 = b'.';
const SERVES: u8 = b's';
const STOPS: u8 = b'o';
const REFUSES: u8 = b'n';

/// The time in which the other process sends or takes the sockets, or answers.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(5);
/// The time that a successor has until it serves.
const START_TIMEOUT: Duration = Duration::from_mins(1);
/// The number of processes that may be on their way to become the successor.
const MAX_EXCHANGES: usize = 4;
/// The pause after an error of the listener.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// An error that keeps a process from getting the sockets of a running Daymark, which goes on.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// The UNIX socket cannot be used.
    #[error("{} cannot be used; the same user as that of the running Daymark is needed", .path.display())]
    Unusable {
        /// The path of the UNIX socket.
        path: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
    /// The state files would belong to another user from then on.
    #[error("the running Daymark belongs to the user {other}, and this process to {own}; the same user is needed")]
    OtherUser {
        /// The ID of the user of the running Daymark.
        other: u32,
        /// The ID of the user of this process.
        own: u32,
    },
    /// It has not sent its sockets in time.
    #[error("the running Daymark does not answer; stop it, and start this process without `--take-over`")]
    Silent,
    /// It has closed the connection, such as one that is stopping.
    #[error("the running Daymark has broken off; its log has the cause")]
    BrokenOff(#[source] io::Error),
    /// The kernel has dropped a descriptor.
    #[error(
        "the running Daymark has more sockets than this process may open file descriptors; raise the limit (`ulimit -n`)"
    )]
    Descriptors,
    /// It has another successor.
    #[error("another process has taken over meanwhile")]
    Refused,
    /// It has sent something else than sockets.
    #[error("the running Daymark has sent something that is no socket, so its version does not fit; stop it first")]
    NoSocket,
}

/// A running Daymark whose place is to be taken.
pub struct Predecessor {
    stream: UnixStream,
    /// Its sockets, which both processes read from now on.
    pub sockets: InheritedSockets,
}

impl Predecessor {
    /// The Daymark that runs with this state directory, if there is one.
    ///
    /// # Errors
    ///
    /// Fails if it does not hand over its sockets.
    ///
    /// # Panics
    /// If it is called outside a tokio runtime.
    pub async fn find(dir: &Path) -> Result<Option<Self>, HandoverError> {
        let path = dir.join(FILE);
        let unusable = |source| HandoverError::Unusable { path: path.clone(), source };
        let stream = match UnixStream::connect(&path).await {
            Ok(stream) => stream,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                return Ok(None);
            }
            Err(error) => return Err(unusable(error)),
        };
        check_user(stream.peer_cred().map_err(unusable)?.uid())?;
        let sockets = timeout(EXCHANGE_TIMEOUT, receive_all(&stream)).await.map_err(|_| HandoverError::Silent)??;
        Ok(Some(Self { stream, sockets }))
    }

    /// Reports that this process serves.
    pub async fn ask_to_stop(mut self) -> PredecessorAnswer {
        let answer = async {
            // One that has gone may have left its answer.
            let _ = self.stream.write_u8(SERVES).await;
            self.stream.read_u8().await
        };
        match timeout(EXCHANGE_TIMEOUT, answer).await {
            Ok(Ok(STOPS)) => PredecessorAnswer::Stops,
            Ok(Ok(REFUSES)) => PredecessorAnswer::Refuses,
            _ => PredecessorAnswer::Missing,
        }
    }
}

/// The answer of a predecessor that is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PredecessorAnswer {
    /// It stops now.
    Stops,
    /// It has another successor.
    Refuses,
    /// There is none. A signal has stopped it meanwhile, it has crashed, or it hangs.
    Missing,
}

/// Both processes write the same files, so they need one user.
fn check_user(other: u32) -> Result<(), HandoverError> {
    let own = geteuid().as_raw();
    if other == own { Ok(()) } else { Err(HandoverError::OtherUser { other, own }) }
}

async fn receive_all(stream: &UnixStream) -> Result<InheritedSockets, HandoverError> {
    let mut sockets = InheritedSockets::default();
    loop {
        match receive(stream).await? {
            ReceivedSocket { kind: END, .. } => return Ok(sockets),
            ReceivedSocket { kind: UDP, descriptor: Some(descriptor) } => sockets.udp.push(descriptor.into()),
            ReceivedSocket { kind: TCP, descriptor: Some(descriptor) } => sockets.tcp.push(descriptor.into()),
            ReceivedSocket { kind: REFUSES, .. } => return Err(HandoverError::Refused),
            ReceivedSocket { .. } => return Err(HandoverError::NoSocket),
        }
    }
}

/// One message of the running Daymark.
struct ReceivedSocket {
    kind: u8,
    descriptor: Option<OwnedFd>,
}

async fn receive(stream: &UnixStream) -> Result<ReceivedSocket, HandoverError> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut kind = [0];
    let read = || Ok(recvmsg(stream, &mut [IoSliceMut::new(&mut kind)], &mut control, RecvFlags::CMSG_CLOEXEC)?);
    let message = stream.async_io(Interest::READABLE, read).await.map_err(HandoverError::BrokenOff)?;
    if message.bytes == 0 {
        return Err(HandoverError::BrokenOff(ErrorKind::UnexpectedEof.into()));
    }
    if message.flags.contains(ReturnFlags::CTRUNC) {
        return Err(HandoverError::Descriptors);
    }
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    Ok(ReceivedSocket { kind: kind[0], descriptor })
}

/// The socket at which a successor asks for the sockets.
pub struct SuccessorListener(UnixListener);

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

    /// Hands the sockets over to each process that asks, until one of them serves. Each other one is a warning.
    pub async fn hand_over(&self, sockets: &Arc<InheritedSockets>) {
        let mut exchanges = JoinSet::new();
        let found = CancellationToken::new();
        loop {
            tokio::select! {
                accepted = self.0.accept(), if exchanges.len() < MAX_EXCHANGES => {
                    match accepted {
                        Ok((stream, _)) => drop(exchanges.spawn(exchange(stream, Arc::clone(sockets), found.clone()))),
                        Err(error) => {
                            warn!("no other Daymark can take over from this one now: {error}");
                            sleep(ACCEPT_PAUSE).await;
                        }
                    }
                }
                Some(ended) = exchanges.join_next() => match answer(ended, STOPS).await {
                    Ok(()) => break,
                    Err(error) => {
                        warn!("another Daymark asked for the sockets of this one, and does not take its place: {error}");
                    }
                },
            }
        }
        found.cancel();
        while let Some(ended) = exchanges.join_next().await {
            // It may have gone away meanwhile.
            let _ = answer(ended, REFUSES).await;
        }
    }
}

/// Answers a process that serves, or that need not go on.
async fn answer(ended: Result<io::Result<UnixStream>, JoinError>, byte: u8) -> io::Result<()> {
    ended.map_err(io::Error::other)??.write_u8(byte).await
}

/// Sends the sockets, and waits until the other process serves, or until another one does.
async fn exchange(
    mut stream: UnixStream,
    sockets: Arc<InheritedSockets>,
    found: CancellationToken,
) -> io::Result<UnixStream> {
    let served = found.run_until_cancelled(async {
        send_all(&stream, &sockets).await?;
        match timeout(START_TIMEOUT, stream.read_u8()).await? {
            Ok(SERVES) => Ok(()),
            Ok(_) => Err(io::Error::new(ErrorKind::InvalidData, "it has sent something unexpected")),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(io::Error::new(error.kind(), "it has ended")),
            Err(error) => Err(error),
        }
    });
    served.await.unwrap_or(Ok(())).map(|()| stream)
}

async fn send_all(stream: &UnixStream, sockets: &InheritedSockets) -> io::Result<()> {
    if stream.peer_cred()?.uid() != geteuid().as_raw() {
        return Err(io::Error::new(ErrorKind::PermissionDenied, "it runs as another user"));
    }
    let sent = async {
        for socket in &sockets.udp {
            send(stream, UDP, Some(socket.as_fd())).await?;
        }
        for listener in &sockets.tcp {
            send(stream, TCP, Some(listener.as_fd())).await?;
        }
        send(stream, END, None).await
    };
    timeout(EXCHANGE_TIMEOUT, sent).await?
}

async fn send(stream: &UnixStream, kind: u8, descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let write = || {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors = descriptor.as_slice();
        if !descriptors.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(descriptors));
        }
        Ok(sendmsg(stream, &[IoSlice::new(&[kind])], &mut control, SendFlags::NOSIGNAL)?)
    };
    stream.async_io(Interest::WRITABLE, write).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    fn sockets() -> Arc<InheritedSockets> {
        let udp = (0..3).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        Arc::new(InheritedSockets { udp, tcp: vec![TcpListener::bind("127.0.0.1:0").unwrap()] })
    }

    async fn found(dir: &Path) -> Predecessor {
        Predecessor::find(dir).await.unwrap().expect("one runs")
    }

    #[tokio::test]
    async fn a_successor_gets_the_sockets_and_the_word_that_the_other_one_stops() {
        let dir = tempfile::tempdir().unwrap();
        let listener = SuccessorListener::bind(dir.path()).unwrap();
        let handed = sockets();
        let successor = async {
            let predecessor = found(dir.path()).await;
            let addresses: Vec<_> = predecessor.sockets.addresses().collect();
            assert_eq!(predecessor.ask_to_stop().await, PredecessorAnswer::Stops);
            addresses
        };
        let ((), addresses) = tokio::join!(listener.hand_over(&handed), successor);
        assert_eq!(addresses, handed.addresses().collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn one_that_goes_away_and_one_that_says_nothing_keep_no_other_from_taking_over() {
        let dir = tempfile::tempdir().unwrap();
        let listener = SuccessorListener::bind(dir.path()).unwrap();
        let handed = sockets();
        let successor = async {
            drop(found(dir.path()).await);
            let silent = found(dir.path()).await;
            assert_eq!(found(dir.path()).await.ask_to_stop().await, PredecessorAnswer::Stops);
            silent
        };
        let ((), silent) = tokio::join!(listener.hand_over(&handed), successor);
        assert_eq!(silent.ask_to_stop().await, PredecessorAnswer::Refuses);
    }

    #[tokio::test]
    async fn one_of_several_is_the_successor() {
        let dir = tempfile::tempdir().unwrap();
        let listener = SuccessorListener::bind(dir.path()).unwrap();
        let handed = sockets();
        let successors = async {
            let (first, second, third) = (found(dir.path()).await, found(dir.path()).await, found(dir.path()).await);
            tokio::join!(first.ask_to_stop(), second.ask_to_stop(), third.ask_to_stop())
        };
        let ((), answers) = tokio::join!(listener.hand_over(&handed), successors);
        let mut answers: [PredecessorAnswer; 3] = answers.into();
        answers.sort_by_key(|answer| *answer != PredecessorAnswer::Stops);
        assert_eq!(answers, [PredecessorAnswer::Stops, PredecessorAnswer::Refuses, PredecessorAnswer::Refuses]);
    }

    #[tokio::test]
    async fn a_predecessor_that_ends_gives_no_answer() {
        let dir = tempfile::tempdir().unwrap();
        let listener = SuccessorListener::bind(dir.path()).unwrap();
        let handed = sockets();
        let predecessor = tokio::select! {
            () = listener.hand_over(&handed) => unreachable!("nobody serves"),
            predecessor = found(dir.path()) => predecessor,
        };
        assert_eq!(predecessor.ask_to_stop().await, PredecessorAnswer::Missing);
    }

    #[tokio::test]
    async fn a_predecessor_that_breaks_off_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let listener = SuccessorListener::bind(dir.path()).unwrap();
        let broken_off = async { drop(listener.0.accept().await.unwrap()) };
        let (found, ()) = tokio::join!(Predecessor::find(dir.path()), broken_off);
        assert!(matches!(found.map(|_| ()), Err(HandoverError::BrokenOff(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_predecessor_that_says_nothing_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let _silent = SuccessorListener::bind(dir.path()).unwrap();
        assert!(matches!(Predecessor::find(dir.path()).await.map(|_| ()), Err(HandoverError::Silent)));
    }

    #[tokio::test]
    async fn where_nobody_runs_there_is_no_predecessor() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Predecessor::find(dir.path()).await.unwrap().is_none());
        // The file of a process that was killed.
        drop(std::os::unix::net::UnixListener::bind(dir.path().join(FILE)).unwrap());
        assert!(Predecessor::find(dir.path()).await.unwrap().is_none());
    }

    #[test]
    fn another_user_is_refused() {
        let own = geteuid().as_raw();
        assert!(check_user(own).is_ok());
        let refusal = check_user(own + 1).unwrap_err().to_string();
        assert!(refusal.ends_with("the same user is needed"), "{refusal}");
    }
}
