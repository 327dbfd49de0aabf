//! `daymark probe`: one probe of each target.

use std::path::PathBuf;

use clap::Args;
use daymark_decision::{Observation, Target};
use futures_util::future::join_all;
use serde::Serialize;

use super::explain::{day, times};
use super::table::table;
use super::{Outcome, Output, Own, block_on, json};
use crate::config::Config;
use crate::probe::Prober;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    own: Own,
    /// The form of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, Serialize)]
struct Probed {
    #[serde(flatten)]
    target: Target,
    sentence: String,
    #[serde(flatten)]
    observation: Observation,
}

pub(super) fn probe(arguments: &Arguments) -> Outcome {
    let config = Config::load_without_keys(&arguments.config, arguments.own.name.as_deref())?;
    let probed = block_on(async { Ok(probe_all(&config).await) })?;
    match arguments.output {
        Output::Json => json(&probed),
        Output::Text => Ok(text(&probed)),
    }
}

async fn probe_all(config: &Config) -> Vec<Probed> {
    let probers: Vec<Prober> = config.pools.iter().map(|pool| Prober::new(pool.probe.clone())).collect();
    let pairs = config.pools.iter().zip(&probers);
    let targets = pairs.flat_map(|(pool, prober)| pool.pool.targets().map(move |(target, _)| (target, prober)));
    join_all(targets.map(|(target, prober)| async move {
        let observation = prober.probe_once(target.address).await;
        Probed { target, sentence: observation.kind.to_string(), observation }
    }))
    .await
}

fn text(probed: &[Probed]) -> String {
    let row = |Probed { target, sentence, observation }: &Probed| {
        let certificate = observation.certificate.as_ref();
        vec![
            target.pool.to_string(),
            target.node.to_string(),
            target.address.to_string(),
            times(observation.timings),
            certificate.map_or("none seen".to_owned(), |it| day(it.not_after)),
            sentence.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = probed.iter().map(row).collect();
    let mut text = table(&["POOL", "NODE", "ADDRESS", "TIMES", "CERTIFICATE UNTIL", "FOUND"], &rows);
    let mut seen: Vec<&[String]> = Vec::new();
    for Probed { target, observation, .. } in probed {
        let Some(certificate) = &observation.certificate else { continue };
        if !seen.contains(&certificate.names.as_slice()) {
            seen.push(&certificate.names);
            text.push_str(&format!("certificate of {}: {}\n", target.node, certificate.names.join(", ")));
        }
    }
    text
}
