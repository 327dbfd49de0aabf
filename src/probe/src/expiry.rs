//! The ends of the CAs that the probes of a pool trust and of the credentials that they show, and the rule for a warning.

use std::path::Path;

use daymark_certificates::{Authority, ClientIdentity};
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExpiryKind {
    Authority,
    ClientCertificate,
    Token,
}

impl Expiry {
    /// The end of a CA.
    pub fn of_authority(authority: Authority) -> Self {
        let Authority { name, not_after } = authority;
        Self { name, not_after, warning_period: WARNING_PERIOD, kind: ExpiryKind::Authority }
    }

    /// The end of a client certificate.
    pub fn of_client_certificate(identity: &ClientIdentity) -> Self {
        Self {
            name: identity.name.clone(),
            not_after: identity.not_after,
            warning_period: WARNING_PERIOD,
            kind: ExpiryKind::ClientCertificate,
        }
    }

    /// The end of the token in a file; `None` if it is not known.
    pub fn of_token(token: &Token, file: &Path) -> Option<Self> {
        let lifetime = token.lifetime()?;
        let length = lifetime.start.map(|start| lifetime.end.saturating_sub(start));
        let last_part = length.map(|length| length / TOKEN_WARNING_DIVISOR);
        Some(Self {
            name: file.display().to_string(),
            not_after: lifetime.end,
            warning_period: last_part.unwrap_or_default().clamp(0, WARNING_PERIOD),
            kind: ExpiryKind::Token,
        })
    }

    /// The warning that it has expired, or will soon: within 30 days for a certificate; for a token within a tenth of its
    /// lifetime, and 30 days at the most. `now` is in seconds since the Unix epoch.
    pub fn warning(&self, now: i64) -> Option<String> {
        let left = self.not_after.saturating_sub(now);
        let subject = self.subject();
        let effect = self.effect();
        let moment = self.moment();
        if left < 0 {
            let otherwise = match self.kind {
                ExpiryKind::Authority => ", or remove it if no node uses it",
                ExpiryKind::ClientCertificate | ExpiryKind::Token => "",
            };
            return Some(format!("{subject} expired {moment}, so {effect}; renew it{otherwise}"));
        }
        (left < self.warning_period).then(|| {
            format!(
                "{subject} expires {moment}, in {}, and from then on {effect}; renew it before then",
                rounded_down(left)
            )
        })
    }

    fn subject(&self) -> String {
        let kind = match self.kind {
            ExpiryKind::Authority => "CA",
            ExpiryKind::ClientCertificate => "client certificate",
            ExpiryKind::Token => "token in",
        };
        format!("the {kind} {}", self.name)
    }

    fn effect(&self) -> &'static str {
        match self.kind {
            ExpiryKind::Authority => "clients refuse every node whose certificate it issued",
            ExpiryKind::ClientCertificate | ExpiryKind::Token => "nodes refuse the credentials of the probes",
        }
    }

    /// The end in UTC: the date for a certificate, and the time for a token, which may live for minutes.
    fn moment(&self) -> String {
        let Ok(end) = Timestamp::from_second(self.not_after) else { return format!("at {}", self.not_after) };
        match self.kind {
            ExpiryKind::Authority | ExpiryKind::ClientCertificate => {
                format!("on {}", end.to_zoned(TimeZone::UTC).date())
            }
            ExpiryKind::Token => format!("at {end}"),
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
        let ca = Expiry::of_authority(Authority { name: "CN=kubernetes".to_owned(), not_after: END });
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
    fn a_token_without_a_start_warns_once_it_has_expired() {
        let without_a_start = token(&format!("{{\"exp\": {END}}}")).unwrap();
        assert_eq!(warning(&without_a_start, 0), "");
        assert!(warning(&without_a_start, -1).contains(" expired at "));
        assert_eq!(token("{}"), None);
    }
}
