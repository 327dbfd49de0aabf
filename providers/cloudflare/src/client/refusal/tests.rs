use super::*;

fn error(code: u32, message: &str) -> ApiError {
    ApiError { code, message: message.to_owned(), error_chain: Vec::new() }
}

fn refusal_message(call: Call, path: &str, status: u16, errors: &[ApiError]) -> String {
    let token = TokenSource::File("/token".into());
    RefusedCall { call, owner: &ObjectOwner::of(path), status, errors, token: &token }.to_string()
}

const RECORDS: &str = "/zones/z1/dns_records";
const BALANCERS: &str = "/zones/z1/load_balancers";
const POOLS: &str = "/accounts/a1/load_balancers/pools";

/// One refusal, and the end of its message.
struct Case {
    call: Call,
    path: &'static str,
    status: u16,
    code: u32,
    message: &'static str,
    advice: &'static str,
}

/// The messages are Cloudflare's: from its forum, and the issues of its SDKs, of external-dns and of Terraform's provider.
const CASES: [Case; 18] = [
    Case {
        call: Call::WritePool,
        path: POOLS,
        status: 400,
        code: 1002,
        message: "origin addresses must be unique: validation failed",
        advice: "remove one of the origins with the same address from the pool",
    },
    Case {
        call: Call::WriteRecord,
        path: RECORDS,
        status: 400,
        code: 7003,
        message: "Could not route to /zones/x, perhaps your object identifier is invalid?",
        advice: "check the zone, the account and the pool in the configuration, and check that the token may see them",
    },
    Case {
        call: Call::ReadZone,
        path: "/zones",
        status: 400,
        code: 6003,
        message: "Invalid request headers",
        advice: "the token in the file /token is malformed; check it for quotes and newlines, and check that it is not a global API \
             key",
    },
    Case {
        call: Call::WriteRecord,
        path: RECORDS,
        status: 403,
        code: 9109,
        message: "Cannot use the access token from location: 203.0.113.7",
        advice: "the token in the file /token is restricted to addresses that this host does not have; add the host's address to the \
             token's client IP address filtering",
    },
    Case {
        call: Call::VerifyToken,
        path: "/user/tokens/verify",
        status: 401,
        code: 1000,
        message: "Invalid API Token",
        advice: "the token in the file /token is not accepted, because it is unknown, expired or revoked; create a new one",
    },
    Case {
        call: Call::WriteRecord,
        path: RECORDS,
        status: 403,
        code: 10000,
        message: "Authentication error",
        advice: "the token in the file /token lacks the permission \"zone, DNS: Edit\" for the zone z1, or is not valid, or may not see this zone; correct the token, or `zone`",
    },
    Case {
        call: Call::ReadPool,
        path: POOLS,
        status: 403,
        code: 10000,
        message: "Authentication error",
        advice: "the token in the file /token lacks the permission \"account, Load Balancing: Monitors And Pools: Read\" for the \
             account a1, or is not valid, or may not see this account; correct the token, or `account`",
    },
    Case {
        call: Call::ReadZone,
        path: "/zones",
        status: 403,
        code: 9109,
        message: "Unauthorized to access requested resource",
        advice: "the token in the file /token lacks the permission \"zone, Zone: Read\", or is not valid; correct the token",
    },
    Case {
        call: Call::ReadPool,
        path: POOLS,
        status: 404,
        code: 1001,
        message: "object could not be found",
        advice: "check the zone, the account and the pool in the configuration, and check that the token may see them",
    },
    Case {
        call: Call::WriteBalancer,
        path: BALANCERS,
        status: 400,
        code: 1002,
        message: "load balancing not enabled for zone: validation failed",
        advice: "the account has no Load Balancing for this zone; order it, or set `mode: records`, which every plan has",
    },
    Case {
        call: Call::WritePool,
        path: POOLS,
        status: 403,
        code: 1002,
        message: "Access Failed",
        advice: "the account has no Load Balancing for this zone; order it, or set `mode: records`, which every plan has",
    },
    Case {
        call: Call::WritePool,
        path: POOLS,
        status: 400,
        code: 1002,
        message: "origin list length must be in range [1, 2]: validation failed",
        advice: "the account's Load Balancing has fewer endpoints than the pool needs; order more of them, or take nodes out of the \
             pool's `nodes`",
    },
    Case {
        call: Call::WriteRecord,
        path: RECORDS,
        status: 400,
        code: 81045,
        message: "Record quota exceeded.",
        advice: "delete objects that are not needed, or choose a plan that allows more",
    },
    Case {
        call: Call::WritePool,
        path: POOLS,
        status: 400,
        code: 1002,
        message: "origin address is a private address: validation failed",
        advice: "Cloudflare refuses such an address in a pool with a monitor; detach the monitor, or use public addresses in `nodes`",
    },
    Case {
        call: Call::WriteBalancer,
        path: BALANCERS,
        status: 400,
        code: 1002,
        message: "ttl must be in range [10, 3600]: validation failed",
        advice: "set the provider's `ttl` to a value that the zone's plan allows",
    },
    Case {
        call: Call::WriteRecord,
        path: RECORDS,
        status: 400,
        code: 81053,
        message: "An A, AAAA, or CNAME record with that host already exists.",
        advice: "another record of the name rules this one out; delete that record",
    },
    Case {
        call: Call::WriteRecord,
        path: RECORDS,
        status: 400,
        code: 9313,
        message: "Comments may not exceed 50 characters.",
        advice: "Daymark knows its records by their comments; use a zone that allows comments of 100 characters",
    },
    Case {
        call: Call::WriteRecord,
        path: RECORDS,
        status: 400,
        code: 9999,
        message: "Something new",
        advice: "correct what Cloudflare names, in the configuration or at Cloudflare",
    },
];

