//! A bad setting ends the program with one sentence that names the key.

use std::process::Output;

use crate::program::{STATIC_DIR, echoroom, echoroom_by, start};

fn assert_fails(output: &Output, sentence: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{stderr}");
    assert!(stderr.contains(sentence), "{stderr}");
    assert_eq!(stderr.trim_end().lines().count(), 1, "one sentence: {stderr}");
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
    let (running, link) = start(echoroom().args(["--bind", "127.0.0.1", "--port", "0"]));
    let port = link.rsplit(':').next().expect("a port");
    let well = echoroom().args(["healthcheck", "--port", port]).output().expect("run");
    assert!(well.status.success(), "{}", String::from_utf8_lossy(&well.stderr));
    drop(running);
    let gone = echoroom().args(["healthcheck", "--port", port]).output().expect("run");
    assert_fails(&gone, "/health");
}

#[test]
fn more_sessions_than_the_system_allows_are_warned_about() {
    let mut command = echoroom_by("ulimit -n 300; exec \"$@\"");
    let (running, _) = start(command.args(["--bind", "127.0.0.1", "--port", "0", "--max-sessions", "500"]));
    let log = running.log_before_start();
    let warned = log.lines().any(|line| line.contains("--max-sessions") && line.contains("300"));
    assert!(warned, "{log}");
}

#[test]
fn an_unknown_variable_is_warned_about() {
    let mut command = echoroom();
    command.args(["--bind", "127.0.0.1", "--port", "0"]).env("ECHOROOM_PROT", "1");
    let (running, _) = start(&mut command);
    assert!(running.log_before_start().contains("ECHOROOM_PROT"), "{}", running.log_before_start());
}

#[test]
fn redis_is_refused_as_long_as_rooms_are_not_shared() {
    let mut command = echoroom();
    command.env_remove("ECHOROOM_JOURNAL").env("ECHOROOM_REDIS", "redis://user:Geheim7@127.0.0.1:1");
    let output = command.args(["--port", "0", "--static-dir", STATIC_DIR]).output().expect("run");
    assert_fails(&output, "--redis (ECHOROOM_REDIS)");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("Geheim7"));
}
