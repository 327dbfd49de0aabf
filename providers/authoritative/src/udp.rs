//! Answers datagrams, each from the address that it was sent to.
//!
//! A client drops a response from another address than it asked. From a wildcard socket the kernel would send by its routes
//! alone, which know nothing of the question; so every response says where it comes from.

use std::array;
use std::io::{self, IoSliceMut};

use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::bind::is_dead;
use crate::counts::Transport;
use crate::respond::Responder;

/// How many reads one system call does at most. Under load that saves almost half of the calls, and there the calls are the cost.
const MOST_READS: usize = 8;
/// Bytes of the longest read: a datagram of any length, or several that the kernel has joined.
const LONGEST_READ: usize = 65_536;

/// Answers what comes until it is stopped, or until the socket is dead.
pub(crate) async fn serve(
    socket: UdpSocket,
    state: &UdpSocketState,
    responder: &Responder,
    stop: &CancellationToken,
) -> io::Result<()> {
    // Around the whole loop: waiting for the token takes a lock, which a query need not.
    match stop.run_until_cancelled(answer(&socket, state, responder)).await {
        Some(dead) => Err(dead),
        None => Ok(()),
    }
}

/// Answers for ever; gives the error that ends it.
async fn answer(socket: &UdpSocket, state: &UdpSocketState, responder: &Responder) -> io::Error {
    let mut inbox = Inbox::new();
    let mut response = Vec::new();
    loop {
        let queries = match inbox.receive(socket, state).await {
            Ok(queries) => queries,
            Err(error) if is_dead(&error) => return error,
            Err(error) => {
                debug!("a datagram was not received: {error}");
                continue;
            }
        };
        for (query, meta) in queries {
            if !responder.respond(query, Transport::Udp, &mut response) {
                continue;
            }
            if let Err(error) = send(socket, state, &response, meta).await {
                debug!("a response to {} was not sent: {error}", meta.addr);
            }
        }
    }
}

/// Room for what is received at once. It is allocated once, and the system backs only what was ever used.
struct Inbox {
    reads: [Vec<u8>; MOST_READS],
    metas: [RecvMeta; MOST_READS],
}

impl Inbox {
    fn new() -> Self {
        Self { reads: array::from_fn(|_| vec![0; LONGEST_READ]), metas: [RecvMeta::default(); MOST_READS] }
    }

    /// Waits for datagrams; gives each, with where it came from and to.
    async fn receive<'a>(
        &'a mut self,
        socket: &UdpSocket,
        state: &UdpSocketState,
    ) -> io::Result<impl Iterator<Item = (&'a [u8], &'a RecvMeta)>> {
        let Self { reads, metas } = self;
        let mut room = reads.each_mut().map(|read| IoSliceMut::new(read));
        let count = socket.async_io(Interest::READABLE, || state.recv(socket.into(), &mut room, metas)).await?;
        // The kernel may join datagrams (GRO): all of one client to one address, and of one length but for the last.
        let datagrams = |(read, meta): (&'a Vec<u8>, &'a RecvMeta)| {
            read[..meta.len].chunks(meta.stride.max(1)).map(move |datagram| (datagram, meta))
        };
        Ok(reads.iter().zip(&metas[..count]).flat_map(datagrams))
    }
}

/// Sends a response to where a query came from, from where it came to.
async fn send(socket: &UdpSocket, state: &UdpSocketState, response: &[u8], query: &RecvMeta) -> io::Result<()> {
    let transmit =
        Transmit { destination: query.addr, ecn: None, contents: response, segment_size: None, src_ip: query.dst_ip };
    socket.async_io(Interest::WRITABLE, || state.try_send(socket.into(), &transmit)).await
}
