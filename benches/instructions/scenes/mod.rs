//! The scenes: operations whose instructions are counted.

mod decode;
mod encode;
mod fanout;
mod journal;

use std::error::Error;

/// A frequent operation of the server.
pub struct Scene {
    /// The name by which the scene is selected.
    pub name: &'static str,
    /// What one operation is.
    pub operation: &'static str,
    setup: Setup,
    /// Operations in one repetition.
    pub operations: usize,
    /// Repetitions before the count starts, and repetitions that are counted.
    pub repetitions: usize,
}

/// Prepares a scene for at most the given number of repetitions.
type Setup = fn(usize) -> Result<Repetition, Box<dyn Error>>;

/// Runs one repetition.
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

/// Runs a scene with `repetitions` repetitions and exits the process.
#[expect(clippy::exit, reason = "what is taken down is not to be counted")]
pub fn play(name: &str, repetitions: usize) -> ! {
    let played = try_play(name, repetitions);
    if let Err(error) = &played {
        eprintln!("{error}");
    }
    // Exit now: the cost of destructors might depend on the number of repetitions.
    std::process::exit(i32::from(played.is_err()))
}

fn try_play(name: &str, repetitions: usize) -> Result<(), Box<dyn Error>> {
    let scene = SCENES.iter().find(|scene| scene.name == name).ok_or("no scene has that name")?;
    // Prepare equally for half of the repetitions and for all.
    let mut repeat = (scene.setup)(2 * scene.repetitions)?;
    let played = (0..repetitions).try_for_each(|_| repeat());
    std::mem::forget(repeat);
    played
}
