//! The schema says what the reader does, and the page of the configuration says what the schema does.

use daymark::config::json_schema;
use serde_json::{Value, json};

use crate::peers::PEERS;
use crate::support::{SMALL, error, meaning, parse, with};

const PAGE: &str = include_str!("../../docs/configuration.md");

/// Every key of a schema, each once a mapping that has it.
pub(crate) fn keys(schema: &Value) -> Vec<String> {
    properties(schema).into_iter().map(|(key, _)| key).collect()
}

/// Where a value breaks the schema of the configuration, and how.
pub(crate) fn violations(value: &Value) -> Vec<String> {
    let validator = jsonschema::validator_for(&json_schema()).unwrap();
    validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// Every key with its schema.
fn properties(schema: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    match schema {
        Value::Object(map) => {
            for (key, value) in map {
                if let ("properties", Some(keys)) = (key.as_str(), value.as_object()) {
                    found.extend(keys.iter().map(|(key, value)| (key.clone(), value.clone())));
                }
                found.extend(properties(value));
            }
        }
        Value::Array(list) => found.extend(list.iter().flat_map(properties)),
        _ => {}
    }
    found
}

fn mappings(schema: &Value) -> Vec<Value> {
    let mut found = Vec::new();
    if schema["type"] == "object" || schema["type"] == json!(["array", "object"]) {
        found.push(schema.clone());
    }
    let inner = schema["$defs"].as_object().into_iter().flat_map(|defs| defs.values());
    found.extend(inner.flat_map(mappings));
    found.extend(schema["oneOf"].as_array().into_iter().flatten().flat_map(mappings));
    found
}

#[test]
fn every_mapping_of_the_schema_refuses_unknown_keys() {
    let mappings = mappings(&json_schema());
    assert_eq!(mappings.len(), 17);
    for mapping in mappings {
        assert_eq!(mapping["additionalProperties"], json!(false), "{mapping:#}");
    }
}

#[test]
fn every_key_of_the_schema_says_what_it_is() {
    for (key, schema) in properties(&json_schema()) {
        assert!(schema["description"].is_string() || schema["const"].is_string(), "{key} has no description");
    }
}

#[test]
fn every_key_of_the_schema_is_required_or_may_be_left_out_by_the_reader_too() {
    let cases = [
        ("pools", "{}"),
        ("providers", "{}"),
        ("name", "pools: [{}]"),
        ("nodes", "pools: [{}]"),
        ("addresses", "pools: [{nodes: [{}]}]"),
        ("seeds", "pools: [{nodes: {}}]"),
        ("fromKubernetes", "pools: [{nodes: {}}]"),
        ("certificate", "pools: [{probe: {auth: {clientCertificate: {}}}}]"),
        ("key", "pools: [{probe: {auth: {clientCertificate: {}}}}]"),
        ("nameservers", "providers: [{type: authoritative}]"),
        ("mode", "providers: [{type: cloudflare}]"),
        ("members", "peers: {}"),
        ("address", "peers: {members: [{}]}"),
        ("keyFile", "peers: {}"),
    ];
    for (key, text) in cases {
        let message = error(text);
        assert!(message.lines().any(|line| line.contains(&format!("{key}: is missing"))), "{key}: {message}");
    }
    let mut required: Vec<_> = mappings(&json_schema())
        .iter()
        .flat_map(|mapping| mapping["required"].as_array().cloned().unwrap_or_default())
        .map(|key| key.as_str().unwrap().to_owned())
        .filter(|key| key != "type")
        .collect();
    required.sort();
    required.dedup();
    let mut told: Vec<_> = cases.iter().map(|(key, _)| (*key).to_owned()).collect();
    told.sort();
    assert_eq!(required, told);
}

#[test]
fn the_schema_has_the_defaults_and_bounds_of_the_reader() {
    let schema = json_schema();
    let probe = &schema["$defs"]["Probe"]["properties"];
    assert_eq!(probe["interval"]["default"], "1s");
    assert_eq!(probe["confirmInterval"]["default"], "100ms");
    assert_eq!((&probe["fall"]["minimum"], &probe["fall"]["maximum"]), (&json!(1), &json!(100)));
    assert_eq!(schema["$defs"]["Pool"]["properties"]["port"]["default"], 6443);
    assert_eq!(schema["$defs"]["Steering"]["properties"]["mode"]["enum"], json!(["all", "failover", "weighted"]));
    let types = ["authoritative", "cloudflare"];
    for (index, name) in types.into_iter().enumerate() {
        assert_eq!(schema["$defs"]["Provider"]["oneOf"][index]["properties"]["type"]["const"], name);
    }
}

#[test]
fn what_the_schema_gives_as_default_is_what_leaving_out_gives() {
    let dir = crate::support::files();
    let expected = parse(SMALL, dir.path()).unwrap();
    let schema = json_schema();
    let written = |name: &str, text: &str, old: &str, prefix: &str| {
        let keys: Vec<String> = schema["$defs"][name]["properties"]
            .as_object()
            .unwrap()
            .iter()
            .filter(|(_, schema)| !schema["default"].is_null())
            .map(|(key, schema)| format!("{key}: {}", schema["default"]))
            .collect();
        assert!(!keys.is_empty());
        let flow = format!("{{{prefix}{}}}", keys.join(", "));
        with(text, old, &old.replace("{}", &flow).replace("{ca: ca.crt}", &flow))
    };
    let text = written("Probe", SMALL, "probe: {ca: ca.crt}", "ca: ca.crt, ");
    let text = with(&text, "    probe:", "    steering: {}\n    ttl: {}\n    probe:");
    let text = written("Steering", &text, "steering: {}", "");
    let text = written("TtlRange", &text, "ttl: {}", "");
    let cloudflare = with(
        &text,
        "  - type: authoritative\n    nameservers: [{name: ns1.kube-cp.com}]\n",
        "  - type: cloudflare\n    mode: loadBalancing\n    account: 0123456789abcdef0123456789abcdef\n    tokenFile: token\n    \
         pools: [{name: lb.kube-cp.com, cloudflarePool: kube-cp}]\n",
    );
    let defaults: String = schema["$defs"]["Provider"]["oneOf"][1]["properties"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, schema)| !schema["default"].is_null())
        .map(|(key, schema)| format!("    {key}: {}\n", schema["default"]))
        .collect();
    assert_eq!(
        meaning(parse(&format!("{cloudflare}{defaults}"), dir.path()).unwrap()),
        meaning(parse(&cloudflare, dir.path()).unwrap())
    );
    let text = written("Admin", &format!("{text}admin: {{}}\n"), "admin: {}", "");
    assert_eq!(meaning(parse(&text, dir.path()).unwrap()), meaning(expected));
    let expected = parse(&format!("{text}peers: {{{PEERS}}}\n"), dir.path()).unwrap();
    let text = written("Peers", &format!("{text}peers: {{}}\n"), "peers: {}", &format!("{PEERS}, "));
    assert_eq!(meaning(parse(&text, dir.path()).unwrap()), meaning(expected));
    let text = with(
        &text,
        "    nodes:\n      - {name: kube-cp-1, addresses: [10.10.1.1]}",
        "    nodes: {seeds: [{name: kube-cp-1, addresses: [10.10.1.1]}], fromKubernetes: {}}",
    );
    let expected = parse(&text, dir.path()).unwrap();
    let text = written("FromKubernetes", &text, "fromKubernetes: {}", "");
    assert_eq!(meaning(parse(&text, dir.path()).unwrap()), meaning(expected));
}

