//! The simulation in the tests: a few seeds pass, a seed is repeated bit by bit, and planted bugs are found.
//! See `docs/simulation.md`.

mod client;
mod client_steps;
mod journal;
mod judging;
mod names;
mod node;
mod nodes;
mod parse;
mod planted;
mod rest;
mod rng;
mod seat;
mod session;
mod shard_steps;
mod trace;
mod truth;
mod world;

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use nodes::Nodes;
use planted::{PLANTED, Planted, SWITCH, plant};
use world::World;

/// Seeds of the short run, and their steps.
const SEEDS: u64 = 40;
const STEPS: u64 = 3000;

/// Seeds of the short run of several nodes, and their steps.
const SEEDS_OF_NODES: u64 = 40;
const STEPS_OF_NODES: u64 = 3000;

/// Seeds within which a planted bug must be found, and their steps.
const MOST_SEEDS: &str = "100";
const MOST_SEEDS_OF_NODES: &str = "400";
const PLANTED_STEPS: &str = "10000";
const PLANTED_STEPS_OF_NODES: &str = "8000";

#[test]
fn a_few_seeds_keep_all_promises() {
    for seed in 1..=SEEDS {
        let mut world = World::new(seed);
        world.run(STEPS);
        let (report, config) = (world.trace.report(), world.config);
        assert!(report.is_none(), "{}\nseed {seed}, {STEPS} steps: {config:?}", report.unwrap_or_default());
    }
}

#[test]
fn a_few_seeds_of_several_nodes_keep_all_promises() {
    for seed in 1..=SEEDS_OF_NODES {
        let mut world = Nodes::new(seed, 0);
        world.run(STEPS_OF_NODES);
        let (report, config) = (world.trace.report(), world.config);
        let report = report.unwrap_or_default();
        assert!(report.is_empty(), "{report}\nseed {seed}, {STEPS_OF_NODES} steps of nodes: {config:?}");
    }
}

#[test]
fn a_seed_of_several_nodes_is_repeated_bit_by_bit() {
    let hash = || {
        let mut world = Nodes::new(5, 3);
        world.trace.shown = 1;
        world.run(STEPS_OF_NODES);
        assert!(world.counts.acks > 0, "it does something: {:?}", world.counts);
        (world.trace.step, world.trace.hash)
    };
    assert_eq!(hash(), hash());
}

#[test]
fn a_seed_is_repeated_bit_by_bit() {
    let hash = || {
        let mut world = World::new(5);
        world.trace.shown = 1;
        world.run(STEPS);
        assert!(world.counts.acks > 0, "it does something: {:?}", world.counts);
        (world.trace.step, world.trace.hash)
    };
    assert_eq!(hash(), hash());
}

#[test]
fn each_planted_bug_has_its_place_in_the_sources() {
    for (number, bug) in PLANTED.iter().enumerate() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(bug.file);
        let source = fs::read_to_string(&path).expect("a source");
        plant(&source, number, bug).expect("one place");
    }
}

