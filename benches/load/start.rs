//! Time from the start of a process to its first reply.

use std::{error::Error, io::Write, time::Duration};

use crate::{
    candidates::Candidate,
    figures::{self, median, short},
    server,
};

/// Number of starts of each server.
const STARTS: usize = 9;

/// The job: all servers in turn, and a table.
pub fn job(_: Duration, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let mut rows = Candidate::rows(false);
    for _ in 0..STARTS {
        for (candidate, times) in &mut rows {
            // `Server::start` adds the time to read the server's line, which is short.
            let server = candidate.start()?;
            server::first_answer(server.port)?;
            times.push(server.spawned.elapsed());
        }
    }
    figures::head(out, "Cold start to the first WebSocket answer", &["server", "ms"])?;
    for (candidate, times) in &rows {
        let ms = median(times, |time| time.as_secs_f64() * 1000.0);
        figures::row(out, &[candidate.to_string(), short(ms)])?;
    }
    Ok(())
}
