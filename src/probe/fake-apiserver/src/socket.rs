//! Effects on sockets: silence and reset.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockFilter, Socket};

/// The client of a connection.
#[derive(Clone, Debug)]
pub(crate) struct FakeClient {
    pub(crate) has_certificate: bool,
    pub(crate) socket: Arc<Socket>,
}

impl FakeClient {
    /// Makes the kernel reset the connection when it is closed.
    pub(crate) fn reset_on_close(&self) {
        reset_on_close(&self.socket);
    }
}

pub(crate) fn reset_on_close(socket: &Socket) {
    // Fails only on a closed socket, which needs no reset.
    drop(socket.set_linger(Some(Duration::ZERO)));
}

/// Makes a socket drop every packet, or receive packets again.
///
/// A socket filter that accepts 0 bytes of each packet drops it. On a listener that includes SYN packets. The peer gets no
/// response, not even an ACK.
pub(crate) fn set_silent(socket: &Socket, silent: bool) -> io::Result<()> {
    /// `BPF_RET | BPF_K`: ends the filter and returns the number of bytes to accept.
    const RETURN: u16 = 0x06;
    if silent {
        return socket.attach_filter(&[SockFilter::new(RETURN, 0, 0, 0)]);
    }
    match socket.detach_filter() {
        // No filter was attached.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
