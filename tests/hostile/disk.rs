//! A data folder on a disk that fails on request.
//!
//! `faulty.c` is compiled and preloaded into the program; it fails the calls by which the program changes files of the
//! folder, and logs them all.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use tempfile::TempDir;

use crate::program::{self, Program};

/// The library that fails calls, compiled once.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let compile = || {
        let folder = tempfile::tempdir().expect("a folder");
        let library = folder.path().join("libfaulty.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hostile/faulty.c");
        let compiled = Command::new("cc")
            .args(["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .args([source, "-ldl"])
            .status()
            .expect("a C compiler (Debian: gcc, libc6-dev)");
        assert!(compiled.success(), "{source} does not compile");
        (folder, library)
    };
    &LIBRARY.get_or_init(compile).1
}

/// A variable that tells the library what to do, see `faulty.c`.
pub type Setting = (&'static str, String);

/// A data folder and the log of the calls on it.
pub struct Disk {
    place: TempDir,
}

impl Disk {
    pub fn new() -> Self {
        let place = tempfile::tempdir().expect("a folder");
        let disk = Self { place };
        fs::create_dir(disk.data()).expect("a folder");
        disk
    }

    /// One with the files of another folder.
    pub fn copy_of(other: &Path) -> Self {
        let disk = Self::new();
        copy_all(other, &disk.data());
        disk
    }

    pub fn data(&self) -> PathBuf {
        self.place.path().join("data")
    }

    /// Calls that are to fail do from here on.
    pub fn fall_ill(&self) {
        fs::write(self.place.path().join("ill"), "").expect("written");
    }

    /// No call fails any more.
    pub fn heal(&self) {
        fs::write(self.place.path().join("healed"), "").expect("written");
    }

    pub fn log(&self) -> Vec<String> {
        let log = fs::read_to_string(self.place.path().join("log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// Calls that were made to fail.
    pub fn fired(&self) -> usize {
        self.log().iter().filter(|line| line.ends_with(" FAULT")).count()
    }

    /// How many calls of each kind there were on each file.
    pub fn counts(&self) -> BTreeMap<(String, String), usize> {
        let mut counts = BTreeMap::new();
        for line in self.log() {
            let mut words = line.split(' ');
            let (call, file) = (words.next().expect("a call"), words.nth(1).expect("a file"));
            *counts.entry((call.to_owned(), file.to_owned())).or_default() += 1;
        }
        counts
    }

    pub fn command(&self) -> Command {
        let mut command = program::command(&[]);
        command.arg("--data-dir").arg(self.data());
        command
    }

    /// The command with the library, and what is to fail.
    pub fn faulty(&self, faults: &[Setting]) -> Command {
        let mut command = self.command();
        command.env("LD_PRELOAD", library()).env("FAULT_DIR", self.data());
        command
            .env("FAULT_LOG", self.place.path().join("log"))
            .env("FAULT_UNTIL", self.place.path().join("healed"));
        command.envs(faults.iter().map(|(name, value)| (name, value)));
        command
    }

    /// A server on this disk.
    pub fn start(&self) -> Program {
        Program::spawn(self.command())
    }

    /// What the library is told to fail every such call once the disk has fallen ill.
    pub fn every(&self, call: &str, file: &str, kind: &str) -> [Setting; 5] {
        let from = self.place.path().join("ill");
        [
            ("FAULT_CALL", call.to_owned()),
            ("FAULT_FILE", file.to_owned()),
            ("FAULT_KIND", kind.to_owned()),
            ("FAULT_TIMES", "0".to_owned()),
            ("FAULT_FROM", from.to_str().expect("UTF-8").to_owned()),
        ]
    }
}

pub fn copy_all(from: &Path, to: &Path) {
    for file in fs::read_dir(from).expect("a folder") {
        let file = file.expect("a file");
        fs::copy(file.path(), to.join(file.file_name())).expect("copied");
    }
}
