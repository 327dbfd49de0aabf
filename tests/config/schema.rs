//! The schema says what the reader does, and the page of the configuration says what the schema does.

use daymark::config::json_schema;
use serde_json::{Value, json};

use crate::support::{SMALL, error, meaning, parse, with};

const PAGE: &str = include_str!("../../docs/configuration.md");

/// Every key of a schema, each once a mapping that has it.
pub(crate) fn keys(schema: &Value) -> Vec<String> {
    properties(schema).into_iter().map(|(key, _)| key).collect()
}

/// Where a value breaks the schema of the configuration. Knows the keywords that the schema uses, and no others.
pub(crate) fn violations(value: &Value) -> Vec<String> {
    let schema = json_schema();
    let mut found = Vec::new();
    visit(value, &schema, &schema, "", &mut found);
    found
}

fn visit(value: &Value, schema: &Value, root: &Value, path: &str, found: &mut Vec<String>) {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    if let Some(variants) = schema["oneOf"].as_array() {
        let variant = variants.iter().find(|variant| variant["properties"]["type"]["const"] == value["type"]);
        return match variant {
            Some(variant) => visit(value, variant, root, path, found),
            None => found.push(format!("{path} is of no type")),
        };
    }
    let right = match schema["type"].as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64(),
        "boolean" => value.is_boolean(),
        other => panic!("the schema has the type {other}"),
    };
    if !right {
        found.push(format!("{path} is of the wrong type"));
    }
    if schema["enum"].as_array().is_some_and(|allowed| !allowed.contains(value)) {
        found.push(format!("{path} is not among those allowed"));
    }
    let number = value.as_u64().unwrap_or_default();
    if schema["minimum"].as_u64().is_some_and(|min| number < min)
        || schema["maximum"].as_u64().is_some_and(|max| number > max)
    {
        found.push(format!("{path} is out of range"));
    }
    for (index, element) in value.as_array().into_iter().flatten().enumerate() {
        visit(element, &schema["items"], root, &format!("{path}[{index}]"), found);
    }
    let Some(map) = value.as_object() else { return };
    for (key, value) in map {
        match schema["properties"].get(key) {
            Some(schema) => visit(value, schema, root, &format!("{path}.{key}"), found),
            None => found.push(format!("{path}.{key} is unknown")),
        }
    }
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    found.extend(required.filter(|key| !map.contains_key(*key)).map(|key| format!("{path}.{key} is missing")));
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
    if schema["type"] == "object" {
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
    assert_eq!(mappings.len(), 13);
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
        ("certificate", "pools: [{probe: {auth: {clientCertificate: {}}}}]"),
        ("key", "pools: [{probe: {auth: {clientCertificate: {}}}}]"),
        ("nameservers", "providers: [{type: authoritative}]"),
        ("mode", "providers: [{type: cloudflare}]"),
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
}

#[test]
fn the_schema_finds_what_is_wrong() {
    let value = json!({"pools": [{"name": 5, "nodes": [], "port": 70000, "colour": 1, "steering": {"mode": "x"}}]});
    let expected = [
        ".pools[0].name is of the wrong type",
        ".pools[0].port is out of range",
        ".pools[0].colour is unknown",
        ".pools[0].steering.mode is not among those allowed",
        ".providers is missing",
    ];
    assert_eq!(violations(&value), expected);
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
