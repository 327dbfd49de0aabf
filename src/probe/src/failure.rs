//! Turns the error of a phase into a kind of observation: a fault of the target, or a local error of this host.

use std::error::Error;
use std::io;

use daymark_certificates::ChainFault;
use daymark_decision::{Certificate, Kind};
use daymark_files::{error_chain, tls_message};
use rustls::{AlertDescription, InvalidMessage};

use crate::credentials::CredentialKind;

/// The most bytes of the body of an answer. A head may be as long, and is given up before it is twice that.
pub(super) const MAX_BODY_BYTES: usize = 64 * 1024;

/// The kind of observation that a failed TCP connection makes.
pub(super) fn of_connect(error: &io::Error) -> Kind {
    of_system(error, Kind::ConnectTimeout)
}

/// The kind of observation that a failed TLS handshake makes. `certificate` was seen in it, and `expected` is the name that it
/// needs. A connection that just ends during the handshake is closed early: nothing was refused.
pub(super) fn of_handshake(
    error: &io::Error,
    certificate: Option<&Certificate>,
    expected: &str,
    shown: CredentialKind,
) -> Kind {
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
        Some(rustls::Error::AlertReceived(AlertDescription::UnrecognisedName)) => {
            Kind::TlsFailed { detail: format!("the server knows no certificate for the name {expected}") }
        }
        Some(error) => of_alert(error, certificate.is_some(), shown)
            .unwrap_or_else(|| Kind::TlsFailed { detail: tls_message(error) }),
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
        ChainFault::Broken(rule) => Kind::CertificateRefused { detail: rule.to_string() },
    }
}

/// The kind of observation that an alert about the client certificate makes; `None` for any other error. `is_server_known` is
/// true if the server has shown its own certificate.
fn of_alert(error: &rustls::Error, is_server_known: bool, shown: CredentialKind) -> Option<Kind> {
    let rustls::Error::AlertReceived(alert) = error else { return None };
    let detail = match alert {
        AlertDescription::CertificateExpired => "it has expired",
        AlertDescription::CertificateRevoked => "it is revoked",
        AlertDescription::UnknownCA => "it is from a CA that the node does not trust",
        AlertDescription::UnsupportedCertificate => "the node does not support its kind",
        AlertDescription::BadCertificate | AlertDescription::CertificateUnknown => "it is not acceptable to the node",
        AlertDescription::AccessDenied => "its owner has no access",
        // rustls shows none if the server accepts no signature of its key.
        AlertDescription::CertificateRequired => "the node accepts no signature of its kind of key",
        AlertDescription::DecryptError if is_server_known && shown == CredentialKind::ClientCertificate => {
            "its signature is not of a CA that the node trusts"
        }
        // Before TLS 1.3 OpenSSL has this alert for a missing one. Once the server has shown its own certificate, the
        // algorithms are agreed, so that they are not the cause.
        AlertDescription::HandshakeFailure if is_server_known => "the node gives no reason",
        _ => return None,
    };
    Some(match shown {
        CredentialKind::ClientCertificate => Kind::ClientCertificateRefused { detail: detail.to_owned() },
        CredentialKind::Token => Kind::ClientCertificateRequired { credentials: true },
        CredentialKind::None => Kind::ClientCertificateRequired { credentials: false },
    })
}

/// The kind of observation that a failed request makes, of a probe that showed these credentials.
pub(super) fn of_request(error: &hyper::Error, shown: CredentialKind) -> Kind {
    if error.is_parse_too_large() {
        return Kind::TooLarge { limit: MAX_BODY_BYTES };
    }
    let mut sources = std::iter::successors(error.source(), |&error| error.source());
    match sources.find_map(|source| source.downcast_ref::<io::Error>()) {
        Some(io) => of_transport(io, shown),
        None if error.is_parse() => Kind::NotHttp,
        None => Kind::ClosedEarly,
    }
}

fn of_transport(error: &io::Error, shown: CredentialKind) -> Kind {
    // TLS 1.3 lets the server refuse a client's certificate only after the handshake (RFC 8446, section 4.4.2.4).
    if let Some(error) = tls(error) {
        return of_alert(error, true, shown).unwrap_or_else(|| Kind::TlsFailed { detail: tls_message(error) });
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
        assert_eq!(of_handshake(&error, None, "lb", CredentialKind::None), Kind::TlsStall);
    }

    fn of_alert_code(code: u8, shown: CredentialKind) -> String {
        let error = io::Error::other(rustls::Error::AlertReceived(AlertDescription::from(code)));
        of_handshake(&error, None, "lb.example.org", shown).to_string()
    }

    #[test]
    fn an_alert_about_the_client_certificate_says_that_it_is_refused_or_missing() {
        let refused = [
            (42, "it is not acceptable to the node"),
            (43, "the node does not support its kind"),
            (44, "it is revoked"),
            (45, "it has expired"),
            (46, "it is not acceptable to the node"),
            (48, "it is from a CA that the node does not trust"),
            (49, "its owner has no access"),
            (116, "the node accepts no signature of its kind of key"),
        ];
        for (code, reason) in refused {
            let expected = format!("the node refuses the client certificate: {reason}; renew that of `probe.auth`");
            assert_eq!(of_alert_code(code, CredentialKind::ClientCertificate), expected);
            let expected = "the node demands a client certificate; set `probe.auth`";
            assert_eq!(of_alert_code(code, CredentialKind::None), expected);
            let expected = "the node demands a client certificate, and `probe.auth` has a token; set \
                            `probe.auth.clientCertificate` instead";
            assert_eq!(of_alert_code(code, CredentialKind::Token), expected);
        }
    }

    #[test]
    fn a_failed_handshake_is_about_the_algorithms_only_before_the_certificate_of_the_server() {
        let error = io::Error::other(rustls::Error::AlertReceived(AlertDescription::HandshakeFailure));
        let seen = Certificate { names: Vec::new(), not_after: daymark_decision::Moment::default() };
        let of = |seen| of_handshake(&error, seen, "lb.example.org", CredentialKind::None);
        assert_eq!(of(Some(&seen)), Kind::ClientCertificateRequired { credentials: false });
        let expected = "the TLS handshake failed: the server shares no cipher suite, key exchange or kind of key with Daymark; \
                        CBC ciphers, key exchange with P-521 alone, and a P-521 key over TLS 1.2 are not supported";
        assert_eq!(of(None).to_string(), expected);
    }

    #[test]
    fn an_alert_about_the_name_or_the_protocol_says_so() {
        let of = |code| of_alert_code(code, CredentialKind::None);
        let expected = "the TLS handshake failed: the server knows no certificate for the name lb.example.org";
        assert_eq!(of(112), expected);
        assert_eq!(of(70), "the TLS handshake failed: the server speaks only TLS older than 1.2");
        assert_eq!(of(120), "the TLS handshake failed: the server does not speak HTTP/1.1");
        assert_eq!(of(80), "the TLS handshake failed: the server sent the TLS alert 80, internal error");
    }
}
