//! What the crate brings with it.

use std::{collections::BTreeSet, env, fs, process::Command};

/// The crates of a build with these flags, this one left out, each as its name and version.
fn crates(flags: &[&str]) -> BTreeSet<String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["tree", "--locked", "--offline", "-e", "normal"]);
    let output = command.args(["--prefix", "none", "-f", "{p}"]).args(flags).output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).expect("text");
    // Behind name and version: where it comes from, and whether it was named before.
    let name = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    lines.lines().map(name).filter(|name| !name.starts_with("echoroom ")).collect()
}

const LIBRARY: [&str; 3] = ["--no-default-features", "--features", "socketio"];
const SHARING: [&str; 3] = ["--no-default-features", "--features", "redis"];

#[test]
fn the_library_brings_no_database_command_line_or_allocator() {
    let (library, program) = (crates(&LIBRARY), crates(&[]));
    let has = |crates: &BTreeSet<String>, name: &str| {
        crates.iter().any(|found| found.split_once(' ').is_some_and(|(found, _)| found == name))
    };
    let of_program =
        ["rusqlite", "libsqlite3-sys", "clap", "mimalloc", "actix-files", "redis", "rustls", "env_logger"];
    for name in of_program {
        assert!(has(&program, name), "the program has {name}");
        assert!(!has(&library, name), "the library has {name}");
    }
    assert!(has(&library, "actix-web"));
    let sharing = crates(&SHARING);
    let (of_redis, others): (Vec<_>, Vec<_>) =
        of_program.into_iter().partition(|name| ["redis", "rustls"].contains(name));
    assert!(of_redis.iter().all(|name| has(&sharing, name)), "it connects to Redis");
    assert!(!others.iter().any(|name| has(&sharing, name)), "it has nothing else of the program");
}

/// On other systems some crates are others.
#[cfg(target_os = "linux")]
#[test]
fn the_number_of_crates_is_as_documented() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/embedding.md")).expect("a page");
    for (begin, count) in [
        ("| `socketio`, without the default ones |", crates(&LIBRARY).len()),
        (
            "| `redis`, without the default ones: that, and [several servers](#on-several-servers) |",
            crates(&SHARING).len(),
        ),
        ("| the default ones: the whole program |", crates(&[]).len()),
    ] {
        let row = format!("{begin} {count} |");
        assert!(page.contains(&row), "docs/embedding.md, \"Weight\" should have the row {row:?}");
    }
}
