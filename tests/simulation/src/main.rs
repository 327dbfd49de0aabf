//! Runs many seeds, or one of them with a report of each fault.

#![allow(clippy::print_stdout, reason = "it is a command, and this is its output")]

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use clap::Parser;
use daymark_simulation::invariants::MAX_WRONG_ANSWER_TIME;
use daymark_simulation::run::{AGREEMENT_TIME, FAULT_TIME};
use daymark_simulation::{Setup, Violation, run};

/// Simulates Daymark's hosts and their network, with faults drawn from a seed.
#[derive(Parser)]
struct Arguments {
    /// Run this seed alone, and report each fault
    #[arg(long)]
    seed: Option<u64>,
    /// Run this many seeds
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// Begin with this seed
    #[arg(long, default_value_t = 0)]
    from: u64,
}

struct Failure {
    seed: u64,
    violation: Violation,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.seed {
        Some(seed) => run_one(seed),
        None => run_many(arguments.from, arguments.seeds),
    }
}

fn run_one(seed: u64) -> ExitCode {
    let setup = Setup::draw(seed);
    println!("seed {seed}: {setup:?}");
    match run(setup, seed, |at, fault| println!("{at:>6} ms  {fault}")) {
        Ok(()) => {
            println!("no violation");
            ExitCode::SUCCESS
        }
        Err(violation) => {
            println!("violation {violation}");
            ExitCode::FAILURE
        }
    }
}

fn run_many(from: u64, seeds: u64) -> ExitCode {
    let next = AtomicU64::new(from);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let failures: Vec<Failure> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| work(&next, from.saturating_add(seeds)))).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
    });
    for Failure { seed, violation } in failures.iter().take(20) {
        println!("seed {seed}: violation {violation}");
    }
    println!(
        "simulation: {seeds} seeds of {} s each, {} violations (limits: {MAX_WRONG_ANSWER_TIME} ms with dead nodes alone, \
         {AGREEMENT_TIME} ms until all hosts agree)",
        (FAULT_TIME + 2 * AGREEMENT_TIME) / 1_000,
        failures.len()
    );
    if let Some(Failure { seed, .. }) = failures.first() {
        println!("to repeat one: cargo run --locked --package daymark-simulation -- --seed {seed}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Runs seeds up to `end` until none is left. Returns those with a violation.
fn work(next: &AtomicU64, end: u64) -> Vec<Failure> {
    let mut failures = Vec::new();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return failures;
        }
        if let Err(violation) = run(Setup::draw(seed), seed, |_, _| {}) {
            failures.push(Failure { seed, violation });
        }
    }
}
