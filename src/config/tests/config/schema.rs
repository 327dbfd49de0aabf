//! The JSON schema agrees with the reader, and `docs/configuration.md` agrees with the schema.

use daymark_config::json_schema;
use serde_json::{Value, json};

use crate::peers::PEERS;
use crate::support::{SMALL, error, meaning, parse, with};

const PAGE: &str = include_str!("../../../../docs/configuration.md");

/// The keys of a schema; a key of several mappings comes several times.
pub(crate) fn keys(schema: &Value) -> Vec<String> {
    properties(schema).into_iter().map(|(key, _)| key).collect()
}

/// The violations of the configuration's schema, each with its location.
pub(crate) fn violations(value: &Value) -> Vec<String> {
    let validator = jsonschema::validator_for(&json_schema()).unwrap();
    validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// The keys of a schema, each with its own schema.
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
    assert_eq!(mappings.len(), 21);
    for mapping in mappings {
        assert_eq!(mapping["additionalProperties"], json!(false), "{mapping:#}");
    }
}

#[test]
fn every_key_of_the_schema_has_a_description() {
    for (key, schema) in properties(&json_schema()) {
        assert!(schema["description"].is_string() || schema["const"].is_string(), "{key} has no description");
    }
}

#[test]
fn the_schema_and_the_reader_require_the_same_keys() {
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
        ("keys", "providers: [{type: authoritative, dnssec: {}}]"),
        ("file", "providers: [{type: authoritative, dnssec: {keys: [{}]}}]"),
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
    let mut tested: Vec<_> = cases.iter().map(|(key, _)| (*key).to_owned()).collect();
    tested.sort();
    assert_eq!(required, tested);
}

#[test]
fn the_schema_has_the_defaults_and_bounds_of_the_reader() {
    let schema = json_schema();
    let probe = &schema["$defs"]["Probe"]["properties"];
    assert_eq!(probe["interval"]["default"], "1s");
    assert_eq!(probe["confirmInterval"]["default"], "100ms");
    assert_eq!([&probe["tlsTimeout"]["default"], &probe["lateAfter"]["default"]], ["1s", "1s"]);
    assert_eq!((&probe["fall"]["minimum"], &probe["fall"]["maximum"]), (&json!(1), &json!(100)));
    assert_eq!(schema["$defs"]["Pool"]["properties"]["port"]["default"], 6443);
    assert_eq!(schema["$defs"]["Steering"]["properties"]["mode"]["enum"], json!(["all", "failover", "weighted"]));
    let types = ["authoritative", "cloudflare"];
    for (index, name) in types.into_iter().enumerate() {
        assert_eq!(schema["$defs"]["Provider"]["oneOf"][index]["properties"]["type"]["const"], name);
    }
}

#[test]
fn a_key_that_is_left_out_means_the_default_in_the_schema() {
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
fn the_schema_refuses_invalid_values() {
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

/// Valid and invalid texts for one pattern of the schema.
struct Sample {
    /// The JSON pointer of the pattern in the schema.
    pointer: &'static str,
    /// A configuration with `@` instead of the text.
    file: &'static str,
    good: &'static [&'static str],
    bad: &'static [&'static str],
}

