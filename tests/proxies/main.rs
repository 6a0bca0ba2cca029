//! Echoroom behind nginx, Caddy and HAProxy, each set up as docs/proxies.md says: the configurations are read from that
//! document.
//!
//! A proxy that is not installed is left out, and this program says so; with `TEST_PROXIES` set, as `tests/run.sh` does
//! after it has installed them, that is a failure.

#![allow(clippy::print_stdout, reason = "a test program without a harness speaks by printing")]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
};

use promises::Promise;
use proxy::{Kind, Proxy};

mod client;
mod document;
mod promises;
mod proxy;
mod server;

/// Every configuration of the document: its heading, its proxy, the path that the server is below, and what must hold.
const CONFIGURATIONS: [(&str, Kind, &str, &[Promise]); 8] = [
    ("## nginx", Kind::Nginx, "", &promises::ALL),
    ("### nginx, below a path", Kind::Nginx, "/app", &promises::ALL),
    ("### nginx, several servers", Kind::Nginx, "", &promises::SEVERAL),
    ("## Caddy", Kind::Caddy, "", &promises::ALL),
    ("### Caddy, below a path", Kind::Caddy, "/app", &promises::ALL),
    ("## HAProxy", Kind::HaProxy, "", &promises::ALL),
    ("### HAProxy, below a path", Kind::HaProxy, "/app", &promises::ALL),
    ("### HAProxy, several servers", Kind::HaProxy, "", &promises::SEVERAL),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let filter = arguments.iter().find(|argument| !argument.starts_with('-'));
    let is_wanted = |name: &str| filter.is_none_or(|filter| name.contains(filter.as_str()));
    if arguments.iter().any(|argument| argument == "--list") {
        names().for_each(|name| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let must_run = std::env::var_os("TEST_PROXIES").is_some();
    let mut failed = 0;
    for (heading, kind, path, promises) in CONFIGURATIONS {
        let title = heading.trim_start_matches(['#', ' ']);
        if !promises.iter().any(|(promise, _)| is_wanted(&name(title, promise))) {
            continue;
        }
        if let Some(missing) = kind.missing() {
            println!("LEFT OUT: {title}: there is no {missing} on this machine. tests/run.sh installs it.");
            failed += usize::from(must_run);
            continue;
        }
        let started = catch_unwind(|| Proxy::start(heading, kind, path));
        let Ok(proxy) = started else {
            println!("test {title}: it starts ... FAILED");
            failed += 1;
            continue;
        };
        for (promise, test) in promises {
            let name = name(title, promise);
            if !is_wanted(&name) {
                continue;
            }
            let has_passed = catch_unwind(AssertUnwindSafe(|| test(&proxy))).is_ok();
            println!("test {name} ... {}", if has_passed { "ok" } else { "FAILED" });
            if !has_passed {
                proxy.print_logs();
                failed += 1;
            }
        }
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn names() -> impl Iterator<Item = String> {
    CONFIGURATIONS.into_iter().flat_map(|(heading, _, _, promises)| {
        let title = heading.trim_start_matches(['#', ' ']);
        promises.iter().map(move |(promise, _)| name(title, promise))
    })
}

fn name(title: &str, promise: &str) -> String {
    format!("{title}: {promise}")
}
