//! Validates requests against Cloudflare's `OpenAPI` document, if there is one. It knows nothing of the store.

use std::fs;
use std::sync::{LazyLock, OnceLock};

use http::header;
use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

use crate::request::FakeRequest;

/// The environment variable that names the document.
const VARIABLE: &str = "CLOUDFLARE_OPENAPI";

/// The document. Each operation is compiled when it is first needed.
pub(crate) struct Schema {
    document: Value,
    operations: Vec<Operation>,
}

struct Operation {
    method: String,
    /// The parts of its path; one in braces is a parameter.
    path: Vec<String>,
    /// The query parameters that are not text.
    numbers: Vec<String>,
    /// Validates an object of `path`, `query` and `body`.
    validator: OnceLock<Validator>,
}

impl Schema {
    /// Reads the document that the environment names. If it names none, a line on standard error says so once.
    pub(crate) fn of_environment() -> Option<&'static Self> {
        static SCHEMA: LazyLock<Option<Schema>> = LazyLock::new(|| {
            let Some(file) = std::env::var_os(VARIABLE) else {
                #[expect(clippy::print_stderr, reason = "a skipped validation must be visible")]
                {
                    eprintln!("{VARIABLE} is not set: requests to Cloudflare are not validated");
                }
                return None;
            };
            let text = fs::read(file).expect("the file that CLOUDFLARE_OPENAPI names");
            Some(Schema::new(serde_json::from_slice(&text).expect("JSON in the file that CLOUDFLARE_OPENAPI names")))
        });
        SCHEMA.as_ref()
    }

    fn new(mut document: Value) -> Self {
        fix_document(&mut document);
        let mut operations = Vec::new();
        for (path, methods) in object(&document["paths"]) {
            for (method, operation) in object(methods) {
                let parameters = operation["parameters"].as_array().into_iter().flatten();
                let numbers = parameters.filter(|parameter| !is_text(&document, &parameter["schema"]));
                operations.push(Operation {
                    method: method.to_uppercase(),
                    path: path.split('/').map(str::to_owned).collect(),
                    numbers: numbers.filter_map(|parameter| parameter["name"].as_str()).map(str::to_owned).collect(),
                    validator: OnceLock::new(),
                });
            }
        }
        Self { document, operations }
    }

    /// Describes each violation in one line. A path that the document does not have is no violation.
    pub(crate) fn violations(&self, request: &FakeRequest) -> Vec<String> {
        let parts: Vec<_> = request.path.split('/').collect();
        let here: Vec<_> = self.operations.iter().filter(|operation| operation.is_at(&parts)).collect();
        if here.is_empty() {
            return Vec::new();
        }
        let describe = |what: String| format!("{} {}: {what}", request.method, request.target());
        let Some(operation) = here.iter().find(|operation| operation.method == request.method.as_str()) else {
            return vec![describe("there is no such method".into())];
        };
        let validator = operation.validator.get_or_init(|| self.compile(operation));
        let instance = operation.instance(request);
        let errors = validator.iter_errors(&instance);
        let mut violations: Vec<_> =
            errors.map(|error| describe(format!("{}: {}", error.instance_path(), error.masked()))).collect();
        let is_json = request.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
        if !request.body.is_empty() && !is_json {
            violations.push(describe("the content type is not application/json".into()));
        }
        violations
    }

    /// One schema for all of a request.
    fn compile(&self, operation: &Operation) -> Validator {
        let source = &self.document["paths"][operation.path.join("/")][operation.method.to_lowercase()];
        let parameters = |place: &str| {
            let all = source["parameters"].as_array().into_iter().flatten();
            let here = all.filter(|parameter| parameter["in"] == place);
            here.map(|p| (p["name"].as_str().unwrap_or_default().to_owned(), p["schema"].clone())).collect()
        };
        let (path, query): (Map<_, _>, Map<_, _>) = (parameters("path"), parameters("query"));
        let mut schema = json!({
            "properties": {
                "path": {"properties": path},
                "query": {"properties": query, "additionalProperties": false},
            },
            "components": self.document["components"],
        });
        if let Some(body) = source.pointer("/requestBody/content/application~1json/schema") {
            schema["properties"]["body"] = json!({"allOf": [{"type": "object"}, body]});
            schema["required"] = json!(["body"]);
        }
        let options = jsonschema::options().with_draft(Draft::Draft4).should_validate_formats(true);
        options.build(&schema).expect("the operations of the document are schemas")
    }
}

