//! Operators' words: drain, force, and the end of both.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use daymark_decision::{Command, NodeName, Override, OverrideKind, PoolName, Refusal};
use daymark_gossip::{LONGEST_AUTHOR, LONGEST_REASON};
use serde::{Deserialize, Serialize};

use super::token::Denied;
use super::{Admin, Problem};
use crate::config;
use crate::status::PoolStatus;

/// What an operator wants, as the body of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Wish {
    /// `drain` or `force`.
    pub kind: OverrideKind,
    /// For how long, such as `10m`; without it, until it is lifted.
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    pub length: Option<String>,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// Who.
    #[serde(default)]
    pub author: String,
    /// Drain also where no usable node is left.
    #[serde(default)]
    pub insist: bool,
}

pub(super) async fn set(
    State(admin): State<Admin>,
    names: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Vec<PoolStatus>>, Problem> {
    admit(&admin, &headers)?;
    let Path((pool, node)) = names?;
    let bad = |sentence: String| Problem::new(StatusCode::BAD_REQUEST, sentence);
    let wish: Wish = serde_json::from_slice(&body).map_err(|error| bad(format!("the body is no override: {error}")))?;
    let order = order(&wish, admin.clock.now()).map_err(bad)?;
    let (pool, node) = (PoolName::new(&pool), NodeName::new(&node));
    carry_out(&admin, Command::SetOverride { pool, node, order, insist: wish.insist }).await
}

pub(super) async fn lift(
    State(admin): State<Admin>,
    names: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
) -> Result<Json<Vec<PoolStatus>>, Problem> {
    admit(&admin, &headers)?;
    let Path((pool, node)) = names?;
    carry_out(&admin, Command::ClearOverride { pool: PoolName::new(&pool), node: NodeName::new(&node) }).await
}

fn order(wish: &Wish, now: daymark_decision::Moment) -> Result<Override, String> {
    // They are kept, told to the other hosts, and shown in one line.
    for (key, text, most) in [("reason", &wish.reason, LONGEST_REASON), ("author", &wish.author, LONGEST_AUTHOR)] {
        if text.len() > most || text.chars().any(char::is_control) {
            return Err(format!("{key}: one line of at most {most} bytes is allowed"));
        }
    }
    let length = wish.length.as_deref().map(config::duration).transpose().map_err(|wrong| format!("for: {wrong}"))?;
    let until = length.map(|length| now.after(length));
    let (kind, reason, author) = (wish.kind, wish.reason.clone(), wish.author.clone());
    Ok(Override { kind, reason, author, since: now, until, host: None })
}

fn admit(admin: &Admin, headers: &HeaderMap) -> Result<(), Problem> {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|it| it.to_str().ok());
    admin.token.admit(authorization).map_err(|denied| {
        let code = match denied {
            Denied::Off => StatusCode::FORBIDDEN,
            Denied::Wrong => StatusCode::UNAUTHORIZED,
            Denied::File(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Problem::new(code, denied)
    })
}

async fn carry_out(admin: &Admin, command: Command) -> Result<Json<Vec<PoolStatus>>, Problem> {
    let done = admin.driver.command(command).await?;
    let revision = done.map_err(|refusal| Problem::new(code(&refusal), refusal))?;
    // Who is told that it is done must find it done after a crash as well.
    admin.state.kept(revision).await;
    Ok(Json(admin.driver.status().await?))
}

fn code(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::UnknownPool { .. } | Refusal::UnknownNode { .. } | Refusal::NoOverride { .. } => StatusCode::NOT_FOUND,
        Refusal::Ended { .. } => StatusCode::BAD_REQUEST,
        Refusal::Listening { .. } => StatusCode::SERVICE_UNAVAILABLE,
        Refusal::LastUndrained { .. } | Refusal::LastUsable { .. } => StatusCode::CONFLICT,
    }
}
