//! Runs the simulation of the chat: `cargo run --release --features testing --example simulation -- --seed N
//! --steps M --seeds K --nodes N`. See `docs/simulation.md`.

mod client;
mod client_steps;
mod journal;
mod judging;
mod names;
mod node;
mod nodes;
mod parse;
mod rest;
mod rng;
mod seat;
mod session;
mod shard_steps;
mod trace;
mod truth;
mod world;

use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
    time::Instant,
};

use nodes::Nodes;
use trace::Trace;
use world::World;

struct Options {
    seed: u64,
    steps: u64,
    seeds: u64,
    shown: usize,
    /// The number of nodes, or 0 for one that the seed chooses; `None` for one server without Redis.
    nodes: Option<usize>,
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options = Options { seed: 1, steps: 10_000, seeds: 1, shown: trace::SHOWN, nodes: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or("each option has a number")?.parse()?;
        match &*word {
            "--seed" => options.seed = value,
            "--steps" => options.steps = value,
            "--seeds" => options.seeds = value,
            "--nodes" => options.nodes = Some(usize::try_from(value)?),
            "--events" => options.shown = usize::try_from(value)?,
            _ => return Err("the options are --seed, --steps, --seeds, --nodes and --events".into()),
        }
    }
    Ok(options)
}

/// Runs a seed. Returns its trace, and its sizes and counts in words.
fn run(seed: u64, steps: u64, shown: usize, nodes: Option<usize>) -> (Trace, String) {
    if let Some(nodes) = nodes {
        let mut world = Nodes::new(seed, nodes);
        world.trace.shown = shown;
        world.run(steps);
        return (world.trace, format!("{:?}\n{:?}", world.config, world.counts));
    }
    let mut world = World::new(seed);
    world.trace.shown = shown;
    world.run(steps);
    (world.trace, format!("{:?}\n{:?}", world.config, world.counts))
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let Options { seed, steps, seeds, shown, nodes } = options()?;
    let mut out = io::stdout().lock();
    let (begun, mut all) = (Instant::now(), 0);
    for seed in seed..seed + seeds {
        let (trace, sizes) = run(seed, steps, shown, nodes);
        all += trace.step;
        if let Some(report) = trace.report() {
            let nodes = nodes.map(|nodes| format!(" --nodes {nodes}")).unwrap_or_default();
            writeln!(out, "{report}\nseed {seed}: {sizes}")?;
            writeln!(out, "again: --seed {seed} --steps {steps}{nodes}; trace {:016x}", trace.hash)?;
            return Ok(ExitCode::FAILURE);
        }
        if seeds == 1 {
            writeln!(out, "{sizes}")?;
        }
        if seeds == 1 || (seed + 1) % 100 == 0 {
            writeln!(out, "seed {seed}: {} steps, trace {:016x}", trace.step, trace.hash)?;
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    writeln!(out, "{seeds} seeds, {all} steps, {:.0} steps a second", all as f64 / seconds)?;
    Ok(ExitCode::SUCCESS)
}