impl Operation {
    fn is_at(&self, parts: &[&str]) -> bool {
        self.path.len() == parts.len()
            && self.path.iter().zip(parts).all(|(mine, part)| mine.starts_with('{') || mine == part)
    }

    /// The request as the one value that its schema describes.
    fn instance(&self, request: &FakeRequest) -> Value {
        let parameters = self.path.iter().zip(request.path.split('/')).filter(|(mine, _)| mine.starts_with('{'));
        let path: Map<_, _> =
            parameters.map(|(mine, part)| (mine.trim_matches(['{', '}']).to_owned(), part.into())).collect();
        let typed = |(name, value): &(String, String)| {
            let number = self.numbers.contains(name).then(|| serde_json::from_str(value).ok()).flatten();
            (name.clone(), number.unwrap_or_else(|| value.as_str().into()))
        };
        let query: Map<_, _> = request.query.iter().map(typed).collect();
        let mut instance = json!({"path": path, "query": query});
        if !request.body.is_empty() {
            instance["body"] = request.json();
        }
        instance
    }
}

/// Turns `OpenAPI` 3.0 into JSON Schema, and corrects known errors of the document.
fn fix_document(document: &mut Value) {
    // The document requires clients to send fields that only the service sets.
    if let Some(required) = document.pointer_mut("/components/schemas/dns-records_dns-record/required") {
        let set_by_service = ["id", "proxiable", "created_on", "modified_on"];
        required.as_array_mut().expect("a list").retain(|field| set_by_service.iter().all(|other| field != other));
    }
    // Newer than the document: the SDK of 2026-10 has it.
    let list = document.pointer_mut("/paths/~1zones~1{zone_id}~1dns_records/get/parameters");
    if let Some(parameters) = list.and_then(Value::as_array_mut) {
        parameters.push(json!({"in": "query", "name": "shadowing_name", "schema": {"type": "string"}}));
    }
    // DELETE "requires" a body without a schema. `Schema::compile` therefore requires none.
    let schemas = object(&document["components"]["schemas"]).iter();
    let read_only = schemas.filter(|(_, schema)| schema["readOnly"] == true);
    let read_only: Vec<_> =
        read_only.map(|(name, _)| json!({"$ref": format!("#/components/schemas/{name}")})).collect();
    fix_schema(document, &read_only);
}

fn fix_schema(schema: &mut Value, read_only: &[Value]) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(|item| fix_schema(item, read_only)),
        Value::Object(fields) => {
            if fields.get("nullable") == Some(&json!(true)) {
                let kind = fields.get("type").cloned();
                fields.insert("type".into(), json!([kind, "null"]));
            }
            // The empty string is written with its quotes.
            if let Some(values) = fields.get_mut("enum").and_then(Value::as_array_mut)
                && values.contains(&json!("\"\""))
            {
                values.push(json!(""));
            }
            // A read-only property is none of a request's.
            for property in fields.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
                if property.1["readOnly"] == true || read_only.contains(property.1) {
                    *property.1 = json!({"not": {}});
                }
            }
            fields.values_mut().for_each(|field| fix_schema(field, read_only));
        }
        _ => {}
    }
}

/// Returns true if a query parameter of this schema is a string, which is the default type.
fn is_text(document: &Value, schema: &Value) -> bool {
    let name = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    let schema = name.and_then(|pointer| document.pointer(pointer)).unwrap_or(schema);
    schema["type"].as_str().is_none_or(|kind| kind == "string")
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().expect("an object of the document")
}
