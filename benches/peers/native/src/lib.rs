//! How every peer starts.

use std::{error::Error, io};

/// The port to listen on, from the command line; raises the limit of open files, which a thousand sessions would meet.
pub fn start() -> Result<u16, Box<dyn Error>> {
    let port = std::env::args().nth(1).ok_or("usage: PROGRAM PORT")?.parse()?;
    let mut files = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls use the one structure that they are given, which lives on this stack.
    let raised = unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut files);
        files.rlim_cur = files.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &files)
    };
    if raised == 0 { Ok(port) } else { Err(io::Error::last_os_error().into()) }
}
