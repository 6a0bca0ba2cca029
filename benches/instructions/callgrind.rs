//! Counts the instructions of a scene.

use std::{error::Error, process::Command};

use crate::{SCENE_FLAG, scenes::Scene};

/// Instructions per operation of the scene.
///
/// Counts a run with `scene.repetitions` repetitions and one with twice that number, and takes the
/// difference. That cancels the start of the process, the scene's setup and all work that is done once,
/// counts every thread, and needs no function that the compiler might inline.
pub fn instructions(scene: &Scene) -> Result<f64, Box<dyn Error>> {
    let half = count(scene.name, scene.repetitions)?;
    let whole = count(scene.name, 2 * scene.repetitions)?;
    let second_half = whole.checked_sub(half).ok_or("more repetitions take more instructions")?;
    Ok(second_half as f64 / (scene.repetitions * scene.operations) as f64)
}

/// Instructions of a process that runs the scene.
fn count(scene: &str, repetitions: usize) -> Result<u64, Box<dyn Error>> {
    // On the disk of the sources, because the default folder may be in memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args([SCENE_FLAG, scene, &repetitions.to_string()])
        .current_dir(&folder)
        .env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        valgrind.env("PATH", path);
    }
    let output = valgrind.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{scene} failed:\n{said}").into());
    }
    let collected = said.lines().find_map(|line| line.split_once(" Collected : "));
    let (_, collected) = collected.ok_or_else(|| format!("callgrind has not counted:\n{said}"))?;
    Ok(collected.trim().parse()?)
}
