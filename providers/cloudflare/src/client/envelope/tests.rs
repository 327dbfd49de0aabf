use std::path::PathBuf;

use super::*;
use crate::client::Retry;

const TOKEN: &str = "s3cret-token";

/// Reads a response as a list of numbers.
fn read_as(call: Call, status: u16, body: &str) -> Result<Reply<Vec<u8>>, CallError> {
    let token = Token::parse(TOKEN.as_bytes()).ok().unwrap();
    let source = TokenSource::File(PathBuf::from("/etc/daymark/token"));
    read(call, "/zones", StatusCode::from_u16(status).unwrap(), body.as_bytes(), &token, &source)
}

fn refusal(status: u16, body: &str) -> CallError {
    read_as(Call::ReadRecords, status, body).unwrap_err()
}

fn error(code: u32, message: &str) -> String {
    format!(r#"{{"success":false,"errors":[{{"code":{code},"message":"{message}"}}],"messages":[],"result":null}}"#)
}

#[test]
fn the_result_and_where_it_is_in_the_list_are_read() {
    let body = r#"{"success":true,"errors":[],"messages":[],"result":[1,2],"new":{},
        "result_info":{"page":1,"per_page":2,"count":2,"total_count":5,"total_pages":3,"cursor":"x"}}"#;
    let answer = read_as(Call::ReadRecords, 200, body).unwrap();
    assert_eq!((answer.result, answer.raw), (vec![1, 2], serde_json::json!([1, 2])));
    assert_eq!((answer.info.page, answer.info.total_count, answer.info.total_pages), (Some(1), Some(5), Some(3)));
}

