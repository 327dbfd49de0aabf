//! The ends of the CAs that the probes of a pool trust and of the credentials that they show, and the rule for a warning.

use std::path::Path;

use daymark_certificates::{Authorities, Authority, CertificateValidity, ClientIdentity};
use daymark_files::Token;
use jiff::Timestamp;
use jiff::tz::TimeZone;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The time before the end of a certificate in which there is a warning, in seconds.
const WARNING_PERIOD: i64 = 30 * DAY;

/// The part of the lifetime of a token at whose end there is a warning, as a divisor. The kubelet renews its tokens when a fifth
/// is left, so a tenth is left only if it does not.
const TOKEN_WARNING_DIVISOR: i64 = 10;

/// The ends of all that the probes of a pool trust and show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expiries {
    /// The CAs of the file `ca`, in its order.
    pub authorities: Vec<Expiry>,
    /// The client certificate or the token; `None` without one, and for a token without a known end.
    pub credentials: Option<Expiry>,
}

/// A certificate or a token with its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// The subject of the certificate, or the file of the token.
    pub name: String,
    /// Its end, in seconds since the Unix epoch.
    pub not_after: i64,
    /// The time before the end in which there is a warning, in seconds.
    warning_period: i64,
    kind: ExpiryKind,
    /// The start that is warned of until then.
    start: Option<ValidityStart>,
}

/// The start of a certificate or of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ValidityStart {
    name: String,
    kind: ExpiryKind,
    /// The seconds since the Unix epoch.
    at: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExpiryKind {
    Authority,
    ClientCertificate,
    /// A CA in the file of the client certificate.
    ClientAuthority,
    Token,
}

impl Expiry {
    /// The ends of the CAs of a file. A start counts until the first of them has begun: the next one often waits beside it.
    pub fn of_authorities(authorities: &Authorities) -> Vec<Self> {
        let first = authorities.iter().map(|authority| authority.not_before).min();
        authorities.iter().map(|authority| Self::of_authority(authority, first)).collect()
    }

    fn of_authority(authority: Authority, first_start: Option<i64>) -> Self {
        let Authority { name, not_before, not_after } = authority;
        let kind = ExpiryKind::Authority;
        let start =
            (first_start == Some(not_before)).then(|| ValidityStart { name: name.clone(), kind, at: not_before });
        Self { name, not_after, warning_period: WARNING_PERIOD, kind, start }
    }

    /// The first end and the last start of a client certificate and of the CAs in its file; `None` without any certificate.
    pub fn of_client_certificate(identity: &ClientIdentity) -> Option<Self> {
        let kind = |index: usize| if index == 0 { ExpiryKind::ClientCertificate } else { ExpiryKind::ClientAuthority };
        let numbered = || identity.chain.iter().enumerate();
        let (first, CertificateValidity { name, not_after, .. }) = numbered().min_by_key(|(_, one)| one.not_after)?;
        let last_start = numbered().rev().max_by_key(|(_, one)| one.not_before);
        let start = last_start.map(|(index, one)| ValidityStart {
            name: one.name.clone(),
            kind: kind(index),
            at: one.not_before,
        });
        Some(Self {
            name: name.clone(),
            not_after: *not_after,
            warning_period: WARNING_PERIOD,
            kind: kind(first),
            start,
        })
    }

    /// The end of the token in a file; `None` if it is not known.
    pub fn of_token(token: &Token, file: &Path) -> Option<Self> {
        let lifetime = token.lifetime()?;
        let length = lifetime.start.map(|start| lifetime.end.saturating_sub(start));
        // A token of the kubelet has a start. One without is made by hand, and lives for long.
        let last_part = length.map_or(WARNING_PERIOD, |length| length / TOKEN_WARNING_DIVISOR);
        let name = file.display().to_string();
        let kind = ExpiryKind::Token;
        Some(Self {
            not_after: lifetime.end,
            warning_period: last_part.clamp(0, WARNING_PERIOD),
            kind,
            start: lifetime.not_before.map(|at| ValidityStart { name: name.clone(), kind, at }),
            name,
        })
    }

    /// The warning that it has expired, has not begun, or will expire soon: within 30 days for a certificate; for a token within
    /// a tenth of its lifetime, and 30 days at the most. `now` is in seconds since the Unix epoch.
    pub fn warning(&self, now: i64) -> Option<String> {
        let left = self.not_after.saturating_sub(now);
        let subject = self.kind.subject(&self.name);
        let effect = self.kind.effect();
        let moment = self.kind.moment(self.not_after);
        if left < 0 {
            let otherwise = match self.kind {
                ExpiryKind::Authority => ", or remove it if no node uses it",
                ExpiryKind::ClientCertificate | ExpiryKind::ClientAuthority | ExpiryKind::Token => "",
            };
            return Some(format!("{subject} expired {moment}, so {effect}; renew it{otherwise}"));
        }
        if let Some(start) = self.start.as_ref().filter(|start| now < start.at) {
            let subject = start.kind.subject(&start.name);
            let moment = start.kind.moment(start.at);
            let wait = rounded_down(start.at.saturating_sub(now));
            return Some(format!(
                "{subject} begins {moment}, in {wait}, and until then {effect}; use one that is valid now"
            ));
        }
        (left < self.warning_period).then(|| {
            format!(
                "{subject} expires {moment}, in {}, and from then on {effect}; renew it before then",
                rounded_down(left)
            )
        })
    }
}

