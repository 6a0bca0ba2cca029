//! Which servers do the same job by turns.

use std::{
    error::Error,
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    TURNS,
    server::{Server, run},
};

/// A server for the plain room and the echo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Candidate {
    /// This server as its users run it: every limit on, messages kept in a file.
    Echoroom,
    /// The same, messages kept in memory: the difference is what the file costs.
    EchoroomInMemory,
    /// A bare epoll loop that does nothing else: what the kernel costs.
    Bare,
    /// uWebSockets, in C++.
    UWebSockets,
    /// axum on tokio-tungstenite.
    Axum,
    /// actix as its chat example uses it: one actor message for each delivery.
    ActixStyle,
    /// Node's `ws`.
    Ws,
    /// Node's `nodejs-websocket`.
    NodejsWebsocket,
}

impl Candidate {
    const ALL: [Self; 8] = [
        Self::Echoroom,
        Self::EchoroomInMemory,
        Self::Bare,
        Self::UWebSockets,
        Self::Axum,
        Self::ActixStyle,
        Self::Ws,
        Self::NodejsWebsocket,
    ];

    /// This server and its peers, each with an empty list of turns; only those of `BENCH_SERVERS`, if that is set. Where
    /// nothing is kept, it makes no difference where it is kept.
    pub fn rows<T>(keeps_messages: bool) -> Vec<(Self, Vec<T>)> {
        Self::ALL
            .into_iter()
            .filter(|candidate| keeps_messages || *candidate != Self::EchoroomInMemory)
            .filter(is_chosen)
            .map(|candidate| (candidate, Vec::new()))
            .collect()
    }

    /// Starts it; a peer is installed on first use.
    pub fn start(self) -> Result<Server, Box<dyn Error>> {
        match self {
            Self::Echoroom => Server::echoroom("sqlite", &[]),
            Self::EchoroomInMemory => Server::echoroom("memory", &[]),
            Self::Bare => Server::program(&native_peer("bare")?),
            Self::UWebSockets => Server::program(&uwebsockets()?),
            Self::Axum => Server::program(&native_peer("axum")?),
            Self::ActixStyle => Server::program(&native_peer("actix_style")?),
            Self::Ws => Server::node("ws", &[]),
            Self::NodejsWebsocket => Server::node("nodejs-websocket", &[]),
        }
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Echoroom => "**echoroom**",
            Self::EchoroomInMemory => "echoroom, journal in memory",
            Self::Bare => "bare epoll loop",
            Self::UWebSockets => "uWebSockets",
            Self::Axum => "axum",
            Self::ActixStyle => "usual actix style",
            Self::Ws => "Node ws",
            Self::NodejsWebsocket => "nodejs-websocket",
        })
    }
}

/// Whether a server is to be measured: all are unless `BENCH_SERVERS` names some.
pub fn is_chosen(name: &impl fmt::Display) -> bool {
    let name = name.to_string();
    std::env::var("BENCH_SERVERS").is_ok_and(|chosen| chosen.split(',').any(|word| name.contains(word)))
        || std::env::var_os("BENCH_SERVERS").is_none()
}

/// One turn after the other, every candidate in each: starts it, and adds what `run` finds.
pub fn take_turns<T>(
    rows: &mut [(Candidate, Vec<T>)],
    job: &str,
    mut run: impl FnMut(&Server) -> Result<T, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    for turn in 1..=TURNS {
        for (candidate, turns) in rows.iter_mut() {
            eprintln!("turn {turn} of {TURNS}: {candidate}, {job}");
            turns.push(run(&candidate.start()?)?);
        }
    }
    Ok(())
}

/// The folder of peers' sources.
pub fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers")
}

fn native_peer(name: &str) -> Result<PathBuf, Box<dyn Error>> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers-native");
    run(Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--locked", "--manifest-path"])
        .arg(peers().join("native/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target))?;
    Ok(target.join("release").join(name))
}

fn uwebsockets() -> Result<PathBuf, Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peer-uwebsockets");
    fs::create_dir_all(&folder)?;
    run(Command::new("bash").arg(peers().join("uwebsockets/build.sh")).arg(&folder))?;
    Ok(folder.join("uwebsockets"))
}
