//! The admin API over HTTP/1.1: health, metrics, status, history, and operators' words.
//!
//! It holds nothing itself: every answer is asked of the part that knows it. It is for operators and monitoring, and is
//! served apart from DNS: a client that is slow or sends nonsense costs one of a few connections, and that one gives way to the
//! next.

mod allowed_hosts;
mod dns_notes;
mod override_body;
mod overrides;
mod server;
pub mod token;

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::extract::rejection::PathRejection;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use daymark_api::{Event, HostsStatus, PoolStatus, Problem, ProviderStatus, ProviderTtl, Status, unusable_file_alarm};
use daymark_discovery::DiscoveryStatuses;
use daymark_files::{WatchedFiles, error_chain};

pub use self::allowed_hosts::AllowedHosts;
pub use self::server::serve;
pub use self::token::AdminToken;

use crate::driver::{Gone, Handle};
use crate::events::Events;
use crate::expiries::PoolExpiries;
use crate::metrics::{ConnectionServer, DnsReadings, DriverReadings, Metrics, ProviderReadings, Readings};
use crate::os::clock::Clock;
use crate::os::crashes;
use crate::os::log_writer;
use crate::peers::keyfile::KeyFile;
use crate::publish::Progress;
use crate::reload::{REFUSED, Refused};
use crate::state::StateHealth;
use crate::watchdog::{StuckTask, Watchdog};

/// Queries since the start by transport and RCODE, as the DNS server counts them.
pub type DnsReader = Arc<dyn Fn() -> DnsReadings + Send + Sync>;

/// The longest wait for the driver of a request whose sender waits only a moment. A kubelet waits for one second by default.
const READ_TIMEOUT: Duration = Duration::from_millis(500);

/// The parts of a running Daymark that the admin API reads.
#[derive(Clone)]
pub struct Admin {
    /// The driver. It has the answers, and sets and clears overrides.
    pub driver: Handle,
    /// The time.
    pub clock: Clock,
    /// The history.
    pub events: Events,
    /// The discovery status of each pool.
    pub statuses: DiscoveryStatuses,
    /// The CAs and the credentials of the probes of each pool.
    pub expiries: PoolExpiries,
    /// The metrics.
    pub metrics: Metrics,
    /// The watchdog. It knows the stuck tasks.
    pub watchdog: Watchdog,
    /// The progress of each provider.
    pub providers: Vec<Progress>,
    /// The health of the state files.
    pub state: StateHealth,
    /// The reason for which the newest configuration is refused.
    pub refused: Refused,
    /// Reads the counters of the DNS server.
    pub dns: DnsReader,
    /// The servers of TCP clients.
    pub servers: Vec<ConnectionServer>,
    /// The file of the gossip keys; `None` for a host without peers.
    pub key_file: Option<Arc<KeyFile>>,
    /// The token that writing needs.
    pub token: AdminToken,
}

/// An answer that is no success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorResponse {
    code: StatusCode,
    problem: Problem,
}

impl ErrorResponse {
    /// An answer with this status and this error.
    pub fn new(code: StatusCode, error: impl Display) -> Self {
        Self { code, problem: Problem { error: error.to_string() } }
    }
}

impl From<Gone> for ErrorResponse {
    fn from(gone: Gone) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, gone)
    }
}

