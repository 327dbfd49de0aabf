//! Turns an HTTP answer into a kind of observation. It knows nothing of connections.

use daymark_decision::Kind;
use http::header::LOCATION;
use http::{HeaderMap, StatusCode};

use crate::credentials::CredentialKind;

/// The most failing checks that an observation names. The target writes the body, so it is bounded.
const MAX_FAILING_CHECKS: usize = 64;
/// The most bytes of the name of a check.
const MAX_CHECK_BYTES: usize = 128;
/// The most characters of a `Location` that an observation shows.
const MAX_LOCATION_CHARS: usize = 512;

/// The kind of observation that a whole answer makes to a probe that showed these credentials.
pub(super) fn kind(status: StatusCode, headers: &HeaderMap, body: &[u8], shown: CredentialKind) -> Kind {
    match status.as_u16() {
        200 => Kind::Ready,
        500 => from_checks(&String::from_utf8_lossy(body)),
        403 if is_role_missing(&String::from_utf8_lossy(body)) => Kind::Starting,
        status @ (401 | 403) => Kind::Unauthorized { status, credentials: shown != CredentialKind::None },
        429 => Kind::Overloaded,
        503 => Kind::Starting,
        status @ 300..=399 => Kind::Redirect { status, location: location(headers) },
        status => Kind::OtherStatus { status },
    }
}

/// Reads the list of checks: `apiserver/pkg/server/healthz/healthz.go`, `handleRootHealth`.
fn from_checks(body: &str) -> Kind {
    let failing = body.lines().filter_map(|line| line.strip_prefix("[-]")?.split_whitespace().next());
    if failing.clone().any(|check| check == "shutdown") {
        return Kind::ShuttingDown;
    }
    let named = failing.filter(|check| check.len() <= MAX_CHECK_BYTES && check.chars().all(|c| c.is_ascii_graphic()));
    Kind::NotReady { failing: named.take(MAX_FAILING_CHECKS).map(str::to_owned).collect() }
}

/// True if the authorizer of RBAC failed because it has not loaded a role yet: `plugin/pkg/auth/authorizer/rbac/rbac.go`,
/// `Authorize`, adds such errors to the reason.
fn is_role_missing(body: &str) -> bool {
    body.split_once("RBAC: ").is_some_and(|(_, errors)| errors.contains("role") && errors.contains("not found"))
}

fn location(headers: &HeaderMap) -> Option<String> {
    let location = headers.get(LOCATION)?.to_str().ok()?;
    Some(location.chars().take(MAX_LOCATION_CHARS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &str) -> Kind {
        kind(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes(), CredentialKind::Token)
    }

    #[test]
    fn the_failing_checks_are_named_in_their_order() {
        let body = "[+]ping ok\n[-]etcd failed: reason withheld\n[-]poststarthook/rbac/bootstrap-roles failed: reason \
                    withheld\nreadyz check failed\n";
        let failing = vec!["etcd".to_owned(), "poststarthook/rbac/bootstrap-roles".to_owned()];
        assert_eq!(of(500, body), Kind::NotReady { failing });
    }

    #[test]
    fn a_role_that_is_not_loaded_yet_is_a_start() {
        let body = r#"{"kind":"Status","message":"forbidden: User \"system:anonymous\" cannot get path \"/readyz\": RBAC: clusterrole.rbac.authorization.k8s.io \"system:public-info-viewer\" not found","code":403}"#;
        assert_eq!(of(403, body), Kind::Starting);
        let body = r#"{"message":"forbidden: User \"system:anonymous\" cannot get path \"/readyz\"","code":403}"#;
        assert_eq!(of(403, body), Kind::Unauthorized { status: 403, credentials: true });
    }

    #[test]
    fn the_check_shutdown_outweighs_every_other_failing_one() {
        let body = "[-]etcd failed: reason withheld\n[-]shutdown failed: reason withheld\nreadyz check failed\n";
        assert_eq!(of(500, body), Kind::ShuttingDown);
    }

    #[test]
    fn a_check_that_only_begins_like_shutdown_is_not_shutdown() {
        let failing = vec!["shutdown-later".to_owned()];
        assert_eq!(of(500, "[-]shutdown-later failed: reason withheld\n"), Kind::NotReady { failing });
    }

    #[test]
    fn a_500_without_a_list_names_no_check() {
        for body in ["", "Internal Server Error", "[-]", "[-] \n", "\u{0}\u{ffff}"] {
            assert_eq!(of(500, body), Kind::NotReady { failing: Vec::new() }, "{body:?}");
        }
    }

    #[test]
    fn names_that_no_check_has_are_left_out_and_many_are_cut() {
        let escape = "[-]\u{1b}[31mred failed\n";
        let long = format!("[-]{} failed\n", "x".repeat(MAX_CHECK_BYTES + 1));
        let many = "[-]a failed\n".repeat(MAX_FAILING_CHECKS + 1);
        let Kind::NotReady { failing } = of(500, &format!("{escape}{long}{many}")) else { panic!("not a 500") };
        assert_eq!(failing, vec!["a"; MAX_FAILING_CHECKS]);
    }

    #[test]
    fn every_status_has_its_kind() {
        assert_eq!(of(200, "anything"), Kind::Ready);
        assert_eq!(of(204, ""), Kind::OtherStatus { status: 204 });
        assert_eq!(of(307, ""), Kind::Redirect { status: 307, location: None });
        assert_eq!(of(401, ""), Kind::Unauthorized { status: 401, credentials: true });
        assert_eq!(of(403, ""), Kind::Unauthorized { status: 403, credentials: true });
        assert_eq!(of(404, ""), Kind::OtherStatus { status: 404 });
        assert_eq!(of(429, ""), Kind::Overloaded);
        assert_eq!(of(502, ""), Kind::OtherStatus { status: 502 });
        assert_eq!(of(503, ""), Kind::Starting);
    }
}
