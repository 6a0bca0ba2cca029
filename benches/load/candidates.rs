//! The servers that are compared.

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

/// A server with the plain room and the echo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Candidate {
    /// Echoroom as its users run it: all limits on, messages kept in a file.
    Echoroom,
    /// Echoroom with messages kept in memory; the difference is the cost of the file.
    EchoroomInMemory,
    /// A bare epoll loop without other features; it shows the cost of the kernel.
    Bare,
    /// uWebSockets, in C++.
    UWebSockets,
    /// axum on tokio-tungstenite.
    Axum,
    /// actix as in its chat example: one actor message for each delivery.
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

    /// Echoroom and its peers, each with an empty list of turns; only those of `BENCH_SERVERS`, if that is
    /// set. Without `keeps_messages` the candidate with the journal in memory is left out.
    pub fn rows<T>(keeps_messages: bool) -> Vec<(Self, Vec<T>)> {
        Self::ALL
            .into_iter()
            .filter(|candidate| keeps_messages || *candidate != Self::EchoroomInMemory)
            .filter(is_chosen)
            .map(|candidate| (candidate, Vec::new()))
            .collect()
    }

    /// Starts the server. A peer is installed at first use.
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

/// Whether a server is measured: all servers are, unless `BENCH_SERVERS` names some.
pub fn is_chosen(name: &impl fmt::Display) -> bool {
    let name = name.to_string();
    std::env::var("BENCH_SERVERS").is_ok_and(|chosen| chosen.split(',').any(|word| name.contains(word)))
        || std::env::var_os("BENCH_SERVERS").is_none()
}

/// Runs all candidates in turn, several times: starts each one and adds the result of `run`.
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

/// The folder with the sources of the peers.
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
