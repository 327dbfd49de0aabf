//! The envelope of every response, and the refusals that several endpoints share. It knows nothing of sockets.

use http::StatusCode;
use serde_json::{Value, json};

/// A response: a status and the whole body.
#[derive(Clone, Debug)]
pub(crate) struct ApiResponse {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

/// The outcome of handling a request. A refusal is a response as well.
pub(crate) type Outcome = Result<ApiResponse, ApiResponse>;

/// One error of a refusal.
#[derive(Clone, Copy)]
pub(crate) struct ErrorText<'a> {
    pub(crate) code: u32,
    pub(crate) message: &'a str,
}

impl ApiResponse {
    /// A success with this result.
    pub(crate) fn of(result: Value) -> Self {
        let mut body = json!({"success": true, "errors": [], "messages": []});
        body["result"] = result;
        Self { status: StatusCode::OK, body }
    }

    /// The page with this number (from 1) when `items` are split into pages of `per_page`.
    pub(crate) fn page(items: &[Value], page: usize, per_page: usize) -> Self {
        let shown: Vec<_> = items.iter().skip((page - 1) * per_page).take(per_page).cloned().collect();
        let info = json!({
            "page": page, "per_page": per_page, "count": shown.len(),
            "total_count": items.len(), "total_pages": items.len().div_ceil(per_page),
        });
        let mut answer = Self::of(Value::Array(shown));
        answer.body["result_info"] = info;
        answer
    }

    /// A refusal with one error.
    pub(crate) fn refusal(status: StatusCode, code: u32, message: &str) -> Self {
        Self::failure(status, json!({"code": code, "message": message}))
    }

    /// A refusal whose error contains a second, more specific one.
    pub(crate) fn chained(status: StatusCode, error: ErrorText<'_>, cause: ErrorText<'_>) -> Self {
        let chain = json!([{"code": cause.code, "message": cause.message}]);
        Self::failure(status, json!({"code": error.code, "message": error.message, "error_chain": chain}))
    }

    /// Load Balancing's refusal of an invalid request.
    pub(crate) fn invalid(message: &str) -> Self {
        Self::refusal(StatusCode::BAD_REQUEST, 1002, &format!("{message}: validation failed"))
    }

    /// Load Balancing's response for an entity that does not exist.
    pub(crate) fn not_found(what: &str) -> Self {
        Self::refusal(StatusCode::NOT_FOUND, 1001, &format!("{what} not found: not found"))
    }

    /// The response for a path without an endpoint, also for an account or zone whose ID has not the form of one.
    pub(crate) fn no_route(path: &str) -> Self {
        let message = format!("Could not route to {path}, perhaps your object identifier is invalid?");
        Self::refusal(StatusCode::NOT_FOUND, 7003, &message)
    }

    fn failure(status: StatusCode, error: Value) -> Self {
        let mut body = json!({"success": false, "messages": [], "result": null});
        body["errors"] = Value::Array(vec![error]);
        Self { status, body }
    }
}
