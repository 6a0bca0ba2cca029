//! How many instructions this server's code takes for what it does most, compared with a committed baseline. Unlike
//! times, they do not depend on how busy the machine is.
//!
//! `cargo bench --bench instructions` counts all scenes, and fails if one takes more than the baseline allows;
//! `cargo bench --bench instructions -- journal` counts those with that word in their names; `-- --bless` makes what
//! is counted the new baseline. It needs valgrind, and half a minute behind the build, which is one of its own.
//!
//! What the kernel does is not counted, nor what waiting for memory costs: a change that shows here is real, one that
//! does not may still be slower. The allocator is the system's, whatever the server's is: it does not look at the clock.
//! Another compiler, C library or valgrind counts differently, and the program says so; a processor without AVX2 does
//! too.

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

/// A scene may take so much more than its baseline, as a share of it. Random hash seeds and threads make for up to half a
/// percent, in the journals; the rest is for changes elsewhere that still move the compiler's choices.
const TOLERANCE: f64 = 0.03;

/// How this program asks itself for a scene: the scene's name and how often to repeat it follow.
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
    // Cargo adds flags of its own.
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

/// Counts scenes, and prints the table on the way.
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
                // A little less than nothing would be written as -0.00.
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

/// Says what is wrong with the counts, if anything.
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
