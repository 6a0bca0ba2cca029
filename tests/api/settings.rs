//! A bad setting ends the program with one sentence that names the key.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Output, Stdio},
};

const STATIC_DIR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/static");

fn echoroom() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_echoroom"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text == "PORT" || text == "RUST_LOG" || text.starts_with("ECHOROOM_") {
            command.env_remove(&name);
        }
    }
    command
}

fn assert_fails(output: &Output, sentence: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{stderr}");
    assert!(stderr.contains(sentence), "{stderr}");
    assert_eq!(stderr.trim_end().lines().count(), 1, "one sentence: {stderr}");
}

/// Starts a server and gives back it and the link it logs.
fn start(command: &mut Command) -> (Running, String) {
    let mut child = command
        .args(["--static-dir", STATIC_DIR])
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
    let running = Running(child);
    let mut line = String::new();
    while !line.contains("listening on ") {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).expect("a log line"), 0, "the program ended");
    }
    // Keep reading, so that the program never blocks on its log.
    std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
    (running, line.trim_end().rsplit(' ').next().expect("a link").to_owned())
}

struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself, which is fine.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_bad_value_is_named_with_its_flag_and_variable() {
    let output = echoroom().args(["--port", "http"]).output().expect("run");
    assert_fails(&output, "'--port <PORT>'");
    assert_fails(&output, "ECHOROOM_PORT");
    let output = echoroom().env("ECHOROOM_MAX_MESSAGE_SIZE", "huge").output().expect("run");
    assert_fails(&output, "ECHOROOM_MAX_MESSAGE_SIZE");
    let output = echoroom().args(["--workers", "0"]).output().expect("run");
    assert_fails(&output, "--workers");
    let output = echoroom().args(["--allow-origin", "example.com"]).output().expect("run");
    assert_fails(&output, "--allow-origin");
    let output = echoroom().env("PORT", "99999").output().expect("run");
    assert_fails(&output, "--port");
}

#[test]
fn an_unknown_flag_is_named() {
    assert_fails(&echoroom().arg("--prot=1").output().expect("run"), "'--prot'");
}

#[test]
fn a_missing_page_is_named_with_its_folder() {
    let output = echoroom().args(["--port", "0", "--static-dir", "no/such/folder"]).output().expect("run");
    assert_fails(&output, "--static-dir (ECHOROOM_STATIC_DIR)");
    assert_fails(&output, "no/such/folder/index.html");
}

#[test]
fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let output = echoroom()
        .args(["--bind", "127.0.0.1", "--port", &port, "--static-dir", STATIC_DIR])
        .output()
        .expect("run");
    assert_fails(&output, &port);
    assert_fails(&output, "in use");
}

#[test]
fn flag_goes_before_variable_before_the_platforms_port() {
    let free = || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address").port().to_string()
    };
    let (flag, variable, platform) = (free(), free(), free());
    let mut all = echoroom();
    all.args(["--bind", "127.0.0.1", "--port", &flag]).env("ECHOROOM_PORT", &variable).env("PORT", &platform);
    assert_eq!(start(&mut all).1, format!("http://localhost:{flag}"));
    let mut two = echoroom();
    two.args(["--bind", "127.0.0.1"]).env("ECHOROOM_PORT", &variable).env("PORT", &platform);
    assert_eq!(start(&mut two).1, format!("http://localhost:{variable}"));
    let mut one = echoroom();
    one.args(["--bind", "127.0.0.1"]).env("PORT", &platform);
    assert_eq!(start(&mut one).1, format!("http://localhost:{platform}"));
}

#[test]
fn help_and_version_are_answers_not_errors() {
    let help = echoroom().arg("--help").output().expect("run");
    let text = String::from_utf8_lossy(&help.stdout);
    assert!(help.status.success());
    for key in ["--bind", "--port", "--workers", "--static-dir", "--allow-origin", "--max-message-size"] {
        assert!(text.contains(key), "{key} in {text}");
    }
    assert!(text.contains("ECHOROOM_MAX_MESSAGE_SIZE"), "{text}");
    assert!(echoroom().arg("--version").output().expect("run").status.success());
}

#[test]
fn the_health_check_tells_a_running_server_from_none() {
    let (_running, link) = start(echoroom().args(["--bind", "127.0.0.1", "--port", "0"]));
    let port = link.rsplit(':').next().expect("a port");
    let well = echoroom().args(["healthcheck", "--port", port]).output().expect("run");
    assert!(well.status.success(), "{}", String::from_utf8_lossy(&well.stderr));
    drop(_running);
    let gone = echoroom().args(["healthcheck", "--port", port]).output().expect("run");
    assert_fails(&gone, "/health");
}

#[cfg(unix)]
#[test]
fn sigterm_ends_the_program_cleanly() {
    let (mut running, _) = start(echoroom().args(["--bind", "127.0.0.1", "--port", "0"]));
    let pid = running.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill").success());
    assert!(running.0.wait().expect("it ends").success());
}
