//! Runs many seeds, or one with a report of each step.

#![allow(clippy::print_stdout, reason = "it is a command, and this is its output")]

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use clap::Parser;
use daymark_simulation::Setup;
use daymark_simulation::checks::{FAULT_PERIOD, MAX_STALE, SETTLE, Violation, run_seed};

/// Simulates several hosts of Daymark on a network with faults drawn from a seed
#[derive(Parser)]
struct Arguments {
    /// Run only this seed, and print its steps
    #[arg(long)]
    seed: Option<u64>,
    /// The number of seeds to run
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,
}

/// The size of a seed's simulation: mostly three hosts, sometimes two or five.
fn setup(seed: u64) -> Setup {
    let hosts = [3, 3, 3, 2, 5][usize::try_from(seed % 5).unwrap_or_default()];
    let nodes = 1 + usize::try_from(seed / 5 % 4).unwrap_or_default();
    Setup { hosts, nodes }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.seed {
        Some(seed) => one(seed),
        None => many(arguments.from, arguments.seeds),
    }
}

fn one(seed: u64) -> ExitCode {
    let setup = setup(seed);
    println!("seed {seed}: {} hosts, {} nodes", setup.hosts, setup.nodes);
    match run_seed(setup, seed, |at, fault| println!("{at:>6} ms  {fault}")) {
        Ok(()) => {
            println!("no violation");
            ExitCode::SUCCESS
        }
        Err(violation) => {
            println!("{violation}");
            ExitCode::FAILURE
        }
    }
}

fn many(from: u64, seeds: u64) -> ExitCode {
    let next = AtomicU64::new(from);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let mut found = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from.saturating_add(seeds) {
                return found;
            }
            if let Err(violation) = run_seed(setup(seed), seed, |_, _| {}) {
                found.push((seed, violation));
            }
        }
    };
    let found: Vec<(u64, Violation)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
    });
    for (seed, violation) in found.iter().take(20) {
        println!("seed {seed}: {violation}");
    }
    println!(
        "simulation: {seeds} seeds of {} s each, {} violations (only dead nodes for more than {MAX_STALE} ms, no agreement {SETTLE} ms after)",
        (FAULT_PERIOD + 2 * SETTLE) / 1_000,
        found.len()
    );
    if let Some((seed, _)) = found.first() {
        println!("to repeat one: cargo run --locked --package daymark-simulation -- --seed {seed}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
