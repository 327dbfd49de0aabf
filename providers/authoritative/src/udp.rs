//! Answers queries by UDP. Each response has the source address that its query was sent to.
//!
//! Clients drop a response from any other address. On a wildcard socket the kernel would choose the source address by its
//! routes, so the server sets it for each response.

use std::array;
use std::io::{self, IoSliceMut};

use daymark_connections::is_fatal;
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::counters::DnsTransport;
use crate::responder::Responder;

/// The number of buffers that one system call fills at most. Under load, batches save almost half of the system calls, and
/// these are the main cost.
const MAX_READS: usize = 8;
/// The size of one buffer in bytes. It holds a datagram of any length, or several datagrams that the kernel has joined.
const READ_BYTES: usize = 65_536;

/// Answers queries until `stop` is cancelled. Returns an error if the socket can no longer be used.
pub(crate) async fn serve(
    socket: UdpSocket,
    state: &UdpSocketState,
    responder: &Responder,
    stop: &CancellationToken,
) -> io::Result<()> {
    // The token is awaited once for the whole loop, because it takes a lock that would slow down each query.
    match stop.run_until_cancelled(answer_queries(&socket, state, responder)).await {
        Some(fatal) => Err(fatal),
        None => Ok(()),
    }
}

/// Answers queries until the socket can no longer be used. Returns the error of the socket.
async fn answer_queries(socket: &UdpSocket, state: &UdpSocketState, responder: &Responder) -> io::Error {
    let mut buffers = ReceiveBuffers::new();
    let mut response = Vec::new();
    loop {
        let queries = match buffers.receive(socket, state).await {
            Ok(queries) => queries,
            Err(error) if is_fatal(&error) => return error,
            Err(error) => {
                debug!("a datagram was not received: {error}");
                continue;
            }
        };
        for query in queries {
            if !responder.respond(query.bytes, DnsTransport::Udp, &mut response) {
                continue;
            }
            if let Err(error) = send(socket, state, &response, query.meta).await {
                debug!("a response to {} was not sent: {error}", query.meta.addr);
            }
        }
    }
}

/// A received datagram.
struct Datagram<'a> {
    bytes: &'a [u8],
    /// The source and the destination address.
    meta: &'a RecvMeta,
}

/// The buffers of one receiving system call. They are allocated once, and the kernel backs only pages that were written.
struct ReceiveBuffers {
    reads: [Vec<u8>; MAX_READS],
    metas: [RecvMeta; MAX_READS],
}

impl ReceiveBuffers {
    fn new() -> Self {
        Self { reads: array::from_fn(|_| vec![0; READ_BYTES]), metas: [RecvMeta::default(); MAX_READS] }
    }

    /// Waits for datagrams, and returns those that have arrived.
    async fn receive<'a>(
        &'a mut self,
        socket: &UdpSocket,
        state: &UdpSocketState,
    ) -> io::Result<impl Iterator<Item = Datagram<'a>>> {
        let Self { reads, metas } = self;
        let mut slices = reads.each_mut().map(|read| IoSliceMut::new(read));
        let count = socket.async_io(Interest::READABLE, || state.recv(socket.into(), &mut slices, metas)).await?;
        let reads = reads.iter().zip(&metas[..count]);
        // The kernel may join datagrams from one client to one address (GRO). All but the last have the same length.
        Ok(reads.flat_map(|(read, meta)| {
            read[..meta.len].chunks(meta.stride.max(1)).map(move |bytes| Datagram { bytes, meta })
        }))
    }
}

/// Sends a response to the source of its query, from the query's destination.
async fn send(socket: &UdpSocket, state: &UdpSocketState, response: &[u8], query: &RecvMeta) -> io::Result<()> {
    let transmit =
        Transmit { destination: query.addr, ecn: None, contents: response, segment_size: None, src_ip: query.dst_ip };
    socket.async_io(Interest::WRITABLE, || state.try_send(socket.into(), &transmit)).await
}