/// Builds one copy of the crate that has all bugs, and switches them on one by one. That takes minutes, so
/// it is left out unless `TEST_PLANTED` is set; `tests/run.sh` sets it.
#[test]
#[allow(clippy::print_stdout, reason = "a test that is left out says so")]
fn the_simulation_finds_each_planted_bug() {
    if std::env::var_os("TEST_PLANTED").is_none() {
        println!("LEFT OUT: planted bugs. tests/run.sh looks for them too.");
        return;
    }
    let simulation = build(&copy());
    let run = |bug: &str, seeds: &str, is_of_nodes: bool| {
        let mut command = Command::new(&simulation);
        command.env("PLANTED", bug).args(["--seeds", seeds]);
        match is_of_nodes {
            true => command.args(["--nodes", "0", "--steps", PLANTED_STEPS_OF_NODES]),
            false => command.args(["--steps", PLANTED_STEPS]),
        };
        let output = command.output().expect("it runs");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    for (seeds, is_of_nodes) in [("20", false), ("100", true)] {
        let (is_good, said) = run("none", seeds, is_of_nodes);
        assert!(is_good, "without a bug: {said}");
    }
    for (number, bug) in PLANTED.iter().enumerate() {
        let seeds = if is_of_nodes(bug) { MOST_SEEDS_OF_NODES } else { MOST_SEEDS };
        let (is_good, said) = run(&number.to_string(), seeds, is_of_nodes(bug));
        assert!(!is_good, "not found: {} (src/{})", bug.breaks, bug.file);
        let promise = said.lines().find_map(|line| line.strip_prefix("promised: ")).unwrap_or("a panic");
        let seed = said.lines().find_map(|line| line.strip_prefix("again: ")).unwrap_or_default();
        println!("{number:>2} {}: broke \"{promise}\", {seed}", bug.breaks);
    }
}

/// Whether only several nodes can have a bug.
fn is_of_nodes(bug: &Planted) -> bool {
    ["nodes/", "chat/core/shared/"].iter().any(|folder| bug.file.starts_with(folder))
}

/// The folder of this build's target.
fn target() -> &'static Path {
    let program = Path::new(env!("CARGO_BIN_EXE_echoroom"));
    program.ancestors().nth(2).expect("target/profile/program")
}

/// A copy of the crate with all bugs, in the target folder.
fn copy() -> PathBuf {
    let (root, copy) = (Path::new(env!("CARGO_MANIFEST_DIR")), target().join("planted"));
    drop(fs::remove_dir_all(&copy));
    fs::create_dir_all(&copy).expect("a folder");
    for entry in ["README.md", "benches", "docs", "examples", "static", "tests"] {
        symlink(root.join(entry), copy.join(entry)).expect("a link");
    }
    let manifest = fs::read_to_string(root.join("Cargo.toml")).expect("a manifest");
    // Under its own name, or Cargo would take what it builds for the true crate.
    let manifest = manifest
        .replace("[[example]]\nname = \"simulation\"", "[[example]]\nname = \"planted\"")
        .replacen("name = \"echoroom\"", "name = \"echoroom-planted\"", 1)
        .replace("[lib]\n", "[lib]\nname = \"echoroom\"\n")
        .replace("\nechoroom = { path", "\nechoroom = { package = \"echoroom-planted\", path");
    fs::write(copy.join("Cargo.toml"), manifest).expect("written");
    let lock = fs::read_to_string(root.join("Cargo.lock")).expect("a lock file");
    fs::write(copy.join("Cargo.lock"), lock.replace("\"echoroom\"", "\"echoroom-planted\""))
        .expect("written");
    copy_sources(&root.join("src"), &copy.join("src"));
    for (number, bug) in PLANTED.iter().enumerate() {
        let path = copy.join("src").join(bug.file);
        let source = fs::read_to_string(&path).expect("a source");
        fs::write(path, plant(&source, number, bug).expect("one place")).expect("written");
    }
    let library = copy.join("src/lib.rs");
    let source = fs::read_to_string(&library).expect("a source");
    fs::write(library, source + SWITCH).expect("written");
    copy
}

fn copy_sources(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let to = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_sources(&path, &to);
        } else {
            fs::copy(&path, &to).expect("copied");
        }
    }
}

/// Builds the simulation of the copy, with the dependencies of this build.
fn build(copy: &Path) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.current_dir(copy).env("CARGO_TARGET_DIR", target());
    command.args(["build", "--locked", "--offline", "--features", "testing", "--example", "planted"]);
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    match profile {
        "release" => command.arg("--release"),
        // Thousands of runs: that takes longer than to optimize the crate a little.
        _ => command.args(["--config", "profile.dev.package.echoroom-planted.opt-level=1"]),
    };
    let output = command.output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    target().join(profile).join("examples/planted")
}