/// The response to a name in the path that is no UTF-8 once its escapes are resolved.
impl From<PathRejection> for ErrorResponse {
    fn from(rejection: PathRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl IntoResponse for ErrorResponse {
    fn into_response(self) -> Response {
        let code = self.code;
        let response = (code, Json(self.problem)).into_response();
        if code == StatusCode::UNAUTHORIZED {
            // RFC 9110, section 15.5.2: it has to say how one may be let in.
            return ([(header::WWW_AUTHENTICATE, "Bearer")], response).into_response();
        }
        response
    }
}

/// The routes of the second listener: the metrics and the health checks.
pub fn metrics_routes(admin: Admin) -> Router {
    let routes =
        Router::new().route("/livez", get(livez)).route("/readyz", get(readyz)).route("/metrics", get(metrics));
    routes.method_not_allowed_fallback(wrong_method).fallback(only_metrics_here).with_state(admin)
}

/// The routes of the admin API.
pub fn routes(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/api/v1/status", get(status))
        .route("/api/v1/events", get(events))
        .route("/api/v1/pools/{pool}/nodes/{node}/override", put(overrides::set).delete(overrides::clear))
        .method_not_allowed_fallback(wrong_method)
        .fallback(nothing_here)
        .with_state(admin)
}

impl Admin {
    fn provider_statuses(&self) -> Vec<ProviderStatus> {
        self.providers.iter().map(Progress::status).collect()
    }

    /// Every pool, with what is known of it by discovery.
    async fn pools(&self) -> Result<Vec<PoolStatus>, Gone> {
        let pools = self.driver.status().await?.into_iter();
        let now = i64::try_from(self.clock.now().as_secs()).unwrap_or(i64::MAX);
        Ok(pools
            .map(|pool| {
                let discovery = self.statuses.of(&pool.name);
                let unsaved_overrides = self.state.unsaved_overrides(&pool.name);
                let pool = PoolStatus { unsaved_overrides, ..pool };
                self.expiries.add_to(pool.with_discovery(discovery), now)
            })
            .collect())
    }

    /// The readings of the driver for a caller that waits only a moment, such as Prometheus and the kubelet.
    async fn read_driver(&self) -> Result<DriverReadings, Gone> {
        let read = async { Ok(DriverReadings { pools: self.pools().await?, hosts: self.driver.hosts().await? }) };
        tokio::time::timeout(READ_TIMEOUT, read).await.unwrap_or(Err(Gone))
    }

    async fn status(&self) -> Result<Status, Gone> {
        let pools = self.pools().await?;
        let hosts = self.driver.hosts().await?;
        let mut providers = self.provider_statuses();
        // A provider that answers in this process gives the TTL of the answer.
        for (status, _) in providers.iter_mut().zip(&self.providers).filter(|(_, progress)| !progress.is_remote()) {
            status.ttls = pools
                .iter()
                .map(|pool| ProviderTtl { pool: pool.name.clone(), ttl_seconds: pool.ttl_seconds })
                .collect();
        }
        let dns = (self.dns)();
        for status in providers.iter_mut().filter(|status| status.name == "authoritative") {
            status.notes.extend(dns_notes::notes(&dns));
        }
        let now = self.clock.now();
        let mut alarms: Vec<String> = pools.iter().flat_map(PoolStatus::alarms).collect();
        alarms.extend(hosts.iter().flat_map(HostsStatus::alarms));
        alarms.extend(self.refused.reason().map(|reason| format!("{REFUSED}: {reason}")));
        alarms.extend(self.state.alarms());
        let keys = self.key_file.iter().filter_map(|file| {
            file_alarm(file, "the file of the gossip keys", "this host exchanges nothing with the other hosts")
        });
        alarms.extend(keys);
        let token = self.token.file();
        alarms
            .extend(token.and_then(|file| file_alarm(file, "the file of the admin token", "nobody can set overrides")));
        alarms.extend(providers.iter().flat_map(|provider| provider.alarms(now)));
        alarms.extend(dns_notes::alarms(&dns, now));
        alarms.extend(crashes::crashes().alarm());
        alarms.extend(self.watchdog.stuck_tasks().iter().map(stuck));
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: self.clock.started(),
            now,
            pools,
            providers,
            hosts,
            alarms,
        })
    }
}

/// The alarm of a file that cannot be used any more, or that could not be used in this run.
fn file_alarm<T, E>(file: &WatchedFiles<T, E>, name: &str, loss: &str) -> Option<String>
where
    T: Send + Sync + 'static,
    E: std::error::Error + Send + Sync + 'static,
{
    match (file.current(), file.error()) {
        (Err(error), _) => Some(format!("{name} cannot be used: {}; {loss} until it can be", error_chain(&error))),
        (Ok(_), Some(error)) => Some(unusable_file_alarm(name, error)),
        (Ok(_), None) => None,
    }
}

async fn livez(State(admin): State<Admin>) -> impl IntoResponse {
    let stuck_tasks = admin.watchdog.stuck_tasks();
    let checks: Vec<_> = stuck_tasks.iter().map(|task| Err(stuck(task))).collect();
    report("livez", &checks)
}

