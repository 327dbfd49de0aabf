//! Answers queries by UDP, in threads of their own.
//!
//! Each worker has a socket of each address, and the kernel spreads the clients over them (`SO_REUSEPORT`). A worker receives and
//! sends in batches. Between two system calls it takes no lock, and
//! allocates nothing for a response that is copied.
//!
//! Each response has the source address that its query was sent to, because clients drop a response from any other. On a
//! wildcard socket the kernel would choose the source address by its routes, so the worker sets it for each response.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;
use std::{array, iter};

use daymark_connections::is_fatal;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc::{in_pktinfo, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage, recvmmsg, sendmmsg,
};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use tracing::debug;

use crate::counters::{DnsTransport, ResponseTally};
use crate::responder::Responder;
use crate::response::MAX_DATAGRAM_BYTES;

/// The most datagrams of one system call.
const BATCH: usize = 32;
/// The size of the buffer of a query in bytes. This server accepts datagrams of [`MAX_DATAGRAM_BYTES`], and a longer one is a
/// format error in any case. The odd size keeps the buffers apart in the caches of a processor.
///
/// [`MAX_DATAGRAM_BYTES`]: crate::response::MAX_DATAGRAM_BYTES
const QUERY_BYTES: usize = 4096 + 64;
/// The full batches that a worker takes from one socket before it looks at the others.
const MAX_BATCHES: usize = 16;

/// A UDP socket of one worker.
#[derive(Debug)]
pub(crate) struct UdpEndpoint {
    /// The address that the server listens on.
    pub(crate) address: SocketAddr,
    pub(crate) socket: UdpSocket,
}

/// An error of a socket that can no longer be used.
#[derive(Debug)]
pub(crate) struct FailedSocket {
    pub(crate) address: SocketAddr,
    pub(crate) source: io::Error,
}

/// Ends the workers that watch it.
#[derive(Clone, Debug)]
pub(crate) struct StopSignal(Arc<OwnedFd>);

impl StopSignal {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)))
    }

    /// Ends every worker, after it has answered what it has received.
    pub(crate) fn stop(&self) {
        // It fails only if the counter is full, and then the workers are stopped already.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// A guard that stops the workers when it is dropped.
    pub(crate) fn on_drop(self) -> StopOnDrop {
        StopOnDrop(self)
    }
}

/// Stops the workers when it is dropped.
pub(crate) struct StopOnDrop(StopSignal);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Answers queries until the stop, or until a socket can no longer be used.
pub(crate) fn serve(endpoints: &[UdpEndpoint], responder: &Responder, stop: &StopSignal) -> Result<(), FailedSocket> {
    let mut sockets: Vec<WorkerSocket<'_>> = endpoints.iter().map(WorkerSocket::new).collect();
    let mut batch = Batch::new();
    let descriptors = endpoints.iter().map(|endpoint| endpoint.socket.as_fd());
    let mut watched: Vec<PollFd<'_>> =
        iter::once(stop.0.as_fd()).chain(descriptors).map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
    loop {
        match poll(&mut watched, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => debug!("the sockets were not watched: {error}"),
        }
        let is_stopped = !watched[0].revents().is_empty();
        for (socket, watched) in sockets.iter_mut().zip(&watched[1..]) {
            if is_stopped || !watched.revents().is_empty() {
                socket.answer_waiting(responder, &mut batch)?;
            }
        }
        if is_stopped {
            return Ok(());
        }
    }
}

/// The buffers of one batch. They are allocated once.
struct Batch {
    queries: [Vec<u8>; BATCH],
    responses: [Vec<u8>; BATCH],
    /// The client of each response.
    clients: [Option<SockaddrStorage>; BATCH],
    /// The local address that each response is sent from.
    sources: [Source; BATCH],
    /// The number of responses.
    length: usize,
    tally: ResponseTally,
}

/// The local address of a datagram.
#[derive(Clone, Copy)]
enum Source {
    /// The address of the socket.
    Socket,
    Ipv4(in_pktinfo),
    Ipv6(in6_pktinfo),
}

/// One socket of a worker, with what the system calls need.
struct WorkerSocket<'a> {
    endpoint: &'a UdpEndpoint,
    received: MultiHeaders<SockaddrStorage>,
    /// For responses whose source address is that of the socket.
    sent: MultiHeaders<SockaddrStorage>,
    /// For responses with a source address.
    sent_from: MultiHeaders<SockaddrStorage>,
}

impl Batch {
    fn new() -> Self {
        Self {
            queries: array::from_fn(|_| vec![0; QUERY_BYTES]),
            responses: array::from_fn(|_| Vec::with_capacity(MAX_DATAGRAM_BYTES.into())),
            clients: [None; BATCH],
            sources: [Source::Socket; BATCH],
            length: 0,
            tally: ResponseTally::default(),
        }
    }
}

impl Source {
    /// The local address that a datagram was sent to.
    fn of(message: &RecvMsg<'_, '_, SockaddrStorage>) -> Self {
        let control = message.cmsgs().ok().and_then(|mut messages| messages.next());
        match control {
            Some(ControlMessageOwned::Ipv4PacketInfo(info)) => {
                // The destination may be a broadcast address, from which nobody can answer. For a datagram that came before the option
                // was set, the kernel knows only the destination.
                let local = if info.ipi_spec_dst.s_addr == 0 { info.ipi_addr } else { info.ipi_spec_dst };
                Self::Ipv4(in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: local, ipi_addr: info.ipi_addr })
            }
            Some(ControlMessageOwned::Ipv6PacketInfo(info)) => {
                // A link-local address is that of one interface.
                let is_link_local = Ipv6Addr::from(info.ipi6_addr.s6_addr).is_unicast_link_local();
                let interface = if is_link_local { info.ipi6_ifindex } else { 0 };
                Self::Ipv6(in6_pktinfo { ipi6_ifindex: interface, ..info })
            }
            _ => Self::Socket,
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Socket, Self::Socket) => true,
            (Self::Ipv4(one), Self::Ipv4(two)) => one.ipi_spec_dst.s_addr == two.ipi_spec_dst.s_addr,
            (Self::Ipv6(one), Self::Ipv6(two)) => one.ipi6_addr.s6_addr == two.ipi6_addr.s6_addr,
            _ => false,
        }
    }
}