#[test]
fn the_schema_finds_what_is_wrong() {
    let value = json!({"pools": [{"name": 5, "nodes": [], "port": 70000, "colour": 1, "steering": {"mode": "x"}}]});
    let violations = violations(&value).join("\n");
    for expected in [
        "/pools/0/name: 5 is not of type",
        "/pools/0/nodes: [] has less than 1 item",
        "/pools/0/port: 70000 is greater than the maximum of 65535",
        "'colour' was unexpected",
        "/pools/0/steering/mode: \"x\" is not one of",
        "\"providers\" is a required property",
    ] {
        assert!(violations.contains(expected), "{expected} in {violations}");
    }
}

/// A kind of text: where the schema has it, a file with `@` in its place, and texts that are good and bad.
type Sample = (&'static str, &'static str, &'static [&'static str], &'static [&'static str]);

const SAMPLES: [Sample; 14] = [
    (
        "/$defs/Pool/properties/name",
        "pools: [{name: @}]",
        &["lb.kube-cp.com", "a", "A-b.C.", "1.2.3", "10.1.1.1.1", "256.1.1.1"],
        &["", ".", "a..b", "-a.b", "a-.b", "a_b.c", "a.b..", "10.1.1.1", "ä.de", "a b", "a\n"],
    ),
    (
        "/$defs/Node/properties/name",
        "pools: [{nodes: [{name: @}]}]",
        &["cp-1", "a/b", "Köln", "#"],
        &["", "a b", "a\tb", "a\n"],
    ),
    (
        "/$defs/FromKubernetes/properties/selector",
        "pools: [{nodes: {fromKubernetes: {selector: @}}}]",
        &["node-role.kubernetes.io/control-plane", "a=b,c in (d, e)", "!a"],
        &["", " a", "a ", "ä", "a\tb", "a\n"],
    ),
    (
        "/$defs/Probe/properties/path",
        "pools: [{probe: {path: @}}]",
        &["/", "/readyz?exclude=etcd"],
        &["", "readyz", "/a b", "/a#b", "/ä", "/a\n"],
    ),
    (
        "/$defs/Probe/properties/interval",
        "pools: [{probe: {interval: @}}]",
        &["2s", "20000ms", "0030s", "1h"],
        &["", "2", "s", "2 s", "2d", "-2s", "2.5s", "2S", "2s\n"],
    ),
    (
        "/$defs/Provider/oneOf/1/properties/name",
        "providers: [{type: cloudflare, name: @}]",
        &["a", "edge-2", "Authoritative", "authoritative-2"],
        &["", "authoritative", "a_b", "a.b", "a/b", "a\n"],
    ),
    (
        "/$defs/Provider/oneOf/1/properties/tokenVariable",
        "providers: [{type: cloudflare, tokenVariable: @}]",
        &["T", "_t", "CF_TOKEN_2"],
        &["", "2T", "A-B", "A B", "Ä", "T\n"],
    ),
    (
        "/$defs/Provider/oneOf/1/properties/zone",
        "providers: [{type: cloudflare, zone: @}]",
        &["kube-cp.com", "com.", "0123456789abcdef0123456789abcdef"],
        &["", "kube_cp.com", "10.1.1.1", "a b"],
    ),
    (
        "/$defs/Provider/oneOf/1/properties/account",
        "providers: [{type: cloudflare, account: @}]",
        &["0123456789abcdef0123456789ABCDEF"],
        &["", "0123", "g123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef0"],
    ),
    (
        "/$defs/Provider/oneOf/1/properties/api",
        "providers: [{type: cloudflare, api: @}]",
        &["https://api.cloudflare.com/client/v4", "https://a:1/", "http://127.0.0.1:8080/v4", "http://[::1]:80"],
        &["", "a.example", "http://a.example", "http://127.a.example", "https://", "https://u:p@a", "https://a/?b"],
    ),
    (
        "/$defs/Served/properties/cloudflarePool",
        "providers: [{type: cloudflare, pools: [{cloudflarePool: @}]}]",
        &["kube-cp", "a_B-2"],
        &["", "a b", "a.b", "a/b", "a\n"],
    ),
    (
        "/$defs/Member/properties/name",
        "peers: {members: [{name: @}]}",
        &["dns-1", "DNS_1.example.org", "1", "-"],
        &["", "a b", "a/b", "a:1", "ä", "a\n"],
    ),
    (
        "/$defs/Member/properties/address",
        "peers: {members: [{address: @}]}",
        &["192.0.2.11", "192.0.2.11:1", "[2001:db8::1]", "[::1]:65535", "dns-1", "dns-1.example.org.:7946", "1.a"],
        &["", ":7946", "2001:db8::1", "[::1]7946", "[::1", "[]", "dns_1", "dns-1:", "dns-1:x", "a:1:2", "a b", "a\n"],
    ),
    (
        "/$defs/Peers/properties/cluster",
        "peers: {cluster: @}",
        &["daymark", "Prod_1.eu-west"],
        &["", "a b", "a/b", "ä", "a\n"],
    ),
];