impl ExpiryKind {
    fn subject(self, name: &str) -> String {
        let kind = match self {
            Self::Authority => "CA",
            Self::ClientCertificate => "client certificate",
            Self::ClientAuthority => "CA of the client certificate",
            Self::Token => "token in",
        };
        format!("the {kind} {name}")
    }

    fn effect(self) -> &'static str {
        match self {
            Self::Authority => "clients refuse every node whose certificate it issued",
            Self::ClientCertificate | Self::ClientAuthority | Self::Token => {
                "nodes refuse the credentials of the probes"
            }
        }
    }

    /// A time in UTC: the date for a certificate, and the time for a token, which may live for minutes.
    fn moment(self, seconds: i64) -> String {
        let Ok(moment) = Timestamp::from_second(seconds) else { return format!("at {seconds}") };
        match self {
            Self::Authority | Self::ClientCertificate | Self::ClientAuthority => {
                format!("on {}", moment.to_zoned(TimeZone::UTC).date())
            }
            Self::Token => format!("at {moment}"),
        }
    }
}

/// A length of time in its largest unit, such as `21 days`.
fn rounded_down(seconds: i64) -> String {
    let (count, unit) = match seconds {
        ..HOUR => (seconds / MINUTE, "minute"),
        HOUR..DAY => (seconds / HOUR, "hour"),
        _ => (seconds / DAY, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: i64 = 4_102_444_800;

    fn token(claims: &str) -> Option<Expiry> {
        let claims = data_encoding::BASE64URL_NOPAD.encode(claims.as_bytes());
        let token = Token::parse(format!("e30.{claims}.c2ln").as_bytes()).ok().unwrap();
        Expiry::of_token(&token, Path::new("/run/token"))
    }

    fn warning(of: &Expiry, left: i64) -> String {
        of.warning(END - left).unwrap_or_default()
    }

    #[test]
    fn a_ca_warns_thirty_days_before_its_end() {
        let ca = Expiry::of_authority(
            Authority { name: "CN=kubernetes".to_owned(), not_before: 0, not_after: END },
            Some(0),
        );
        assert_eq!(warning(&ca, 30 * DAY), "");
        let soon = "the CA CN=kubernetes expires on 2100-01-01, in 29 days, and from then on clients refuse every node whose \
                    certificate it issued; renew it before then";
        assert_eq!(warning(&ca, 30 * DAY - 1), soon);
        assert!(warning(&ca, HOUR).contains(", in 1 hour, "), "{}", warning(&ca, HOUR));
        let over = "the CA CN=kubernetes expired on 2100-01-01, so clients refuse every node whose certificate it issued; renew \
                    it, or remove it if no node uses it";
        assert_eq!(warning(&ca, -1), over);
    }

    #[test]
    fn a_token_of_the_kubelet_warns_only_if_it_was_not_renewed_in_time() {
        let of_an_hour = token(&format!("{{\"iat\": {}, \"exp\": {END}}}", END - 3607)).unwrap();
        assert_eq!(warning(&of_an_hour, 720), "", "the kubelet renews it when a fifth is left");
        assert_eq!(warning(&of_an_hour, 360), "");
        let soon = "the token in /run/token expires at 2100-01-01T00:00:00Z, in 5 minutes, and from then on nodes refuse the \
                    credentials of the probes; renew it before then";
        assert_eq!(warning(&of_an_hour, 359), soon);
        let over = "the token in /run/token expired at 2100-01-01T00:00:00Z, so nodes refuse the credentials of the probes; \
                    renew it";
        assert_eq!(warning(&of_an_hour, -1), over);
    }

    #[test]
    fn a_token_of_years_warns_thirty_days_before_its_end() {
        let of_years = token(&format!("{{\"iat\": 0, \"exp\": {END}}}")).unwrap();
        assert_eq!(warning(&of_years, 30 * DAY), "");
        assert!(warning(&of_years, 30 * DAY - 1).contains(", in 29 days, "));
    }

    #[test]
    fn a_token_without_a_start_warns_thirty_days_before_its_end() {
        let without_a_start = token(&format!("{{\"exp\": {END}}}")).unwrap();
        assert_eq!(warning(&without_a_start, 30 * DAY), "");
        assert!(warning(&without_a_start, 30 * DAY - 1).contains(", in 29 days, "));
        assert!(warning(&without_a_start, -1).contains(" expired at "));
        assert_eq!(token("{}"), None);
    }

    #[test]
    fn a_start_that_is_not_reached_is_a_warning() {
        let token = token(&format!("{{\"nbf\": {}, \"exp\": {END}}}", END - DAY)).unwrap();
        assert_eq!(warning(&token, DAY), "");
        let expected = "the token in /run/token begins at 2099-12-31T00:00:00Z, in 1 hour, and until then nodes refuse the \
                        credentials of the probes; use one that is valid now";
        assert_eq!(warning(&token, DAY + HOUR), expected);

        let authority = |not_before| Authority { name: "CN=next".to_owned(), not_before, not_after: END };
        let alone = Expiry::of_authority(authority(END - 360 * DAY), Some(END - 360 * DAY));
        let expected = "the CA CN=next begins on 2099-01-06, in 5 days, and until then clients refuse every node whose \
                        certificate it issued; use one that is valid now";
        assert_eq!(warning(&alone, 365 * DAY), expected);
        let beside_another = Expiry::of_authority(authority(END - 360 * DAY), Some(0));
        assert_eq!(warning(&beside_another, 365 * DAY), "");
    }
}
