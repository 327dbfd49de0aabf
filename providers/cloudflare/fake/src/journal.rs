//! The journal of calls: with `CLOUDFLARE_CALLS`, every request is written to a file of that directory, one file a process.
//!
//! A line is the JSON of one request: `method`, `path`, `query` as pairs, `headers` without the token, `body` as text, and the
//! `status` of the response, null for a connection that was cut. `tests/prism` reads it. It knows nothing of the store.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::LazyLock;

use http::header;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use crate::request::FakeRequest;

/// The environment variable that names the directory.
const VARIABLE: &str = "CLOUDFLARE_CALLS";

static FILE: LazyLock<Option<Mutex<File>>> = LazyLock::new(|| {
    let directory = std::env::var_os(VARIABLE)?;
    let directory = Path::new(&directory);
    fs::create_dir_all(directory).expect("the directory that CLOUDFLARE_CALLS names");
    let path = directory.join(format!("{}.jsonl", std::process::id()));
    let file = OpenOptions::new().append(true).create(true).open(path);
    Some(Mutex::new(file.expect("a file in the directory that CLOUDFLARE_CALLS names")))
});

/// Writes the request, if the environment names a directory.
pub(crate) fn write(request: &FakeRequest, status: Option<u16>) {
    let Some(file) = &*FILE else { return };
    let shown = request.headers.iter().filter(|(name, _)| *name != header::AUTHORIZATION);
    let headers: Map<_, _> =
        shown.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into())).collect();
    let line = json!({
        "method": request.method.as_str(), "path": request.path, "query": request.query, "headers": headers,
        "body": String::from_utf8_lossy(&request.body), "status": status,
    });
    let mut text = Value::to_string(&line);
    text.push('\n');
    file.lock().write_all(text.as_bytes()).expect("the journal of calls can be written");
}