#[test]
fn parts_of_the_envelope_may_be_missing_or_null() {
    for body in [r#"{"success":true,"result":[]}"#, r#"{"success":true,"errors":null,"result":[],"result_info":null}"#]
    {
        assert_eq!(read_as(Call::ReadRecords, 200, body).unwrap().result, [0; 0], "{body}");
    }
}

#[test]
fn a_failure_that_is_reported_with_http_200_is_a_failure() {
    let failure = refusal(200, &error(1002, "origin list length must be in range"));
    assert_eq!(failure.retry(), Retry::Operator);
    assert_eq!(
        failure.to_string(),
        "Cloudflare refuses reading DNS records (HTTP 200): origin list length must be in range (code 1002); the account's Load \
         Balancing has fewer endpoints than the pool needs; order more of them, or take nodes out of the pool's `nodes`"
    );
}

#[test]
fn a_success_with_an_error_and_no_result_is_a_failure_to_be_tried_again() {
    let failure = refusal(200, r#"{"success":true,"errors":[{"code":1001,"message":"internal"}],"result":null}"#);
    assert_eq!(failure.retry(), Retry::BackOff);
    assert!(failure.to_string().contains("without a result but with an error: internal (code 1001)"), "{failure}");
}

#[test]
fn a_status_decides_when_a_failure_is_tried_again() {
    let both = [error(1, "x"), r#"{"success":true,"errors":[],"result":[]}"#.to_owned()];
    for body in both {
        for status in [408, 409, 425, 500, 502, 503, 520, 599] {
            assert_eq!(refusal(status, &body).retry(), Retry::BackOff, "{status} {body}");
        }
        for status in [301, 400, 401, 403, 404, 405, 412, 422] {
            assert_eq!(refusal(status, &body).retry(), Retry::Operator, "{status} {body}");
        }
    }
}

#[test]
fn what_is_busy_says_what_cloudflare_says_if_it_says_anything() {
    let message = refusal(503, &error(7, "try later"));
    assert_eq!(
        message.to_string(),
        "Cloudflare is unavailable: reading DNS records failed with HTTP 503: try later (code 7)"
    );
    let silent = refusal(502, "<html>Bad gateway</html>");
    assert_eq!(silent.to_string(), "Cloudflare is unavailable: reading DNS records failed with HTTP 502");
}

#[test]
fn a_body_without_an_envelope_is_reported_by_its_beginning_and_tried_again() {
    let long = format!("<html>\n\t<title>{}</title>", "word ".repeat(1_000));
    for (body, begins) in [
        ("", "it is empty"),
        (" \n", "it is empty"),
        (
            "<!DOCTYPE html>\n<p>\u{7}Hello",
            "it is not an envelope of the API; it begins with \"<!DOCTYPE html> <p>Hello\"",
        ),
        (r#"{"success":true,"result":[1"#, "begins with \"{\"success\":true,\"result\":[1\""),
        (r#"{"result":[1]}"#, "it is not an envelope of the API"),
        ("null", "it is not an envelope of the API"),
        (&long, "begins with \"<html> <title>word word"),
    ] {
        for status in [200, 301, 403, 404] {
            let failure = refusal(status, body);
            assert_eq!((failure.retry(), failure.is_refused()), (Retry::BackOff, false), "{failure}");
            let message = failure.to_string();
            assert!(message.contains(begins) && message.contains(&format!("(HTTP {status})")), "{message}");
            assert!(message.len() < 500, "{message}");
        }
    }
}

#[test]
fn a_result_of_another_kind_is_reported_and_tried_again() {
    for body in [
        r#"{"success":true,"errors":[],"result":{"a":1}}"#,
        r#"{"success":true,"errors":[],"result":null}"#,
        r#"{"success":true,"errors":[],"result":["s3cret-token"]}"#,
    ] {
        let failure = refusal(200, body);
        assert_eq!(failure.retry(), Retry::BackOff);
        assert!(failure.to_string().contains("its result has another type: invalid type"), "{failure}");
        assert!(!format!("{failure} {failure:?}").contains(TOKEN), "{failure:?}");
    }
}

#[test]
fn something_that_is_not_there_is_a_refusal_with_advice() {
    let missing = refusal(404, &error(1003, "pool not found"));
    assert!(missing.is_refused());
    assert!(
        missing
            .to_string()
            .ends_with("pool not found (code 1003); check the zone, the account and the pool in the configuration, and check that the token may see them")
    );
    assert!(refusal(400, &error(1003, "pool not found")).is_refused());
}

#[test]
fn a_refused_token_is_reported_with_the_permission_that_it_may_lack() {
    for (status, code) in [(401, 10000), (403, 10000), (400, 10000), (403, 9109), (400, 9106), (403, 0)] {
        for (call, permission) in [
            (Call::WriteRecord, "zone, DNS: Edit"),
            (Call::ReadPool, "account, Load Balancing: Monitors And Pools: Read"),
            (Call::ReadZone, "zone, Zone: Read"),
        ] {
            let failure = read_as(call, status, &error(code, "Authentication error")).unwrap_err();
            let advice = format!(
                "; the token in the file /etc/daymark/token lacks the permission \"{permission}\", or is not valid; correct the token"
            );
            assert!(failure.to_string().ends_with(&advice), "{failure}");
            assert_eq!(failure.retry(), Retry::Operator);
        }
    }
}

#[test]
fn a_token_that_is_not_accepted_is_reported_when_it_is_verified() {
    let failure = read_as(Call::VerifyToken, 401, &error(1000, "Invalid API Token")).unwrap_err();
    assert_eq!(
        failure.to_string(),
        "Cloudflare refuses verifying the token (HTTP 401): Invalid API Token (code 1000); the token in the file \
         /etc/daymark/token is not accepted, because it is unknown, expired or revoked; create a new one"
    );
}

#[test]
fn a_malformed_token_is_reported_as_such_also_from_deep_in_the_chain() {
    let chained = r#"{"success":false,"errors":[{"code":1,"message":"Bad request","error_chain":[{"code":2,"message":"x",
        "error_chain":[{"code":6111,"message":"Invalid format for Authorization header"}]}]}]}"#;
    for body in [chained, &error(6003, "Invalid request headers"), &error(6103, "Invalid format for X-Auth-Key header")]
    {
        let failure = refusal(400, body).to_string();
        let advice = "the token in the file /etc/daymark/token is malformed; check it for quotes and newlines, and \
                      check that it is not a global API key";
        assert!(failure.ends_with(advice), "{failure}");
    }
    assert!(refusal(400, chained).to_string().contains("Bad request (code 1), from: x (code 2), from: Invalid format"));
}

#[test]
fn a_token_that_is_echoed_is_not_shown() {
    let chained = format!(
        r#"{{"success":false,"errors":[{{"code":1,"message":"no {TOKEN}{TOKEN}!","error_chain":[{{"message":"{TOKEN}"}}]}}]}}"#
    );
    // Where it is cut for its length, the token is in the way of the cut.
    let cut = format!("<p>{}{TOKEN}", " x".repeat(95));
    for (status, body) in
        [(400, &chained), (200, &chained), (500, &chained), (200, &cut), (403, &format!("<p>{TOKEN}"))]
    {
        let failure = refusal(status, body);
        let text = format!("{failure} {failure:?}");
        assert!(text.contains("[token]") && !text.contains("s3cret"), "{text}");
    }
}
