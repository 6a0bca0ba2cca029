//! Counts the instructions of the server's most frequent operations and compares them with a committed
//! baseline. Unlike times, instruction counts do not depend on the load of the machine.
//!
//! `cargo bench --bench instructions` counts all scenes, and fails if one exceeds its baseline by more than
//! the tolerance; `cargo bench --bench instructions -- journal` counts the scenes with that word in their
//! names; `-- --bless` writes the counts to the baseline. It needs valgrind, a build with a profile of its
//! own, and half a minute.
//!
//! Instructions in the kernel and the cost of cache misses are not counted: a change that shows here is real,
//! but a change that does not show may still be slower. The scenes use the system's allocator, whatever the
//! server uses, because it does not read the clock. Another compiler, C library or valgrind gives other
//! counts, and the program says so; a processor without AVX2 does too.

mod baseline;
mod callgrind;
mod profile;
mod scenes;

use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
};

use baseline::Baseline;
use scenes::{SCENES, Scene};

/// The largest increase over the baseline, as a share of it. Random hash seeds and threads cause up to half a
/// percent, in the journals; the rest allows for unrelated changes that move the compiler's choices.
const TOLERANCE: f64 = 0.03;

/// The argument by which this program runs itself for a scene. The scene's name and the number of repetitions
/// follow.
const SCENE_FLAG: &str = "--scene";

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, name, repetitions] = &args[..]
        && flag == SCENE_FLAG
    {
        scenes::play(name, repetitions.parse()?)
    }
    if !profile::is_in_one_piece()? {
        let is_good = profile::run_in_one_piece(&args)?.success();
        return Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    // Cargo adds flags.
    let words: Vec<&String> = args.iter().filter(|word| !word.starts_with('-')).collect();
    let is_wanted = |scene: &&Scene| words.is_empty() || words.iter().any(|word| scene.name.contains(*word));
    let scenes: Vec<&Scene> = SCENES.iter().filter(is_wanted).collect();
    if scenes.is_empty() {
        return Err("no scene has such a name".into());
    }
    let tools = baseline::tools()?;
    let before = Baseline::read()?;
    let mut out = io::stdout().lock();
    if let Some(others) = before.tools.as_ref().filter(|others| **others != tools) {
        writeln!(
            out,
            "The baseline was made with {others}.\nThis is {tools}; the difference may be theirs.\n"
        )?;
    }
    let counted = count(&scenes, &before, &mut out)?;
    if args.iter().any(|arg| arg == "--bless") {
        before.bless(&counted, tools)?;
        writeln!(out, "\nThis is the baseline now.")?;
        return Ok(ExitCode::SUCCESS);
    }
    judge(&counted, &before, &mut out)
}

/// Counts scenes and prints the table row by row.
fn count(
    scenes: &[&Scene],
    before: &Baseline,
    out: &mut dyn Write,
) -> Result<Vec<(&'static str, f64)>, Box<dyn Error>> {
    writeln!(out, "| scene | instructions | for each | baseline | difference |\n|---|---|---|---|---|")?;
    let mut counted = Vec::new();
    for scene in scenes {
        let now = callgrind::instructions(scene)?;
        let (baseline, difference) = match before.of(scene.name) {
            Some(baseline) => {
                // Adding 0.0 avoids the text -0.00.
                let percent = (1e4 * (now / baseline - 1.0)).round() / 1e2 + 0.0;
                (format!("{baseline:.2}"), format!("{percent:+.2} %"))
            }
            None => ("-".to_owned(), "-".to_owned()),
        };
        let Scene { name, operation, .. } = scene;
        writeln!(out, "| {name} | {now:.2} | {operation} | {baseline} | {difference} |")?;
        out.flush()?;
        counted.push((*name, now));
    }
    Ok(counted)
}

/// Reports counts that exceed the tolerance.
fn judge(
    counted: &[(&str, f64)],
    before: &Baseline,
    out: &mut dyn Write,
) -> Result<ExitCode, Box<dyn Error>> {
    let mut code = ExitCode::SUCCESS;
    let percent = 100.0 * TOLERANCE;
    writeln!(out)?;
    for (name, now) in counted {
        match before.of(name).map(|baseline| now / baseline - 1.0) {
            None => {
                writeln!(out, "{name} has no baseline: --bless it.")?;
                code = ExitCode::FAILURE;
            }
            Some(difference) if difference > TOLERANCE => {
                writeln!(out, "{name} is more than {percent} % above its baseline.")?;
                code = ExitCode::FAILURE;
            }
            Some(difference) if difference < -TOLERANCE => {
                writeln!(out, "{name} is more than {percent} % below its baseline: --bless it.")?;
            }
            Some(_) => {}
        }
    }
    if code == ExitCode::SUCCESS {
        writeln!(out, "Nothing is more than {percent} % above its baseline.")?;
    }
    Ok(code)
}
