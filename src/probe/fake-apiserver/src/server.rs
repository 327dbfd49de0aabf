//! The fake apiserver: its port, its behaviour and its counters. The module `connection` serves its connections.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::authority::FakeAuthority;
use crate::behaviour::Behaviour;
use crate::cluster::Cluster;
use crate::connection;
use crate::error::FakeApiserverError;
use crate::shared::{Access, Shared};
use crate::socket::set_silent;
use crate::tls::TlsConfigs;

/// A fake apiserver. Dropping it closes all its connections. [`FakeApiserver::stop`] also waits for that.
#[derive(Debug)]
pub struct FakeApiserver {
    address: SocketAddr,
    shared: Arc<Shared>,
    commands: mpsc::Sender<ServerCommand>,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

/// A change, and the channel for its result.
struct ServerCommand {
    change: ServerChange,
    done: oneshot::Sender<Result<(), FakeApiserverError>>,
}

enum ServerChange {
    SetBehaviour(Behaviour),
    CloseConnections,
}

impl FakeApiserver {
    /// Starts a fake on `address`, with [`Behaviour::Ready`]. Port 0 takes a free port.
    ///
    /// Its certificate is issued by `authority` for `names`, which are DNS names and IP addresses.
    ///
    /// # Panics
    /// If it is called outside a tokio runtime.
    pub fn start(address: SocketAddr, authority: &FakeAuthority, names: &[&str]) -> Result<Self, FakeApiserverError> {
        let port = Port::bind(address)?;
        let listener = port.listen()?;
        let shared = Arc::new(Shared {
            behaviour: watch::Sender::new(Behaviour::Ready),
            access: Mutex::default(),
            cluster: Mutex::default(),
            tls: TlsConfigs::new(authority, names)?,
            requests: AtomicU64::new(0),
            connections: AtomicU64::new(0),
        });
        let (commands, received) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let address = port.address;
        let task = tokio::spawn(serve(port, listener, Arc::clone(&shared), received, stop.clone()));
        Ok(Self { address, shared, commands, stop, task: Some(task) })
    }

    /// The address that the fake listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the behaviour. It applies to every connection and request after this returns.
    ///
    /// Open connections stay open if those of a real apiserver would. A behaviour that needs a restart of the process closes them
    /// before this returns.
    pub async fn set(&self, behaviour: Behaviour) -> Result<(), FakeApiserverError> {
        self.apply(ServerChange::SetBehaviour(behaviour)).await
    }

    /// Closes every connection, as a proxy closes idle ones, and keeps the behaviour. They are closed when this returns.
    pub async fn close_connections(&self) -> Result<(), FakeApiserverError> {
        self.apply(ServerChange::CloseConnections).await
    }

    async fn apply(&self, change: ServerChange) -> Result<(), FakeApiserverError> {
        let (done, outcome) = oneshot::channel();
        self.commands.send(ServerCommand { change, done }).await.map_err(|_| FakeApiserverError::Stopped)?;
        outcome.await.map_err(|_| FakeApiserverError::Stopped)?
    }

    /// The current behaviour.
    pub fn behaviour(&self) -> Behaviour {
        self.shared.behaviour.borrow().clone()
    }

    /// Changes the clients that are authenticated, from the next request on.
    pub fn require(&self, access: Access) {
        *self.shared.access.lock().unwrap_or_else(PoisonError::into_inner) = access;
    }

    /// Makes the fake an apiserver of a cluster, from the next request on. Without a cluster it serves no lists.
    pub fn set_cluster(&self, cluster: &Cluster) {
        *self.shared.cluster.lock().unwrap_or_else(PoisonError::into_inner) = Some(cluster.clone());
    }

    /// The number of HTTP requests that were received.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// The number of TCP connections that were accepted.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Closes every connection and the port. Waits until both are closed.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            // The caller cannot handle a panic of the task.
            drop(task.await);
        }
    }
}

impl Drop for FakeApiserver {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A port that stays reserved while nothing listens on it.
///
/// The kernel refuses connections to a socket that is bound but does not listen, and a listener can bind to the same port.
struct Port {
    address: SocketAddr,
    _reservation: Socket,
}

impl Port {
    fn bind(address: SocketAddr) -> Result<Self, FakeApiserverError> {
        let reserved = bind_socket(address).and_then(|socket| {
            let address = socket.local_addr()?.as_socket().unwrap_or(address);
            Ok(Self { address, _reservation: socket })
        });
        reserved.map_err(|source| FakeApiserverError::Listen { address, source })
    }

    fn listen(&self) -> Result<TcpListener, FakeApiserverError> {
        let listener = bind_socket(self.address).and_then(|socket| {
            socket.listen(1024)?;
            socket.set_nonblocking(true)?;
            TcpListener::from_std(socket.into())
        });
        listener.map_err(|source| FakeApiserverError::Listen { address: self.address, source })
    }
}

fn bind_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.cloexec(), None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

async fn serve(
    port: Port,
    listener: TcpListener,
    shared: Arc<Shared>,
    mut commands: mpsc::Receiver<ServerCommand>,
    stop: CancellationToken,
) {
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(ServerCommand { change, done }) = commands.recv() => {
                let outcome = apply(change, &port, &mut listener, &mut connections, &shared).await;
                // The caller may have stopped waiting.
                drop(done.send(outcome));
            }
            Some(_) = connections.join_next() => {}
            Some(stream) = accept(listener.as_ref()) => {
                shared.connections.fetch_add(1, Ordering::Relaxed);
                connections.spawn(connection::serve(stream, Arc::clone(&shared)));
            }
        }
    }
    connections.shutdown().await;
}

async fn apply(
    change: ServerChange,
    port: &Port,
    listener: &mut Option<TcpListener>,
    connections: &mut JoinSet<()>,
    shared: &Shared,
) -> Result<(), FakeApiserverError> {
    let ServerChange::SetBehaviour(behaviour) = change else {
        connections.shutdown().await;
        return Ok(());
    };
    update_listener(port, listener, &behaviour)?;
    if behaviour.needs_restart() || shared.behaviour.borrow().needs_restart() {
        connections.shutdown().await;
    }
    shared.behaviour.send_replace(behaviour);
    Ok(())
}

/// Opens, closes or silences the listener for a behaviour.
fn update_listener(
    port: &Port,
    listener: &mut Option<TcpListener>,
    behaviour: &Behaviour,
) -> Result<(), FakeApiserverError> {
    if *behaviour == Behaviour::Dead {
        *listener = None;
        return Ok(());
    }
    let listener = match listener {
        Some(open) => open,
        None => listener.insert(port.listen()?),
    };
    SockRef::from(&*listener)
        .try_clone()
        .and_then(|socket| set_silent(&socket, *behaviour == Behaviour::Silent))
        .map_err(|source| FakeApiserverError::Listen { address: port.address, source })
}

async fn accept(listener: Option<&TcpListener>) -> Option<TcpStream> {
    let listener = listener?;
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            return Some(stream);
        }
        // The client has gone, or the process has no file descriptor left. Then the next accept would fail at once.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
