//! The build profile of this program.

use std::{
    error::Error,
    path::Path,
    process::{Command, ExitStatus},
};

/// The name of the profile, and of its target folder.
const PROFILE: &str = "instructions";

/// The release profile with one codegen unit. With several units the smallest change can move the splits and
/// the inlining, and so counts by several percent.
const SETTINGS: [&str; 2] =
    ["profile.instructions.inherits='release'", "profile.instructions.codegen-units=1"];

/// Whether this program was built with the profile.
pub fn is_in_one_piece() -> Result<bool, Box<dyn Error>> {
    let program = std::env::current_exe()?;
    let profile = program.parent().and_then(Path::parent).and_then(Path::file_name);
    Ok(profile.is_some_and(|folder| folder == PROFILE))
}

/// Builds this program with the profile and runs it with `args`.
pub fn run_in_one_piece(args: &[String]) -> Result<ExitStatus, Box<dyn Error>> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or("a target folder")?;
    let status = Command::new(env!("CARGO"))
        .args(["bench", "--bench", "instructions", "--profile", PROFILE])
        .args(SETTINGS.iter().flat_map(|setting| ["--config", setting]))
        .arg("--target-dir")
        .arg(target)
        .arg("--")
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()?;
    Ok(status)
}
