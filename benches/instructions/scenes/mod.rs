//! What is counted.

mod decode;
mod encode;
mod fanout;
mod journal;

use std::error::Error;

/// Something the server does again and again.
pub struct Scene {
    /// What it is selected by.
    pub name: &'static str,
    /// What it is counted for.
    pub operation: &'static str,
    setup: Setup,
    /// How many of them one repetition does.
    pub operations: usize,
    /// How often it is repeated before it is counted, and how often it is then.
    pub repetitions: usize,
}

/// Makes all that is needed for so many repetitions at most.
type Setup = fn(usize) -> Result<Repetition, Box<dyn Error>>;

/// One of them.
type Repetition = Box<dyn FnMut() -> Result<(), Box<dyn Error>>>;

pub const SCENES: [Scene; 8] = [
    Scene {
        name: "decode-small",
        operation: "text of 32 bytes",
        setup: decode::small,
        operations: decode::SMALL_TEXTS,
        repetitions: 500,
    },
    Scene {
        name: "decode-large",
        operation: "text of 16 KiB",
        setup: decode::large,
        operations: 1,
        repetitions: 1000,
    },
    Scene {
        name: "encode-plain",
        operation: "line",
        setup: encode::plain,
        operations: encode::LINES,
        repetitions: 500,
    },
    Scene {
        name: "encode-all-dialects",
        operation: "line",
        setup: encode::all_dialects,
        operations: encode::LINES,
        repetitions: 500,
    },
    Scene {
        name: "fan-out-direct",
        operation: "delivery of a line",
        setup: fanout::direct,
        operations: fanout::DELIVERIES,
        repetitions: 100,
    },
    Scene {
        name: "fan-out-mailbox",
        operation: "delivery of a line",
        setup: fanout::mailbox,
        operations: fanout::DELIVERIES,
        repetitions: 20,
    },
    Scene {
        name: "journal-memory",
        operation: "line",
        setup: journal::memory,
        operations: journal::LINES,
        repetitions: 40,
    },
    Scene {
        name: "journal-sqlite",
        operation: "line",
        setup: journal::sqlite,
        operations: journal::LINES,
        repetitions: 80,
    },
];

/// Plays a scene with so many repetitions, and ends the process.
#[expect(clippy::exit, reason = "what is taken down is not to be counted")]
pub fn play(name: &str, repetitions: usize) -> ! {
    let played = try_play(name, repetitions);
    if let Err(error) = &played {
        eprintln!("{error}");
    }
    // At once: what is taken down might differ with the number of repetitions.
    std::process::exit(i32::from(played.is_err()))
}

fn try_play(name: &str, repetitions: usize) -> Result<(), Box<dyn Error>> {
    let scene = SCENES.iter().find(|scene| scene.name == name).ok_or("no scene has that name")?;
    // The same setup for half of the repetitions and for all.
    let mut repeat = (scene.setup)(2 * scene.repetitions)?;
    let played = (0..repetitions).try_for_each(|_| repeat());
    std::mem::forget(repeat);
    played
}
