//! `daymark demo`: runs Daymark on this host with three fake apiservers, whose behaviour can be changed.
//!
//! The cargo feature `demo` includes this command. It is on by default, and a packager can turn it off.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::put;
use bytes::Bytes;
use clap::Args;
use daymark_authoritative::InheritedSockets;
use daymark_config::Config;
use daymark_fake_apiserver::{Behaviour, FakeApiserver, FakeAuthority, UnknownBehaviour};
use tracing::level_filters::LevelFilter;

use super::client::{Api, segment};
use super::log::{self, Format};
use super::{Failure, Outcome, block_on, print, signals};
use crate::app::App;
use crate::start::StartConfig;
use daymark_files::error_chain;

const POOL: &str = "lb.kube-cp.com";
const NODES: [&str; 3] = ["kube-cp-1", "kube-cp-2", "kube-cp-3"];

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Change the behaviour of a fake of the running demo, to fail, shutdown, heal, silent, not-ready=etcd or another
    #[arg(requires = "node")]
    behaviour: Option<String>,
    /// The node of the fake: kube-cp-1, kube-cp-2 or kube-cp-3
    node: Option<String>,
    /// The address to serve DNS on
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5353")]
    listen: SocketAddr,
    #[command(flatten)]
    api: Api,
}

/// The fake apiservers of a demo, with the directory of its files. Dropping it removes the directory.
struct DemoCluster {
    apiservers: Vec<FakeApiserver>,
    dir: tempfile::TempDir,
    /// The port of every fake.
    port: u16,
}

pub(super) fn demo(arguments: &Arguments) -> Outcome {
    match (&arguments.behaviour, &arguments.node) {
        (Some(behaviour), Some(node)) => set_behaviour(&arguments.api, behaviour, node),
        _ => block_on(run_demo(arguments)).map(|()| String::new()),
    }
}

/// Changes the behaviour of a fake of a running demo.
fn set_behaviour(api: &Api, behaviour: &str, node: &str) -> Outcome {
    let behaviour: Behaviour =
        behaviour.parse().map_err(|error: UnknownBehaviour| Failure::Usage(error.to_string()))?;
    let body = behaviour.to_string();
    block_on(api.client()?.put(&format!("/demo/{}", segment(node)), body))?;
    Ok(format!("{node} has the behaviour `{behaviour}` now\n"))
}

async fn run_demo(arguments: &Arguments) -> Result<(), Failure> {
    let cluster = DemoCluster::start()
        .map_err(|error| Failure::Run(format!("the fake apiservers cannot start: {}", error_chain(&*error))))?;
    let config = Config::parse(&cluster.configuration(arguments), "the demo's configuration", cluster.dir.path())?;
    let app = App::bind(StartConfig::without_file(config), signals()?, InheritedSockets::default(), None)
        .map_err(|errors| Failure::Usage(format!("{errors}\nchoose other addresses by --listen and --api")))?;
    print(&cluster.instructions(arguments))?;
    let _log = log::start(Format::Text, LevelFilter::INFO);
    let apiservers = Arc::new(cluster.apiservers);
    let outcome = app.with_routes(routes(apiservers.clone())).run().await;
    if let Some(apiservers) = Arc::into_inner(apiservers) {
        for apiserver in apiservers {
            apiserver.stop().await;
        }
    }
    outcome.map_err(|error| Failure::Run(error_chain(&error)))
}

impl DemoCluster {
    fn start() -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let dir = tempfile::Builder::new().prefix("daymark-demo-").tempdir()?;
        let authority = FakeAuthority::new("daymark-demo-ca")?;
        fs::write(dir.path().join("ca.crt"), authority.pem())?;
        let mut apiservers: Vec<FakeApiserver> = Vec::new();
        for index in 0..NODES.len() {
            let port = apiservers.first().map_or(0, |first| first.address().port());
            apiservers.push(FakeApiserver::start((address(index), port).into(), &authority, &[POOL])?);
        }
        let port = apiservers.first().map_or(0, |first| first.address().port());
        Ok(Self { apiservers, dir, port })
    }

    fn configuration(&self, arguments: &Arguments) -> String {
        let nodes: String = (0..NODES.len())
            .map(|index| format!("      - {{name: {}, addresses: [{}]}}\n", NODES[index], address(index)))
            .collect();
        format!(
            "pools:\n  - name: {POOL}\n    port: {port}\n    nodes:\n{nodes}    probe: {{ca: ca.crt}}\n\
             providers:\n  - type: authoritative\n    listen: [\"{dns}\"]\n    nameservers:\n      \
             - {{name: ns1.kube-cp.com}}\nadmin: {{listen: \"{admin}\"}}\nstateDir: state\n",
            port = self.port,
            dns = arguments.listen,
            admin = arguments.api.address(),
        )
    }

    /// The text that describes the demo, with commands to type.
    fn instructions(&self, arguments: &Arguments) -> String {
        let daymark = std::env::args().next().unwrap_or_else(|| "daymark".to_owned());
        let dns = arguments.listen;
        let ip = dns.ip();
        let port = dns.port();
        let apiserver_port = self.port;
        let admin = arguments.api.address();
        let api = if admin == "127.0.0.1:9353" { String::new() } else { format!(" --api {admin}") };
        let token = self.dir.path().join("state/admin.token");
        format!(
            "The pool {POOL} has three fake apiservers: kube-cp-1, -2 and -3 on 127.0.0.11, .12 and .13, port {apiserver_port}.\n\
             Daymark serves DNS on {dns} and the admin API on http://{admin}.\n\n\
             Resolve the name, in another terminal:\n  \
             dig +short @{ip} -p {port} {POOL}\n  \
             dig @{ip} -p {port} {POOL}\n\n\
             Break and heal a fake:\n  \
             {daymark} demo{api} fail kube-cp-2        # like kill -9\n  \
             {daymark} demo{api} shutdown kube-cp-2    # like SIGTERM\n  \
             {daymark} demo{api} silent kube-cp-2      # like a power loss\n  \
             {daymark} demo{api} heal kube-cp-2\n\n\
             Inspect and override:\n  \
             {daymark} status{api}\n  \
             {daymark} explain{api} kube-cp-2\n  \
             {daymark} drain{api} kube-cp-3 --for 10m --token-file {token}\n  \
             curl -s http://{admin}/metrics\n\n\
             Each change is logged here. Ctrl-C ends the demo.\n\n",
            token = token.display(),
        )
    }
}

fn address(index: usize) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, u8::try_from(11 + index).unwrap_or(u8::MAX)).into()
}

fn routes(apiservers: Arc<Vec<FakeApiserver>>) -> Router {
    Router::new().route("/demo/{node}", put(put_behaviour)).with_state(apiservers)
}

async fn put_behaviour(
    State(apiservers): State<Arc<Vec<FakeApiserver>>>,
    Path(node): Path<String>,
    body: Bytes,
) -> Result<(), crate::admin::ErrorResponse> {
    let problem = crate::admin::ErrorResponse::new;
    let index = NODES.iter().position(|name| *name == node).ok_or_else(|| {
        problem(StatusCode::NOT_FOUND, format!("there is no fake {node}; there are {}", NODES.join(", ")))
    })?;
    let behaviour = String::from_utf8_lossy(&body)
        .parse()
        .map_err(|error: UnknownBehaviour| problem(StatusCode::BAD_REQUEST, error.to_string()))?;
    let apiserver = &apiservers[index];
    apiserver.set(behaviour).await.map_err(|error| problem(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}
