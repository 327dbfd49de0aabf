//! The fake itself: its port, its switch and its counters. What happens on a connection is told in `conversation`.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::server::VerifierBuilderError;
use socket2::{Domain, SockFilter, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::authority::Authority;
use crate::behaviour::Behaviour;
use crate::cluster::Cluster;
use crate::conversation;
use crate::tls::Configs;

/// One fake apiserver. Dropped, it ends with all its connections; [`FakeApiserver::stop`] also waits for that.
#[derive(Debug)]
pub struct FakeApiserver {
    address: SocketAddr,
    shared: Arc<Shared>,
    orders: mpsc::Sender<Order>,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

/// Who may ask for `/readyz` and its like.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Access {
    /// Everyone, as by default.
    #[default]
    Anonymous,
    /// Who has this bearer token; all others get 401.
    Token(String),
    /// Who has a client certificate of the authority; all others get 401.
    ClientCertificate,
}

/// Why a fake could not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on; the caller chooses another.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A certificate could not be made; the names are at fault.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// The certificates made are not to the liking of the TLS library; a fault of this crate.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
    /// As [`Error::Tls`], for the certificates of clients.
    #[error("cannot set up the verification of clients")]
    Verifier(#[from] VerifierBuilderError),
    /// The runtime has ended the fake.
    #[error("the fake has stopped")]
    Stopped,
}

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) behaviour: watch::Sender<Behaviour>,
    pub(crate) access: Mutex<Access>,
    pub(crate) cluster: Mutex<Option<Cluster>>,
    pub(crate) tls: Configs,
    pub(crate) requests: AtomicU64,
    connections: AtomicU64,
}

/// What is to be done, and where to say that it has been.
struct Order {
    change: Change,
    done: oneshot::Sender<Result<(), Error>>,
}

enum Change {
    To(Behaviour),
    HangUp,
}

impl FakeApiserver {
    /// Starts to serve on `address` (port 0: any free one) with a certificate of `authority` for these DNS names and
    /// IP addresses. It is [`Behaviour::Ready`]. Must be called within a tokio runtime.
    pub fn start(address: SocketAddr, authority: &Authority, names: &[&str]) -> Result<Self, Error> {
        let (port, listener) = Port::take(address)?;
        let shared = Arc::new(Shared {
            behaviour: watch::Sender::new(Behaviour::Ready),
            access: Mutex::default(),
            cluster: Mutex::default(),
            tls: Configs::new(authority, names)?,
            requests: AtomicU64::new(0),
            connections: AtomicU64::new(0),
        });
        let (orders, to_do) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let address = port.address;
        let task = tokio::spawn(serve(port, listener, Arc::clone(&shared), to_do, stop.clone()));
        Ok(Self { address, shared, orders, stop, task: Some(task) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what it does. Once this returns, new connections and new requests meet the new behaviour; connections
    /// kept from before go on where a real apiserver's would, and have ended where they would not (the behaviours that
    /// take another process).
    pub async fn set(&self, behaviour: Behaviour) -> Result<(), Error> {
        self.order(Change::To(behaviour)).await
    }

    /// Ends every connection and goes on as before, as a proxy does with idle ones. They have ended once this returns.
    pub async fn hang_up(&self) -> Result<(), Error> {
        self.order(Change::HangUp).await
    }

    async fn order(&self, change: Change) -> Result<(), Error> {
        let (done, outcome) = oneshot::channel();
        self.orders.send(Order { change, done }).await.map_err(|_| Error::Stopped)?;
        outcome.await.map_err(|_| Error::Stopped)?
    }

    /// What it does now.
    pub fn behaviour(&self) -> Behaviour {
        self.shared.behaviour.borrow().clone()
    }

    /// Says who may ask, from the next request on.
    pub fn require(&self, access: Access) {
        *self.shared.access.lock().unwrap_or_else(PoisonError::into_inner) = access;
    }

    /// Is an apiserver of this cluster from the next request on; by default it is one of none and lists nothing.
    pub fn join(&self, cluster: &Cluster) {
        *self.shared.cluster.lock().unwrap_or_else(PoisonError::into_inner) = Some(cluster.clone());
    }

    /// How many HTTP requests have come.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// How many TCP connections have been accepted.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Ends every connection, frees the port and waits for both.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            // A panic inside is of no use to who stops it.
            drop(task.await);
        }
    }
}

impl Drop for FakeApiserver {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Token(_) => "Token(…)",
            Self::ClientCertificate => "ClientCertificate",
        })
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("behaviour", &self.behaviour).finish_non_exhaustive()
    }
}

