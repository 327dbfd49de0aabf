//! Plays many seeds, or one, told step by step.

#![allow(clippy::print_stdout, reason = "it is a command, and this is its output")]

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use clap::Parser;
use daymark_simulation::Setup;
use daymark_simulation::judge::{BOUND, REST, TROUBLE, Violation, play};

/// Plays Daymark's hosts on a simulated network, with faults drawn from a seed.
#[derive(Parser)]
struct Arguments {
    /// Plays this seed alone, and tells what happens.
    #[arg(long)]
    seed: Option<u64>,
    /// Plays so many seeds.
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
}

/// The worlds of the seeds: mostly three hosts, sometimes two or five.
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
    match play(setup, seed, |at, what| println!("{at:>6} ms  {what}")) {
        Ok(()) => {
            println!("all of it held");
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
            if let Err(violation) = play(setup(seed), seed, |_, _| {}) {
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
        "simulation: {seeds} seeds of {} s each, {} violations (dead nodes alone for more than {BOUND} ms, no agreement {REST} ms after)",
        (TROUBLE + 2 * REST) / 1_000,
        found.len()
    );
    if let Some((seed, _)) = found.first() {
        println!("to see one again: cargo run --locked --package daymark-simulation -- --seed {seed}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
