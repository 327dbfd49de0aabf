//! `daymark demo`: Daymark at work on this host alone, with three fake apiservers that can be broken and healed.

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
use daymark_fake_apiserver::{Authority, Behaviour, FakeApiserver};
use hyper::Method;

use super::client::{Api, segment};
use super::log::{self, Format};
use super::{Failure, Outcome, block_on, print};
use crate::app::App;
use crate::config::Config;
use daymark_files::error_chain;

const POOL: &str = "lb.kube-cp.com";
const NODES: [&str; 3] = ["kube-cp-1", "kube-cp-2", "kube-cp-3"];

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// What a fake of the running demo does from now on: fail, shutdown, heal, silent, not-ready=etcd and more
    #[arg(requires = "node")]
    behaviour: Option<String>,
    /// Which fake: kube-cp-1, kube-cp-2 or kube-cp-3
    node: Option<String>,
    /// Where to serve DNS
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5353")]
    listen: SocketAddr,
    #[command(flatten)]
    api: Api,
}

/// The fakes and where their files are. The files go with it.
struct Stage {
    apiservers: Vec<FakeApiserver>,
    dir: tempfile::TempDir,
    port: u16,
}

pub(super) fn demo(arguments: &Arguments) -> Outcome {
    match (&arguments.behaviour, &arguments.node) {
        (Some(behaviour), Some(node)) => act(&arguments.api, behaviour, node),
        _ => block_on(perform(arguments)).map(|()| String::new()),
    }
}

/// Tells a running demo what one of its fakes does from now on.
fn act(api: &Api, behaviour: &str, node: &str) -> Outcome {
    let behaviour: Behaviour = behaviour.parse().map_err(|unknown| Failure::Usage(format!("{unknown}")))?;
    let body = behaviour.to_string();
    api.write(Method::PUT, &format!("/demo/{}", segment(node)), body.into(), None)?;
    Ok(format!("{node} is {behaviour} now\n"))
}

async fn perform(arguments: &Arguments) -> Result<(), Failure> {
    let stage =
        Stage::set().map_err(|error| Failure::Run(format!("the fakes cannot start: {}", error_chain(&*error))))?;
    let text = stage.configuration(arguments);
    let config = Config::parse(&text, "the demo's configuration", stage.dir.path())?;
    let bound = App::bind(config, None, InheritedSockets::default());
    let app = bound.map_err(|it| Failure::Usage(format!("{it}\n--listen and --api take other addresses")))?;
    print(&stage.programme(arguments))?;
    let _log = log::start(Format::Text, "info");
    let apiservers = Arc::new(stage.apiservers);
    let outcome = app.with_routes(routes(apiservers.clone())).run().await;
    if let Some(apiservers) = Arc::into_inner(apiservers) {
        for apiserver in apiservers {
            apiserver.stop().await;
        }
    }
    outcome.map_err(|error| Failure::Run(error_chain(&error)))
}

impl Stage {
    fn set() -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let dir = tempfile::Builder::new().prefix("daymark-demo-").tempdir()?;
        let authority = Authority::new("daymark-demo-ca")?;
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

    /// What is on, and what to type next.
    fn programme(&self, arguments: &Arguments) -> String {
        let me = std::env::args().next().unwrap_or_else(|| "daymark".to_owned());
        let (dns, admin) = (arguments.listen, arguments.api.address());
        let (ip, port, apiservers) = (dns.ip(), dns.port(), self.port);
        let api = if admin == "127.0.0.1:9353" { String::new() } else { format!(" --api {admin}") };
        let token = self.dir.path().join("state/admin.token");
        format!(
            "Three fake apiservers are behind {POOL}: kube-cp-1, -2 and -3 on 127.0.0.11, .12 and .13, port {apiservers}.\n\
             DNS is on {dns}, the admin API on http://{admin}.\n\n\
             Ask, in another terminal:\n  \
             dig +short @{ip} -p {port} {POOL}\n  \
             dig @{ip} -p {port} {POOL}\n\n\
             Break and heal:\n  \
             {me} demo{api} fail kube-cp-2        # as kill -9\n  \
             {me} demo{api} shutdown kube-cp-2    # in order\n  \
             {me} demo{api} silent kube-cp-2      # as a power loss\n  \
             {me} demo{api} heal kube-cp-2\n\n\
             Look, and give your word:\n  \
             {me} status{api}\n  \
             {me} explain{api} kube-cp-2\n  \
             {me} drain{api} kube-cp-3 --for 10m --token-file {token}\n  \
             curl -s http://{admin}/metrics\n\n\
             Each change is told here as it happens. Ctrl-C ends it all.\n\n",
            token = token.display(),
        )
    }
}

fn address(index: usize) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, u8::try_from(11 + index).unwrap_or(u8::MAX)).into()
}

fn routes(apiservers: Arc<Vec<FakeApiserver>>) -> Router {
    Router::new().route("/demo/{node}", put(behave)).with_state(apiservers)
}

async fn behave(
    State(apiservers): State<Arc<Vec<FakeApiserver>>>,
    Path(node): Path<String>,
    body: Bytes,
) -> Result<(), crate::admin::Problem> {
    let problem = crate::admin::Problem::new;
    let index = NODES.iter().position(|name| *name == node).ok_or_else(|| {
        problem(StatusCode::NOT_FOUND, format!("there is no fake {node}; there are {}", NODES.join(", ")))
    })?;
    let behaviour = String::from_utf8_lossy(&body)
        .parse()
        .map_err(|it: daymark_fake_apiserver::UnknownBehaviour| problem(StatusCode::BAD_REQUEST, it.to_string()))?;
    let apiserver = &apiservers[index];
    apiserver.set(behaviour).await.map_err(|error| problem(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}