/// The port, kept also while nothing listens on it: a bound socket that does not listen has connections refused, and
/// lets a listener bind beside it.
struct Port {
    address: SocketAddr,
    _keeper: Socket,
}

impl Port {
    fn take(address: SocketAddr) -> Result<(Self, TcpListener), Error> {
        let keep = || {
            let keeper = bound(address)?;
            let address = keeper.local_addr()?.as_socket().unwrap_or(address);
            Ok(Self { address, _keeper: keeper })
        };
        let port = keep().map_err(|source| Error::Listen { address, source })?;
        let listener = port.listen()?;
        Ok((port, listener))
    }

    fn listen(&self) -> Result<TcpListener, Error> {
        let listen = || {
            let socket = bound(self.address)?;
            socket.listen(1024)?;
            socket.set_nonblocking(true)?;
            TcpListener::from_std(socket.into())
        };
        listen().map_err(|source| Error::Listen { address: self.address, source })
    }
}

fn bound(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.cloexec(), None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Makes a socket deaf, or lets it hear again. A filter that takes no byte of any packet drops them all, SYNs on a
/// listener included, and the peer gets no sign of life: not even an ACK.
pub(crate) fn silence(socket: &Socket, silent: bool) -> io::Result<()> {
    /// `BPF_RET | BPF_K`: ends the filter, with the number of bytes taken of the packet.
    const RETURN: u16 = 0x06;
    if silent {
        return socket.attach_filter(&[SockFilter::new(RETURN, 0, 0, 0)]);
    }
    match socket.detach_filter() {
        // None was attached.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

async fn serve(
    port: Port,
    listener: TcpListener,
    shared: Arc<Shared>,
    mut orders: mpsc::Receiver<Order>,
    stop: CancellationToken,
) {
    let mut listener = Some(listener);
    let mut conversations = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(Order { change, done }) = orders.recv() => {
                let outcome = carry_out(change, &port, &mut listener, &mut conversations, &shared).await;
                // Who asked may have gone.
                drop(done.send(outcome));
            }
            Some(_) = conversations.join_next() => {}
            Some(stream) = accept(listener.as_ref()) => {
                shared.connections.fetch_add(1, Ordering::Relaxed);
                conversations.spawn(conversation::hold(stream, Arc::clone(&shared)));
            }
        }
    }
    conversations.shutdown().await;
}

async fn carry_out(
    change: Change,
    port: &Port,
    listener: &mut Option<TcpListener>,
    conversations: &mut JoinSet<()>,
    shared: &Shared,
) -> Result<(), Error> {
    let Change::To(behaviour) = change else {
        conversations.shutdown().await;
        return Ok(());
    };
    turn(port, listener, &behaviour)?;
    if behaviour.is_another_server() || shared.behaviour.borrow().is_another_server() {
        conversations.shutdown().await;
    }
    shared.behaviour.send_replace(behaviour);
    Ok(())
}

/// Opens, closes, silences the listener as the behaviour wants it.
fn turn(port: &Port, listener: &mut Option<TcpListener>, to: &Behaviour) -> Result<(), Error> {
    if *to == Behaviour::Dead {
        *listener = None;
        return Ok(());
    }
    let listener = match listener {
        Some(open) => open,
        None => listener.insert(port.listen()?),
    };
    let dup = || SockRef::from(&*listener).try_clone();
    dup()
        .and_then(|socket| silence(&socket, *to == Behaviour::Silent))
        .map_err(|source| Error::Listen { address: port.address, source })
}

async fn accept(listener: Option<&TcpListener>) -> Option<TcpStream> {
    let listener = listener?;
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            return Some(stream);
        }
        // A connection that has already gone, or a lack of descriptors, which would come again at once.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
