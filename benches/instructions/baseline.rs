//! The committed instruction counts, and the tools that made them.

use std::{collections::BTreeMap, error::Error, fs, process::Command};

use crate::scenes::SCENES;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions/baseline.txt");

const TITLE: &str = "# Instructions by scene, written by: cargo bench --bench instructions -- --bless";

/// Start of the line that names the tools.
const MADE_WITH: &str = "# Made with ";

/// The content of the baseline file.
#[derive(Debug, Default)]
pub struct Baseline {
    /// Versions of the tools, on which counts depend.
    pub tools: Option<String>,
    counts: BTreeMap<String, f64>,
}

impl Baseline {
    /// Reads the file. An absent file is an empty baseline.
    pub fn read() -> Result<Self, Box<dyn Error>> {
        if !fs::exists(FILE)? {
            return Ok(Self::default());
        }
        let text = fs::read_to_string(FILE)?;
        let tools = text.lines().find_map(|line| line.strip_prefix(MADE_WITH)).map(str::to_owned);
        let mut counts = BTreeMap::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (name, count) =
                line.split_once(' ').ok_or("a line of the baseline is a name and a number")?;
            counts.insert(name.to_owned(), count.trim().parse()?);
        }
        Ok(Self { tools, counts })
    }

    /// Instructions per operation of the scene.
    pub fn of(&self, scene: &str) -> Option<f64> {
        self.counts.get(scene).copied()
    }

    /// Writes these counts to the file. Counts of other scenes stay, so they must have been made with equal
    /// tools.
    pub fn bless(mut self, counted: &[(&str, f64)], tools: String) -> Result<(), Box<dyn Error>> {
        let is_counted = |name: &str| counted.iter().any(|(its, _)| *its == name);
        let keeps_some = SCENES.iter().any(|scene| !is_counted(scene.name) && self.of(scene.name).is_some());
        if keeps_some && self.tools.as_ref() != Some(&tools) {
            return Err("the baseline was made with other tools: --bless all scenes".into());
        }
        self.counts.extend(counted.iter().map(|(name, count)| ((*name).to_owned(), *count)));
        let mut text = format!("{TITLE}\n{MADE_WITH}{tools}\n");
        for scene in &SCENES {
            if let Some(count) = self.of(scene.name) {
                text += &format!("{} {count:.2}\n", scene.name);
            }
        }
        Ok(fs::write(FILE, text)?)
    }
}

/// The versions of this run's tools, in one line.
pub fn tools() -> Result<String, Box<dyn Error>> {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let verbose = said_by(&rustc, &["--version", "--verbose"])?;
    let rustc = verbose.lines().next().ok_or("rustc has a version")?;
    let target = verbose.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("rustc has a target")?;
    let valgrind = said_by("valgrind", &["--version"])?;
    // The C library matters because its malloc and memcpy are counted.
    let libc = said_by("getconf", &["GNU_LIBC_VERSION"])?;
    Ok(format!("{rustc}, {target}, {}, {}", valgrind.trim(), libc.trim()))
}

fn said_by(program: &str, args: &[&str]) -> Result<String, Box<dyn Error>> {
    let output = Command::new(program).args(args).output().map_err(|error| format!("{program}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{program} {args:?} failed").into());
    }
    Ok(String::from_utf8(output.stdout)?)
}
