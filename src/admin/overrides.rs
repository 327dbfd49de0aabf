//! The overrides of operators: set and clear.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use daymark_api::{OverrideReply, OverrideRequest};
use daymark_config::{self as config, DurationError};
use daymark_decision::{Command, Moment, NodeKey, NodeName, Override, PoolName, Refusal};
use daymark_gossip::{MAX_AUTHOR_BYTES, MAX_REASON_BYTES};
use serde::Deserialize;

use super::override_body::{self, BodyError};
use super::token::Denied;
use super::{Admin, ErrorResponse};

/// The error of a body that is no request for an override.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    /// It is no JSON object of this form.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// It is stored, replicated to the other hosts, and shown in one line.
    #[error("{key}: one line of at most {max} bytes is allowed")]
    Text { key: &'static str, max: usize },
    /// The length is no duration, or out of bounds.
    #[error("for: {0}")]
    Length(#[from] DurationError),
}

impl From<RequestError> for ErrorResponse {
    fn from(error: RequestError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }
}

/// The names in the path of a request.
#[derive(Debug, Deserialize)]
pub(super) struct NodePath {
    pool: String,
    node: String,
}

pub(super) async fn set(
    State(admin): State<Admin>,
    names: Result<Path<NodePath>, PathRejection>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<OverrideReply>, ErrorResponse> {
    admit(&admin, &headers)?;
    let Path(NodePath { pool, node }) = names?;
    let request = override_body::parsed(&body).map_err(RequestError::Body)?;
    let requested = requested(&request, admin.clock.now())?;
    let pool = pool_name(&admin, &pool).await?;
    let node = node_name(&node)?;
    carry_out(&admin, Command::SetOverride { pool, node, requested, insist: request.insist }).await
}

pub(super) async fn clear(
    State(admin): State<Admin>,
    names: Result<Path<NodePath>, PathRejection>,
    headers: HeaderMap,
) -> Result<Json<OverrideReply>, ErrorResponse> {
    admit(&admin, &headers)?;
    let Path(NodePath { pool, node }) = names?;
    let pool = pool_name(&admin, &pool).await?;
    carry_out(&admin, Command::ClearOverride { pool, node: node_name(&node)? }).await
}

/// The name of the pool, or the refusal of a name that no pool can have.
async fn pool_name(admin: &Admin, text: &str) -> Result<PoolName, ErrorResponse> {
    if let Ok(name) = PoolName::new(text) {
        return Ok(name);
    }
    let known = admin.driver.status().await?.into_iter().map(|pool| pool.name).collect();
    Err(refused(&Refusal::UnknownPool { pool: text.to_owned(), known }))
}

fn node_name(text: &str) -> Result<NodeName, ErrorResponse> {
    NodeName::new(text).map_err(|error| ErrorResponse::new(StatusCode::NOT_FOUND, error.to_string()))
}

fn requested(request: &OverrideRequest, now: Moment) -> Result<Override, RequestError> {
    for (key, text, max) in
        [("reason", &request.reason, MAX_REASON_BYTES), ("author", &request.author, MAX_AUTHOR_BYTES)]
    {
        if text.len() > max || text.chars().any(char::is_control) {
            return Err(RequestError::Text { key, max });
        }
    }
    let length = request.length.as_deref().map(config::duration).transpose()?;
    let until = length.map(|length| now.after(length));
    Ok(Override {
        kind: request.kind,
        reason: request.reason.clone(),
        author: request.author.clone(),
        since: now,
        until,
        host: None,
    })
}

fn admit(admin: &Admin, headers: &HeaderMap) -> Result<(), ErrorResponse> {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    admin.token.admit(authorization).map_err(|denied| {
        let code = match denied {
            Denied::Off => StatusCode::FORBIDDEN,
            Denied::Wrong(_) => StatusCode::UNAUTHORIZED,
            Denied::File(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        ErrorResponse::new(code, denied)
    })
}

async fn carry_out(admin: &Admin, command: Command) -> Result<Json<OverrideReply>, ErrorResponse> {
    let (Command::SetOverride { pool, node, .. } | Command::ClearOverride { pool, node }) = &command;
    let changed = NodeKey { pool: pool.clone(), node: node.clone() };
    let done = admin.driver.command(command).await?;
    let revision = done.map_err(|refusal| refused(&refusal))?;
    // A confirmed override must survive a crash.
    let saved = admin.state.persisted(revision, &changed).await;
    let message = saved.as_ref().err().map(|reason| {
        format!(
            "the change is active, but not saved: {reason}; a restart of this host loses it, unless another host has it"
        )
    });
    Ok(Json(OverrideReply { saved: saved.is_ok(), message, pools: admin.pools().await? }))
}

fn refused(refusal: &Refusal) -> ErrorResponse {
    ErrorResponse::new(code(refusal), refusal)
}

fn code(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::UnknownPool { .. } | Refusal::UnknownNode { .. } | Refusal::NoOverride { .. } => StatusCode::NOT_FOUND,
        Refusal::Expired { .. } => StatusCode::BAD_REQUEST,
        Refusal::Starting { .. } => StatusCode::SERVICE_UNAVAILABLE,
        Refusal::TooManyChanges => StatusCode::TOO_MANY_REQUESTS,
        Refusal::LastUndrained { .. } | Refusal::LastUsable { .. } => StatusCode::CONFLICT,
    }
}