/// The IP address of a client.
fn ip_of(client: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = client.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
    v4.or_else(|| client.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
}

impl<'a> WorkerSocket<'a> {
    fn new(endpoint: &'a UdpEndpoint) -> Self {
        let control = Self::control(endpoint);
        Self {
            endpoint,
            received: MultiHeaders::preallocate(BATCH, control.clone()),
            sent: MultiHeaders::preallocate(BATCH, None),
            sent_from: MultiHeaders::preallocate(BATCH, control),
        }
    }

    /// A buffer for the local address of a datagram, if the socket has several of them.
    fn control(endpoint: &UdpEndpoint) -> Option<Vec<u8>> {
        match endpoint.address {
            address if !address.ip().is_unspecified() => None,
            SocketAddr::V4(_) => Some(cmsg_space!(in_pktinfo)),
            SocketAddr::V6(_) => Some(cmsg_space!(in6_pktinfo)),
        }
    }

    /// Answers the queries that wait in the socket.
    fn answer_waiting(&mut self, responder: &Responder, batch: &mut Batch) -> Result<(), FailedSocket> {
        for _ in 0..MAX_BATCHES {
            match self.receive(responder, batch) {
                Ok(count) => {
                    // A client that has a response finds it counted.
                    responder.counters.add(DnsTransport::Udp, &mut batch.tally);
                    self.send(batch);
                    if count < BATCH {
                        break;
                    }
                }
                Err(Errno::EAGAIN) => break,
                Err(errno) => {
                    let source = io::Error::from(errno);
                    if is_fatal(&source) {
                        return Err(FailedSocket { address: self.endpoint.address, source });
                    }
                    debug!("a datagram was not received: {source}");
                }
            }
        }
        Ok(())
    }

    /// Receives queries, and writes their responses. Returns the number of datagrams.
    fn receive(&mut self, responder: &Responder, batch: &mut Batch) -> Result<usize, Errno> {
        let Batch { queries, responses, clients, sources, length, tally } = batch;
        *length = 0;
        let mut slices = queries.each_mut().map(|query| [IoSliceMut::new(query)]);
        let fd = self.endpoint.socket.as_raw_fd();
        // All responses of a batch are of one decision.
        let served = responder.served.load();
        let mut count = 0;
        let mut lacks_source = false;
        let messages = recvmmsg(fd, &mut self.received, &mut slices, MsgFlags::MSG_DONTWAIT, None)?;
        let rate_limit = responder.rate_limit.at(Instant::now());
        for message in messages {
            count += 1;
            let (Some(query), Some(client)) = (message.iovs().next(), message.address) else { continue };
            let source = Source::of(&message);
            lacks_source |= matches!(source, Source::Socket);
            let response = &mut responses[*length];
            if let Some(responded) = served.respond(query, DnsTransport::Udp, response) {
                tally.count(responded);
                if let Some(ip) = ip_of(&client) {
                    let length = rate_limit.limit(ip, response);
                    response.truncate(length);
                }
                if response.is_empty() {
                    continue;
                }
                clients[*length] = Some(client);
                sources[*length] = source;
                *length += 1;
            }
        }
        if lacks_source && self.endpoint.address.ip().is_unspecified() {
            // The headers have become as short as the ones that the kernel wrote, so they have no place for an address any more.
            self.received = MultiHeaders::preallocate(BATCH, Self::control(self.endpoint));
        }
        Ok(count)
    }

    /// Sends the responses. One that the kernel refuses is lost, and the others are sent. If the queue of the kernel is full, all others
    /// are lost too: to wait would keep the other sockets waiting.
    fn send(&mut self, batch: &Batch) {
        let slices: [[IoSlice<'_>; 1]; BATCH] = array::from_fn(|index| [IoSlice::new(&batch.responses[index])]);
        let mut start = 0;
        while start < batch.length {
            let source = batch.sources[start];
            let rest = &batch.sources[start..batch.length];
            let end = start + rest.iter().position(|other| !other.is_same(&source)).unwrap_or(rest.len());
            let (slices, clients) = (&slices[start..end], &batch.clients[start..end]);
            let fd = self.endpoint.socket.as_raw_fd();
            let flags = MsgFlags::MSG_DONTWAIT;
            let sent = match &source {
                Source::Socket => sendmmsg(fd, &mut self.sent, slices, clients, [], flags),
                Source::Ipv4(info) => {
                    sendmmsg(fd, &mut self.sent_from, slices, clients, [ControlMessage::Ipv4PacketInfo(info)], flags)
                }
                Source::Ipv6(info) => {
                    sendmmsg(fd, &mut self.sent_from, slices, clients, [ControlMessage::Ipv6PacketInfo(info)], flags)
                }
            };
            // The kernel stops at the first one that it refuses. If that one is the first, the call is an error.
            start += match sent {
                Ok(sent) => sent.count().max(1),
                Err(Errno::EAGAIN) => {
                    debug!("{} responses were not sent: the queue of the kernel is full", batch.length - start);
                    return;
                }
                Err(error) => {
                    debug!("a response was not sent: {error}");
                    1
                }
            };
        }
    }
}
