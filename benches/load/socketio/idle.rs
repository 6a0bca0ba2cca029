//! Memory of an idle session: 2,000 sessions join the main namespace and send nothing. Over polling each has
//! an open poll.

use std::{error::Error, io::Write, thread, time::Duration};

use super::{Candidate, Clients};
use crate::{
    TURNS,
    candidates::is_chosen,
    engineio::Transport,
    figures::{self, median, short},
};

const SESSIONS: usize = 2_000;

/// Time in which freed buffers return to the system and the connections for posts close.
const SETTLED: Duration = Duration::from_secs(3);

/// Figures of one turn.
struct Figures {
    before_mib: f64,
    kib_per_session: f64,
}

/// The job: all servers in turn, and a table.
pub fn job(_: Duration, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let mut rows = Vec::new();
    for transport in [Transport::WebSocket, Transport::Polling] {
        for candidate in
            [Candidate::Echoroom, Candidate::Fixture, Candidate::Reference].into_iter().filter(is_chosen)
        {
            rows.push((candidate, transport, Vec::new()));
        }
    }
    for turn in 1..=TURNS {
        for (candidate, transport, turns) in &mut rows {
            eprintln!("turn {turn} of {TURNS}: {candidate}, idle over {transport}");
            turns.push(idle(*candidate, *transport)?);
        }
    }
    figures::head(
        out,
        &format!("Idle Socket.IO sessions: {SESSIONS} in the main namespace"),
        &["server", "transport", "KiB a session", "RSS without them, MiB"],
    )?;
    for (candidate, transport, turns) in &rows {
        figures::row(
            out,
            &[
                candidate.to_string(),
                transport.to_string(),
                short(median(turns, |turn| turn.kib_per_session)),
                short(median(turns, |turn| turn.before_mib)),
            ],
        )?;
    }
    Ok(())
}

fn idle(candidate: Candidate, transport: Transport) -> Result<Figures, Box<dyn Error>> {
    let server = candidate.start()?;
    thread::sleep(Duration::from_secs(1));
    let before_mib = server.rss_mib()?;
    let mut clients = Clients::join(&server, transport, "/", SESSIONS)?;
    // Let the exchange of the handshake finish.
    clients.linger(Duration::from_secs(1))?;
    clients.all.iter_mut().for_each(crate::engineio::Client::rest);
    clients.linger(SETTLED)?;
    let kib_per_session = (server.rss_mib()? - before_mib) * 1024.0 / SESSIONS as f64;
    Ok(Figures { before_mib, kib_per_session })
}