#[test]
fn the_schema_and_the_reader_agree_on_every_text_with_a_pattern() {
    let schema = json_schema();
    for (pointer, file, good, bad) in SAMPLES {
        let kind = schema.pointer(pointer).unwrap();
        let validator = jsonschema::validator_for(kind).unwrap();
        let allowed = format!("; {} is allowed", kind["title"].as_str().unwrap());
        for (text, is_good) in good.iter().map(|it| (it, true)).chain(bad.iter().map(|it| (it, false))) {
            let value = json!(text);
            assert_eq!(validator.is_valid(&value), is_good, "the schema on {value} for {pointer}");
            let is_refused = error(&file.replace('@', &value.to_string())).contains(&allowed);
            assert_eq!(is_refused, !is_good, "the reader on {value} for {pointer}");
        }
    }
    let of_samples: Vec<_> = SAMPLES.iter().map(|(pointer, ..)| &schema.pointer(pointer).unwrap()["pattern"]).collect();
    for (key, schema) in properties(&schema) {
        let pattern = &schema["pattern"];
        assert!(pattern.is_null() || of_samples.contains(&pattern), "no sample has the pattern of {key}, {pattern}");
    }
}

#[test]
fn the_page_has_every_key_with_its_default() {
    for (key, schema) in properties(&json_schema()) {
        let row = PAGE.lines().find(|line| line.starts_with(&format!("| `{key}` |")));
        assert!(row.is_some(), "`{key}` has no row");
        let default = match &schema["default"] {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            other => other.to_string().replace(',', ", "),
        };
        let rows = PAGE.lines().filter(|line| line.starts_with(&format!("| `{key}` |")));
        assert!(rows.clone().any(|row| row.contains(&format!("`{default}`"))), "`{key}` has no row with `{default}`");
    }
}
