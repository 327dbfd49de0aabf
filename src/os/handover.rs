//! Hands the sockets of a running Daymark over to its successor, by a UNIX socket in the state directory.
//!
//! The running one sends a byte for each socket, `u` for UDP or `t` for TCP, with its descriptor (`SCM_RIGHTS` in `unix(7)`), then
//! `.`. The successor sends `s` once it can serve. The running one answers `o` and stops. It refuses by `n` if it has another successor,
//! and by `d` if its state is not on the disk. The end of its lock is its end. This module does not know what is served on the sockets.

use std::fs::{self, File, Permissions};
use std::future::ready;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
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
/// The length of the longest path of a UNIX socket, with its zero at the end.
const MAX_PATH_BYTES: usize = 108;
const UDP: u8 = b'u';
const TCP: u8 = b't';
const END: u8 = b'.';
const SERVES: u8 = b's';
const STOPS: u8 = b'o';
const REFUSES: u8 = b'n';
const UNSAVED: u8 = b'd';

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
    #[error("{} cannot be used", .path.display())]
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
    /// Its state would be lost.
    #[error(
        "the running Daymark cannot save its state, which would be lost; `daymark status` has the alarm with the cause"
    )]
    Unsaved,
    /// A process has the state and hands nothing over.
    #[error("the state in {} is in use by {by}, which hands nothing over; stop it first", .dir.display())]
    NotOffered {
        /// The state directory.
        dir: PathBuf,
        /// The process, by its own description.
        by: String,
    },
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
        let stream = match with_short_path(dir, |path| UnixStream::connect(path.to_owned())).await {
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

    /// Reports that this process can serve, and asks the predecessor to stop.
    ///
    /// # Errors
    ///
    /// Fails if the predecessor goes on.
    pub async fn ask_to_stop(mut self) -> Result<PredecessorAnswer, HandoverError> {
        let answer = async {
            // One that has gone may have left its answer.
            let _ = self.stream.write_u8(SERVES).await;
            self.stream.read_u8().await
        };
        match timeout(EXCHANGE_TIMEOUT, answer).await {
            Ok(Ok(STOPS)) => Ok(PredecessorAnswer::Stops),
            Ok(Ok(REFUSES)) => Err(HandoverError::Refused),
            Ok(Ok(UNSAVED)) => Err(HandoverError::Unsaved),
            Ok(_) => Ok(PredecessorAnswer::Gone),
            Err(_) => Ok(PredecessorAnswer::Silent),
        }
    }
}

/// The answer of a predecessor that is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PredecessorAnswer {
    /// It stops now.
    Stops,
    /// It ends, or has ended: a signal stopped it meanwhile, or it crashed.
    Gone,
    /// It hangs.
    Silent,
}

