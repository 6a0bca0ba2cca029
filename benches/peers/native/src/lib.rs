//! Startup code of the native peers.

use std::{error::Error, io};

/// The port from the command line. Also raises the limit on open files, which a thousand sessions would
/// exceed.
pub fn start() -> Result<u16, Box<dyn Error>> {
    let port = std::env::args().nth(1).ok_or("usage: PROGRAM PORT")?.parse()?;
    let mut files = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls use only the given structure, which lives on this stack.
    let raised = unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut files);
        files.rlim_cur = files.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &files)
    };
    if raised == 0 { Ok(port) } else { Err(io::Error::last_os_error().into()) }
}
