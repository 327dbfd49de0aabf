use super::*;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn what_is_left_is_read_as_cloudflare_writes_it() {
    let report = ratelimit(&headers(&[
        ("ratelimit", r#""default";r=99;t=30"#),
        ("ratelimit-policy", r#""default";q=1200;w=300"#),
    ]));
    assert_eq!(report, Some(Ratelimit { remaining: 99, low: None }));
}

#[test]
fn a_twentieth_of_the_quota_is_little() {
    for (policy, remaining, is_low) in [
        (r#""default";q=1200;w=300"#, 60, true),
        (r#""default";q=1200;w=300"#, 61, false),
        (r#""default";q=100;w=10"#, 5, true),
        (r#""default";q=100;w=10"#, 6, false),
        (r#""another";q=100;w=10"#, 60, true),
        ("nonsense", 60, true),
        ("nonsense", 61, false),
    ] {
        let limit = format!("\"default\";r={remaining};t=30");
        let report = ratelimit(&headers(&[("ratelimit", &limit), ("ratelimit-policy", policy)])).unwrap();
        assert_eq!(report.low.is_some(), is_low, "{policy} {remaining}");
    }
}

#[test]
fn what_is_little_is_spread_over_the_rest_of_the_window_of_five_minutes_at_most() {
    let low = |value| ratelimit(&headers(&[("ratelimit", value)])).unwrap().low.unwrap();
    assert_eq!(low(r#""default";r=9;t=30"#), Low { spacing: seconds(3), rest: seconds(30) });
    assert_eq!(low(r#""default";r=0;t=30"#), Low { spacing: seconds(30), rest: seconds(30) });
    assert_eq!(low(r#""default";r=0;t=4000000000"#), Low { spacing: WINDOW, rest: WINDOW });
    assert_eq!(low(r#""default";r=0;t=0"#), Low { spacing: seconds(0), rest: seconds(0) });
}

#[test]
fn odd_forms_are_understood_or_ignored() {
    let remaining = |value| ratelimit(&headers(&[("ratelimit", value)])).map(|report| report.remaining);
    assert_eq!(remaining(r" default ; t=30 ;r = 7 ; more"), Some(7));
    assert_eq!(remaining(r#""default";r=700;t=30;pk=:Zm9v:"#), Some(700));
    for odd in [
        "",
        ";",
        "50",
        r#""default""#,
        r#""default";r=50"#,
        r#""default";t=30"#,
        r#""default";r=-1;t=30"#,
        r#""default";r=1.5;t=30"#,
        r#""default";r="1";t=30"#,
        r#""default";r=99999999999;t=30"#,
        r#""default";r=;t="#,
        "limit=100, remaining=50, reset=5",
    ] {
        assert_eq!(remaining(odd), None, "{odd}");
    }
    assert_eq!(ratelimit(&HeaderMap::new()), None);
    let mut bytes = HeaderMap::new();
    bytes.insert("ratelimit", http::HeaderValue::from_bytes(b"\"default\";r=1;t=\xff").unwrap());
    assert_eq!(ratelimit(&bytes), None);
}

#[test]
fn the_scarcest_of_several_counts() {
    let one_line = headers(&[("ratelimit", r#""day";r=500;t=200, "second";r=3;t=8, bad"#)]);
    let two_lines = headers(&[("ratelimit", r#""second";r=3;t=8"#), ("ratelimit", r#""day";r=500;t=200"#)]);
    let scarcest = Some(Ratelimit { remaining: 3, low: Some(Low { spacing: seconds(2), rest: seconds(8) }) });
    assert_eq!(ratelimit(&one_line), scarcest);
    assert_eq!(ratelimit(&two_lines), scarcest);
}

#[test]
fn a_refusal_lasts_as_long_as_it_says_an_hour_at_most_and_else_a_whole_window() {
    const SOON: &str = "Sun, 06 Nov 1994 08:50:37 GMT";
    const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    for (pairs, expected) in [
        (vec![("retry-after", "17")], 17),
        (vec![("retry-after", " 0 ")], 0),
        (vec![("retry-after", "3601")], 3_600),
        (vec![("retry-after", SOON), ("date", NOW)], 60),
        (vec![("retry-after", NOW), ("date", SOON)], 0),
        (vec![("retry-after", "Sat, 06 Nov 2094 08:50:37 GMT"), ("date", NOW)], 3_600),
        (vec![("retry-after", SOON)], 300),
        (vec![("retry-after", "soon"), ("date", NOW)], 300),
        (vec![("retry-after", "-5")], 300),
        (vec![("retry-after", "1.5")], 300),
        (vec![], 300),
    ] {
        assert_eq!(retry_after(&headers(&pairs)), seconds(expected), "{pairs:?}");
    }
}
