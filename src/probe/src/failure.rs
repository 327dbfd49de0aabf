//! Turns the error of a phase into a kind of observation: a fault of the target, or a local error of this host.

use std::error::Error;
use std::io;

use daymark_certificates::ChainFault;
use daymark_decision::{Certificate, Kind};
use daymark_files::{error_chain, tls_message};
use rustls::InvalidMessage;

/// The most bytes of the body of an answer. A head may be as long, and is given up before it is twice that.
pub(super) const MAX_BODY_BYTES: usize = 64 * 1024;

/// The kind of observation that a failed TCP connection makes.
pub(super) fn of_connect(error: &io::Error) -> Kind {
    of_system(error, Kind::ConnectTimeout)
}

/// The kind of observation that a failed TLS handshake makes. `certificate` was seen in it, and `expected` is the name that it
/// needs. A connection that just ends during the handshake is closed early: nothing was refused.
pub(super) fn of_handshake(error: &io::Error, certificate: Option<&Certificate>, expected: &str) -> Kind {
    if let Some(fault) = tls(error).and_then(ChainFault::of) {
        return of_chain(fault, certificate, expected);
    }
    match tls(error) {
        Some(rustls::Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::InvalidEmptyPayload
            | InvalidMessage::MessageTooLarge
            | InvalidMessage::UnknownProtocolVersion,
        )) => Kind::NotTls,
        Some(error) => Kind::TlsFailed { detail: tls_message(error) },
        None => of_system(error, Kind::TlsStall),
    }
}

fn of_chain(fault: &ChainFault, certificate: Option<&Certificate>, expected: &str) -> Kind {
    match fault {
        ChainFault::Expired => Kind::Expired,
        ChainFault::NotYetValid => Kind::NotYetValid,
        ChainFault::WrongName => Kind::WrongName {
            expected: expected.to_owned(),
            names: certificate.map(|seen| seen.names.clone()).unwrap_or_default(),
        },
        ChainFault::UntrustedCa => Kind::UntrustedCa,
        ChainFault::CaExpired { ca, .. } => Kind::CaExpired { ca: ca.clone() },
        ChainFault::Other(detail) => Kind::CertificateRefused { detail: detail.clone() },
    }
}

/// The kind of observation that a failed request makes.
pub(super) fn of_request(error: &hyper::Error) -> Kind {
    if error.is_parse_too_large() {
        return Kind::TooLarge { limit: MAX_BODY_BYTES };
    }
    let mut sources = std::iter::successors(error.source(), |&error| error.source());
    match sources.find_map(|source| source.downcast_ref::<io::Error>()) {
        Some(io) => of_transport(io),
        None if error.is_parse() => Kind::NotHttp,
        None => Kind::ClosedEarly,
    }
}

fn of_transport(error: &io::Error) -> Kind {
    // TLS 1.3 lets the server refuse a client's certificate only after the handshake (RFC 8446, section 4.4.2.4).
    if let Some(error) = tls(error) {
        return Kind::TlsFailed { detail: tls_message(error) };
    }
    // An error of hyper itself, as of a malformed chunk.
    if error.raw_os_error().is_none() && is_malformed(error) {
        return Kind::NotHttp;
    }
    of_system(error, Kind::AnswerTimeout)
}

fn is_malformed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput)
}

fn tls(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// The kind of observation that an error of the system makes; `silence` if the system itself ran out of time.
fn of_system(error: &io::Error, silence: Kind) -> Kind {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => return Kind::Refused,
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => return Kind::Reset,
        io::ErrorKind::UnexpectedEof => return Kind::ClosedEarly,
        io::ErrorKind::TimedOut => return silence,
        _ => {}
    }
    match error.raw_os_error() {
        // Linux turns ICMP errors into these (net/ipv4/icmp.c, icmp_err_convert). ENETUNREACH is one of them too, but a host
        // without a route has it as well, and a host that reaches nothing must not judge.
        Some(libc::EHOSTUNREACH | libc::EHOSTDOWN | libc::ENONET | libc::ENOPROTOOPT | libc::EOPNOTSUPP) => {
            Kind::Unreachable
        }
        _ => Kind::LocalError { detail: error_chain(error) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: i32) -> Kind {
        of_connect(&io::Error::from_raw_os_error(code))
    }

    #[test]
    fn an_error_from_the_network_is_a_fault_of_the_target() {
        assert_eq!(of(libc::ECONNREFUSED), Kind::Refused);
        assert_eq!(of(libc::ECONNRESET), Kind::Reset);
        assert_eq!(of(libc::EPIPE), Kind::Reset);
        assert_eq!(of(libc::EHOSTUNREACH), Kind::Unreachable);
        assert_eq!(of(libc::EHOSTDOWN), Kind::Unreachable);
        assert_eq!(of(libc::ETIMEDOUT), Kind::ConnectTimeout);
    }

    #[test]
    fn a_missing_resource_of_this_host_is_a_local_error() {
        let own = [
            libc::EMFILE,
            libc::ENFILE,
            libc::ENOMEM,
            libc::ENOBUFS,
            libc::ENETUNREACH,
            libc::ENETDOWN,
            libc::EADDRNOTAVAIL,
            libc::EAFNOSUPPORT,
            libc::EACCES,
            libc::EPERM,
        ];
        for code in own {
            assert!(matches!(of(code), Kind::LocalError { .. }), "{}", io::Error::from_raw_os_error(code));
        }
    }

    #[test]
    fn the_systems_own_timeout_is_the_silence_of_its_phase() {
        let error = io::Error::from_raw_os_error(libc::ETIMEDOUT);
        assert_eq!(of_handshake(&error, None, "lb"), Kind::TlsStall);
    }
}