const SAMPLES: [Sample; 17] = [
    Sample {
        pointer: "/$defs/Pool/properties/name",
        file: "pools: [{name: @}]",
        good: &["lb.kube-cp.com", "a", "A-b.C.", "1.2.3", "10.1.1.1.1", "256.1.1.1"],
        bad: &["", ".", "a..b", "-a.b", "a-.b", "a_b.c", "a.b..", "10.1.1.1", "ä.de", "a b", "a\n"],
    },
    Sample {
        pointer: "/$defs/Node/properties/name",
        file: "pools: [{nodes: [{name: @}]}]",
        good: &["cp-1", "a/b", "Köln", "#", "..."],
        bad: &["", ".", "..", "a b", "a\tb", "a\n"],
    },
    Sample {
        pointer: "/$defs/FromKubernetes/properties/selector",
        file: "pools: [{nodes: {fromKubernetes: {selector: @}}}]",
        good: &["node-role.kubernetes.io/control-plane", "a=b,c in (d, e)", "!a"],
        bad: &["", " a", "a ", "ä", "a\tb", "a\n"],
    },
    Sample {
        pointer: "/$defs/Probe/properties/path",
        file: "pools: [{probe: {path: @}}]",
        good: &["/", "/readyz?exclude=etcd"],
        bad: &["", "readyz", "/a b", "/a#b", "/ä", "/a\n"],
    },
    Sample {
        pointer: "/$defs/Probe/properties/interval",
        file: "pools: [{probe: {interval: @}}]",
        good: &["2s", "20000ms", "0030s", "1h"],
        bad: &["", "2", "s", "2 s", "2d", "-2s", "2.5s", "2S", "2s\n"],
    },
    Sample {
        pointer: "/$defs/RateLimit/properties/exempt/items",
        file: "providers: [{type: authoritative, rateLimit: {exempt: [@]}}]",
        good: &["192.0.2.0/24", "2001:db8::/32", "192.0.2.1", "2001:DB8::1", "0.0.0.0/0", "::/0"],
        bad: &["", "x", "192.0.2.0/", "/24", "192.0.2.0/1000", "192.0.2.0/24 ", "192.0.2.0/24\n"],
    },
    Sample {
        pointer: "/$defs/Provider/oneOf/1/properties/name",
        file: "providers: [{type: cloudflare, name: @}]",
        good: &["a", "edge-2", "Authoritative", "authoritative-2"],
        bad: &["", "authoritative", "a_b", "a.b", "a/b", "a\n"],
    },
    Sample {
        pointer: "/$defs/Provider/oneOf/1/properties/tokenVariable",
        file: "providers: [{type: cloudflare, tokenVariable: @}]",
        good: &["T", "_t", "CF_TOKEN_2"],
        bad: &["", "2T", "A-B", "A B", "Ä", "T\n"],
    },
    Sample {
        pointer: "/$defs/Provider/oneOf/1/properties/zone",
        file: "providers: [{type: cloudflare, zone: @}]",
        good: &["kube-cp.com", "com.", "0123456789abcdef0123456789abcdef"],
        bad: &["", "kube_cp.com", "10.1.1.1", "a b"],
    },
    Sample {
        pointer: "/$defs/Provider/oneOf/1/properties/account",
        file: "providers: [{type: cloudflare, account: @}]",
        good: &["0123456789abcdef0123456789ABCDEF"],
        bad: &["", "0123", "g123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef0"],
    },
    Sample {
        pointer: "/$defs/Provider/oneOf/1/properties/api",
        file: "providers: [{type: cloudflare, api: @}]",
        good: &["https://api.cloudflare.com/client/v4", "https://a:1/", "http://127.0.0.1:8080/v4", "http://[::1]:80"],
        bad: &[
            "",
            "a.example",
            "http://a.example",
            "http://127.a.example",
            "https://",
            "https://u:p@a",
            "https://a/?b",
        ],
    },
    Sample {
        pointer: "/$defs/Served/properties/cloudflarePool",
        file: "providers: [{type: cloudflare, pools: [{cloudflarePool: @}]}]",
        good: &["kube-cp", "a_B-2"],
        bad: &["", "a b", "a.b", "a/b", "a\n"],
    },
    Sample {
        pointer: "/$defs/Member/properties/name",
        file: "peers: {members: [{name: @}]}",
        good: &["dns-1", "DNS_1.example.org", "1", "-"],
        bad: &["", "a b", "a/b", "a:1", "ä", "a\n"],
    },
    Sample {
        pointer: "/$defs/Member/properties/address",
        file: "peers: {members: [{address: @}]}",
        good: &[
            "192.0.2.11",
            "192.0.2.11:1",
            "[2001:db8::1]",
            "[::1]:65535",
            "dns-1",
            "dns-1.example.org.:7946",
            "1.a",
        ],
        bad: &[
            "",
            ":7946",
            "2001:db8::1",
            "[::1]7946",
            "[::1",
            "[]",
            "dns_1",
            "dns-1:",
            "dns-1:x",
            "a:1:2",
            "a b",
            "a\n",
        ],
    },
    Sample {
        pointer: "/$defs/Provider/oneOf/1/properties/owner",
        file: "providers: [{type: cloudflare, owner: @}]",
        good: &["a", "prod-1", "Prod_1.eu-west", "12345678901234567890123456789012"],
        bad: &["", "a b", "a.", "ä", "a\n", "123456789012345678901234567890123"],
    },
    Sample {
        pointer: "/$defs/Sync/properties/onSuccess",
        file: "sync: {onSuccess: @}",
        good: &["https://hc-ping.com/a", "http://127.0.0.1:3001/api/push/x?status=up", "https://a.example"],
        bad: &[
            "",
            "hc-ping.com/a",
            "ftp://a.example/b",
            "https://",
            "https://user@a.example/b",
            "https://a.example/b#c",
            "https://a b",
        ],
    },
    Sample {
        pointer: "/$defs/Peers/properties/cluster",
        file: "peers: {cluster: @}",
        good: &["daymark", "Prod_1.eu-west"],
        bad: &["", "a b", "a/b", "ä", "a\n"],
    },
];

#[test]
fn the_schema_and_the_reader_agree_on_every_text_with_a_pattern() {
    let schema = json_schema();
    for Sample { pointer, file, good, bad } in SAMPLES {
        let kind = schema.pointer(pointer).unwrap();
        let validator = jsonschema::validator_for(kind).unwrap();
        let allowed = format!("; {} is allowed", kind["title"].as_str().unwrap());
        for (text, is_good) in good.iter().map(|text| (text, true)).chain(bad.iter().map(|text| (text, false))) {
            let value = json!(text);
            assert_eq!(validator.is_valid(&value), is_good, "the schema on {value} for {pointer}");
            let is_refused = error(&file.replace('@', &value.to_string())).contains(&allowed);
            assert_eq!(is_refused, !is_good, "the reader on {value} for {pointer}");
        }
    }
    let of_samples: Vec<_> = SAMPLES.iter().map(|sample| &schema.pointer(sample.pointer).unwrap()["pattern"]).collect();
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
