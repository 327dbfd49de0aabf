//! The sockets that a service manager has bound for Daymark (`sd_listen_fds(3)`), as systemd does by a socket unit. It does not
//! know what is served there.

use daymark_authoritative::InheritedSockets;
use listenfd::ListenFd;

/// Takes them; else says what cannot be one of them. Once, and before anything else runs, for it changes the environment.
pub fn take() -> Result<InheritedSockets, String> {
    let (mut passed, mut given) = (ListenFd::from_env(), InheritedSockets::default());
    for index in 0..passed.len() {
        match passed.take_udp_socket(index) {
            Ok(udp) => given.udp.extend(udp),
            Err(_) => given.tcp.extend(passed.take_tcp_listener(index).map_err(|error| {
                format!("the service manager has passed what is no socket of UDP or TCP: {error}; its socket unit is to be mended")
            })?),
        }
    }
    Ok(given)
}
