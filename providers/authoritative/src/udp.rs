//! Answers datagrams.

use std::io;

use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::bind::is_dead;
use crate::counts::Transport;
use crate::respond::Responder;

/// Bytes of the longest query that is read whole.
const LONGEST_QUERY: usize = 4096;

/// Answers what comes until it is stopped, or until the socket is dead.
pub(crate) async fn serve(socket: UdpSocket, responder: &Responder, stop: &CancellationToken) -> io::Result<()> {
    // Around the whole loop: waiting for the token takes a lock, which a query need not.
    match stop.run_until_cancelled(answer(&socket, responder)).await {
        Some(dead) => Err(dead),
        None => Ok(()),
    }
}

/// Answers for ever; gives the error that ends it.
async fn answer(socket: &UdpSocket, responder: &Responder) -> io::Error {
    let mut query = vec![0; LONGEST_QUERY];
    let mut response = Vec::new();
    loop {
        let (length, client) = match socket.recv_from(&mut query).await {
            Ok(received) => received,
            Err(error) if is_dead(&error) => return error,
            Err(error) => {
                debug!(%error, "a datagram was not received");
                continue;
            }
        };
        if !responder.respond(&query[..length], Transport::Udp, &mut response) {
            continue;
        }
        if let Err(error) = socket.send_to(&response, client).await {
            debug!(%client, %error, "a response was not sent");
        }
    }
}