#[test]
fn each_refusal_says_what_to_do_next() {
    for Case { call, path, status, code, message, advice } in CASES {
        let expected = format!("Cloudflare refuses {call} (HTTP {status}): {message} (code {code}); {advice}");
        assert_eq!(refusal_message(call, path, status, &[error(code, message)]), expected);
    }
}

#[test]
fn a_refusal_without_a_reason_says_so() {
    let message = refusal_message(Call::WriteRecord, RECORDS, 400, &[]);
    assert!(
        message.ends_with("; it gives no reason; check the token's permissions, the IDs and the plan"),
        "{message}"
    );
}

#[test]
fn each_advice_has_a_case() {
    let token = TokenSource::File("/token".into());
    let mut given: Vec<Advice> = Vec::new();
    for Case { call, path, status, code, message, .. } in CASES {
        let errors = [error(code, message)];
        let refusal = RefusedCall { call, owner: &ObjectOwner::of(path), status, errors: &errors, token: &token };
        given.push(refusal.advice());
    }
    // A new advice does not compile until it is counted here.
    let number = |advice: &Advice| match advice {
        Advice::MalformedToken => 0,
        Advice::OtherLocation => 1,
        Advice::UnknownToken => 2,
        Advice::Permission => 3,
        Advice::NotFound => 4,
        Advice::NoLoadBalancing => 5,
        Advice::Endpoints => 6,
        Advice::Quota => 7,
        Advice::Addresses => 8,
        Advice::Duplicate => 13,
        Advice::Silence => 14,
        Advice::Ttl => 9,
        Advice::Conflict => 10,
        Advice::Comment => 11,
        Advice::Other => 12,
    };
    given.push(Advice::Silence);
    let numbers: std::collections::BTreeSet<u32> = given.iter().map(number).collect();
    assert_eq!(numbers, (0..=14).collect());
}

#[test]
fn the_codes_inside_an_error_count_as_well() {
    let inner = ApiError { error_chain: vec![error(6111, "Invalid format")], ..error(0, "Invalid request") };
    let shown = refusal_message(Call::ReadZone, "/zones", 400, &[inner]);
    assert!(shown.contains("is malformed"), "{shown}");
}
