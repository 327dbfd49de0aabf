//! `daymark probe`: one probe of each target.

use clap::Args;
use daymark_config::{Config, PoolConfig};
use daymark_decision::{Observation, Target};
use daymark_probe::Prober;
use futures_util::future::join_all;
use serde::Serialize;
use tracing::level_filters::LevelFilter;
use tracing::warn;

use super::explain::times;
use super::log::{self, Format};
use super::table::table;
use super::{ConfigArguments, Outcome, Output, block_on, json};
use crate::app;
use crate::node_discovery;
use crate::state::StateFile;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    file: ConfigArguments,
    /// The form of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, Serialize)]
struct ProbedTarget {
    #[serde(flatten)]
    target: Target,
    message: String,
    #[serde(flatten)]
    observation: Observation,
}

pub(super) fn probe(arguments: &Arguments) -> Outcome {
    let config = arguments.file.load_without_keys()?;
    let _log = log::start(Format::Text, LevelFilter::WARN);
    let pools = known(&config);
    let probed = block_on(async { Ok(probe_all(&pools).await) })?;
    match arguments.output {
        Output::Json => json(&probed),
        Output::Text => Ok(text(&probed)),
    }
}

/// The pools with the discovered nodes that the state of `run` has.
fn known(config: &Config) -> Vec<PoolConfig> {
    let discovered = app::remembered_nodes(config, StateFile::peek).discovered;
    for PoolConfig { pool, .. } in config.pools.iter().filter(|config| config.discovery.is_some()) {
        if discovered.0.get(&pool.name).is_none_or(|nodes| nodes.known().next().is_none()) {
            warn!("{}: the state has no discovered nodes, so only the seeds are probed", pool.name);
        }
    }
    node_discovery::complete(&discovered, &config.pools)
}

async fn probe_all(pools: &[PoolConfig]) -> Vec<ProbedTarget> {
    let probers: Vec<Prober> = pools.iter().map(|pool| Prober::new(pool.probe.clone())).collect();
    let pairs = pools.iter().zip(&probers);
    let targets = pairs.flat_map(|(pool, prober)| pool.pool.targets().map(move |target| (target, prober)));
    join_all(targets.map(|(target, prober)| async move {
        let observation = prober.probe_once(target.address).await;
        ProbedTarget { target, message: observation.kind.to_string(), observation }
    }))
    .await
}

fn text(probed: &[ProbedTarget]) -> String {
    let row = |ProbedTarget { target, message, observation }: &ProbedTarget| {
        let certificate = observation.certificate.as_ref();
        vec![
            target.pool.to_string(),
            target.node.to_string(),
            target.address.to_string(),
            times(observation.timings),
            certificate.map_or("none seen".to_owned(), |certificate| certificate.not_after.to_string()),
            message.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = probed.iter().map(row).collect();
    let mut text = table(&["POOL", "NODE", "ADDRESS", "TIMES", "CERTIFICATE UNTIL", "OUTCOME"], &rows);
    let mut seen: Vec<&[String]> = Vec::new();
    for ProbedTarget { target, observation, .. } in probed {
        let Some(certificate) = &observation.certificate else { continue };
        if !seen.contains(&certificate.names.as_slice()) {
            seen.push(&certificate.names);
            text.push_str(&format!("certificate of {}: {}\n", target.node, certificate.names.join(", ")));
        }
    }
    text
}
