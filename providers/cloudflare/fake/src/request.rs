//! The request as the handlers see it, and the checks that several of them share.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Map, Value};

use crate::envelope::ApiResponse;

/// One request, its body read to the end.
#[derive(Debug)]
pub(crate) struct FakeRequest {
    pub(crate) method: Method,
    /// The path below `/client/v4`, or the whole path if it is not below it.
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// The parameters that a list takes: its filters and the sizes of its pages.
pub(crate) struct ListOptions {
    pub(crate) filters: &'static [&'static str],
    pub(crate) per_page: usize,
    pub(crate) max_per_page: usize,
}

impl FakeRequest {
    pub(crate) fn new(parts: Parts, body: Bytes) -> Self {
        let path = parts.uri.path();
        let path = path.strip_prefix(crate::BASE).unwrap_or(path).to_owned();
        let query = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        Self { method: parts.method, path, query, headers: parts.headers, body }
    }

    /// The path and the query as the client sent them, without the base.
    pub(crate) fn target(&self) -> String {
        let query: Vec<_> = self.query.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}{mark}{}", self.path, query.join("&"))
    }

    /// The body as JSON: null if it is empty, a string if it is not JSON.
    pub(crate) fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body).unwrap_or_else(|_| String::from_utf8_lossy(&self.body).into())
    }

    /// The fields of the body, which must be an object.
    pub(crate) fn fields(&self) -> Result<Map<String, Value>, ApiResponse> {
        match self.json() {
            Value::Object(fields) => Ok(fields),
            _ => Err(ApiResponse::refusal(StatusCode::BAD_REQUEST, 9207, "Request body is invalid.")),
        }
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The requested page of `items`. Refuses a parameter that the fake does not know: ignoring a filter would return more
    /// than the client asked for.
    pub(crate) fn page(&self, listing: &ListOptions, items: &[Value]) -> Result<ApiResponse, ApiResponse> {
        let known = |key: &String| ["page", "per_page"].contains(&key.as_str()) || listing.filters.contains(&&**key);
        if let Some((key, _)) = self.query.iter().find(|(key, _)| !known(key)) {
            return Err(ApiResponse::invalid(&format!("the fake knows no parameter {key}")));
        }
        let number = |name, default| self.parameter(name).map_or(Some(default), |text| text.parse().ok());
        let page = number("page", 1).filter(|page| *page >= 1);
        let per_page = number("per_page", listing.per_page).filter(|size| (1..=listing.max_per_page).contains(size));
        match (page, per_page) {
            (Some(page), Some(per_page)) => Ok(ApiResponse::page(items, page, per_page)),
            _ => Err(ApiResponse::invalid("page and per_page must be in range")),
        }
    }
}

/// Returns a field that a client may not send: one of `read_only`, or an ID other than `id`.
pub(crate) fn forbidden<'a>(fields: &'a Map<String, Value>, read_only: &[&str], id: Option<&str>) -> Option<&'a str> {
    let is_forbidden = |(key, value): (&'a String, &'a Value)| {
        let foreign = key == "id" && value.as_str() != id;
        (foreign || read_only.contains(&key.as_str())).then_some(key.as_str())
    };
    fields.iter().find_map(is_forbidden)
}