async fn readyz(State(admin): State<Admin>) -> impl IntoResponse {
    // This API is served last. When it answers, every listener is bound.
    let mut checks = vec![Ok("listeners".to_owned())];
    // A remote provider keeps serving the published answer while it cannot be changed. Its delay is an alarm, and no reason to
    // take this host away.
    let own = admin.providers.iter().filter(|provider| !provider.is_remote()).map(Progress::status);
    checks.extend(own.map(|provider| match provider.published {
        Some(_) => Ok(format!("answer of {}", provider.name)),
        None => Err(format!("provider {} has published no answer yet", provider.name)),
    }));
    match admin.read_driver().await {
        Ok(readings) => {
            checks.push(Ok("driver".to_owned()));
            checks.extend(readings.hosts.map(|hosts| {
                let is_good = !hosts.is_better_avoided();
                let isolated = || "this host reaches no target, but another host may reach one".to_owned();
                is_good.then(|| "isolation".to_owned()).ok_or_else(isolated)
            }));
            checks.extend(readings.pools.iter().filter_map(PoolStatus::nothing_known).map(Err));
        }
        Err(gone) => checks.push(Err(gone.to_string())),
    }
    report("readyz", &checks)
}

fn stuck(task: &StuckTask) -> String {
    if task.has_crashed {
        return format!("{} has crashed", task.name);
    }
    format!("{} is stuck: no heartbeat for {} s", task.name, task.silence.as_secs())
}

/// The list of checks in the form of the apiserver's own.
fn report(name: &str, checks: &[Result<String, String>]) -> impl IntoResponse + use<> {
    let line = |check: &Result<String, String>| match check {
        Ok(check) => format!("[+]{check} ok"),
        Err(fault) => format!("[-]{fault}"),
    };
    let mut lines: Vec<String> = checks.iter().map(line).collect();
    let is_good = checks.iter().all(Result::is_ok);
    lines.push(format!("{name} check {}\n", if is_good { "passed" } else { "failed" }));
    let code = if is_good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, lines.join("\n"))
}

async fn metrics(State(admin): State<Admin>) -> Result<Response, ErrorResponse> {
    let readings = Readings {
        // If the driver is stuck, the metrics must still report it.
        driver: admin.read_driver().await.ok(),
        providers: admin
            .providers
            .iter()
            .map(|provider| ProviderReadings { status: provider.status(), calls: provider.calls() })
            .collect(),
        now: admin.clock.now(),
        dns: (admin.dns)(),
        servers: admin.servers.clone(),
        state_failures: admin.state.failures(),
        state_writable: admin.state.errors().is_empty(),
        config_refused: admin.refused.reason().is_some(),
        stuck: admin.watchdog.stuck_tasks().len(),
        crashes: crashes::crashes().count,
        lost_lines: log_writer::lost_lines(),
    };
    let text = admin
        .metrics
        .encode(&readings)
        .map_err(|error| ErrorResponse::new(StatusCode::INTERNAL_SERVER_ERROR, error))?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

async fn status(State(admin): State<Admin>) -> Result<Json<Status>, ErrorResponse> {
    Ok(Json(admin.status().await?))
}

async fn events(State(admin): State<Admin>) -> Json<Vec<Event>> {
    Json(admin.events.all())
}

async fn nothing_here() -> ErrorResponse {
    ErrorResponse::new(
        StatusCode::NOT_FOUND,
        "this path does not exist; the paths are /livez, /readyz, /metrics, /api/v1/status, /api/v1/events and \
         /api/v1/pools/{pool}/nodes/{node}/override",
    )
}

async fn only_metrics_here() -> ErrorResponse {
    ErrorResponse::new(StatusCode::NOT_FOUND, "this path does not exist; the paths are /livez, /readyz and /metrics")
}

async fn wrong_method(method: Method, uri: Uri) -> ErrorResponse {
    ErrorResponse::new(StatusCode::METHOD_NOT_ALLOWED, format!("{} does not allow {method}", uri.path()))
}

#[cfg(test)]
mod tests;