/// Calls `connect` with the path of the UNIX socket in a directory. Such a path has at most 107 bytes (`unix(7)`), so a longer one goes
/// through the descriptor of the directory.
async fn with_short_path<T, F: Future<Output = io::Result<T>>>(
    dir: &Path,
    connect: impl FnOnce(&Path) -> F,
) -> io::Result<T> {
    let path = dir.join(FILE);
    if path.as_os_str().len() < MAX_PATH_BYTES {
        return connect(&path).await;
    }
    let dir = File::open(dir)?;
    connect(&Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(FILE)).await
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
            ReceivedSocket { kind: UNSAVED, .. } => return Err(HandoverError::Unsaved),
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
    pub async fn bind(dir: &Path) -> Result<Self, HandoverError> {
        let bind = |path: &Path| {
            let bound = match fs::remove_file(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => UnixListener::bind(path),
            };
            let restricted =
                bound.and_then(|listener| fs::set_permissions(path, Permissions::from_mode(0o600)).map(|()| listener));
            ready(restricted)
        };
        let listener = with_short_path(dir, bind).await;
        listener.map(Self).map_err(|source| HandoverError::Unusable { path: dir.join(FILE), source })
    }

    /// Hands the sockets over to each process that asks, until one of them serves. Each other one is a warning. While `is_saved` is
    /// false, each is refused.
    pub async fn hand_over(&self, sockets: &Arc<InheritedSockets>, is_saved: impl Fn() -> bool) {
        let mut exchanges = JoinSet::new();
        let found = CancellationToken::new();
        loop {
            tokio::select! {
                accepted = self.0.accept(), if exchanges.len() < MAX_EXCHANGES => match accepted {
                    Ok((stream, _)) if is_saved() => {
                        exchanges.spawn(exchange(stream, Arc::clone(sockets), found.clone()));
                    }
                    Ok((mut stream, _)) => {
                        warn!("another Daymark asked for the sockets of this one, whose state is not saved, and is refused");
                        // It may have gone away meanwhile.
                        let _ = stream.write_u8(UNSAVED).await;
                    }
                    Err(error) => {
                        warn!("no other Daymark can take over from this one now: {error}");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(ended) = exchanges.join_next() => {
                    let byte = if is_saved() { STOPS } else { UNSAVED };
                    match answer(ended, byte).await {
                        Ok(()) if byte == STOPS => break,
                        Ok(()) => warn!("another Daymark was about to take over, and is refused: the state is not saved"),
                        Err(error) => {
                            warn!("another Daymark asked for the sockets of this one, and does not take its place: {error}");
                        }
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
        let listener = SuccessorListener::bind(dir.path()).await.unwrap();
        let handed = sockets();
        let successor = async {
            let predecessor = found(dir.path()).await;
            let addresses: Vec<_> = predecessor.sockets.addresses().collect();
            assert_eq!(predecessor.ask_to_stop().await.unwrap(), PredecessorAnswer::Stops);
            addresses
        };
        let ((), addresses) = tokio::join!(listener.hand_over(&handed, || true), successor);
        assert_eq!(addresses, handed.addresses().collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn one_that_goes_away_and_one_that_says_nothing_keep_no_other_from_taking_over() {
        let dir = tempfile::tempdir().unwrap();
        let listener = SuccessorListener::bind(dir.path()).await.unwrap();
        let handed = sockets();
        let successor = async {
            drop(found(dir.path()).await);
            let silent = found(dir.path()).await;
            assert_eq!(found(dir.path()).await.ask_to_stop().await.unwrap(), PredecessorAnswer::Stops);
            silent
        };
        let ((), silent) = tokio::join!(listener.hand_over(&handed, || true), successor);
        assert!(matches!(silent.ask_to_stop().await, Err(HandoverError::Refused)));
    }

    #[tokio::test]
    async fn one_of_several_is_the_successor() {
        let dir = tempfile::tempdir().unwrap();
        let listener = SuccessorListener::bind(dir.path()).await.unwrap();
        let handed = sockets();
        let successors = async {
            let (first, second, third) = (found(dir.path()).await, found(dir.path()).await, found(dir.path()).await);
            tokio::join!(first.ask_to_stop(), second.ask_to_stop(), third.ask_to_stop())
        };
        let ((), answers) = tokio::join!(listener.hand_over(&handed, || true), successors);
        let answers: [_; 3] = answers.into();
        let stops = answers.iter().filter(|answer| matches!(answer, Ok(PredecessorAnswer::Stops))).count();
        let refused = answers.iter().filter(|answer| matches!(answer, Err(HandoverError::Refused))).count();
        assert_eq!((stops, refused), (1, 2));
    }

    #[tokio::test]
    async fn a_predecessor_whose_state_is_not_saved_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let listener = SuccessorListener::bind(dir.path()).await.unwrap();
        let handed = sockets();
        let is_saved = std::cell::Cell::new(false);
        let successors = async {
            assert!(matches!(Predecessor::find(dir.path()).await, Err(HandoverError::Unsaved)));
            is_saved.set(true);
            let predecessor = found(dir.path()).await;
            is_saved.set(false);
            assert!(matches!(predecessor.ask_to_stop().await, Err(HandoverError::Unsaved)));
            is_saved.set(true);
            found(dir.path()).await.ask_to_stop().await.unwrap()
        };
        let ((), answer) = tokio::join!(listener.hand_over(&handed, || is_saved.get()), successors);
        assert_eq!(answer, PredecessorAnswer::Stops);
    }

    #[tokio::test]
    async fn a_directory_with_a_long_path_works_too() {
        let dir = tempfile::tempdir().unwrap();
        let long = dir.path().join("a".repeat(60)).join("b".repeat(60));
        fs::create_dir_all(&long).unwrap();
        let listener = SuccessorListener::bind(&long).await.unwrap();
        let handed = sockets();
        let successor = async { found(&long).await.ask_to_stop().await.unwrap() };
        let ((), answer) = tokio::join!(listener.hand_over(&handed, || true), successor);
        assert_eq!(answer, PredecessorAnswer::Stops);
        assert!(long.join(FILE).exists());
    }

    #[tokio::test]
    async fn a_predecessor_that_ends_gives_no_answer() {
        let dir = tempfile::tempdir().unwrap();
        let listener = SuccessorListener::bind(dir.path()).await.unwrap();
        let handed = sockets();
        let predecessor = tokio::select! {
            () = listener.hand_over(&handed, || true) => unreachable!("nobody serves"),
            predecessor = found(dir.path()) => predecessor,
        };
        assert_eq!(predecessor.ask_to_stop().await.unwrap(), PredecessorAnswer::Gone);
    }

    #[tokio::test]
    async fn a_predecessor_that_breaks_off_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let listener = SuccessorListener::bind(dir.path()).await.unwrap();
        let broken_off = async { drop(listener.0.accept().await.unwrap()) };
        let (found, ()) = tokio::join!(Predecessor::find(dir.path()), broken_off);
        assert!(matches!(found.map(|_| ()), Err(HandoverError::BrokenOff(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_predecessor_that_says_nothing_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let _silent = SuccessorListener::bind(dir.path()).await.unwrap();
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
