//! How this program is built.

use std::{
    error::Error,
    path::Path,
    process::{Command, ExitStatus},
};

/// The profile whose programs are counted, and its folder's name.
const PROFILE: &str = "instructions";

/// The release profile, but in one piece: what is cut into several is cut, and inlined, differently after the smallest
/// change anywhere, and that moves counts by several percent.
const SETTINGS: [&str; 2] =
    ["profile.instructions.inherits='release'", "profile.instructions.codegen-units=1"];

/// Whether this program has been built so.
pub fn is_in_one_piece() -> Result<bool, Box<dyn Error>> {
    let program = std::env::current_exe()?;
    let profile = program.parent().and_then(Path::parent).and_then(Path::file_name);
    Ok(profile.is_some_and(|folder| folder == PROFILE))
}

/// Builds and runs it so, with the same words.
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
