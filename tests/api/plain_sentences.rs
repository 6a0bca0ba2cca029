//! A mistyped setting is answered in plain words: what is wrong, and what may have been meant.

use std::process::Output;

use crate::program::{echoroom, start};

fn sentence(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "one sentence: {stderr}");
    stderr
}

fn said(flags: &[&str]) -> String {
    sentence(&echoroom().args(flags).output().expect("run"))
}

#[test]
fn a_number_that_cannot_be_is_told_without_the_words_of_a_programming_language() {
    for (flag, value, words) in [
        ("--workers", "0", "at least 1"),
        ("--workers", "many", "a whole number"),
        ("--workers", "-1", "a whole number"),
        ("--max-sessions", "1.5", "a whole number"),
        ("--history", "99999999999999999999", "too large"),
        ("--port", "70000", "a number from 0"),
        ("--port", "-1", "a number from 0"),
        ("--rate-burst", "0", "at least 1"),
        ("--handshake-burst", "0", "at least 1"),
        ("--ping-interval", "0", "more than 0"),
        ("--ping-interval", "-5s", "a number of seconds"),
        ("--max-payload", "-1", "a number of bytes"),
        ("--metrics-bind", "9100", "an address and a port"),
    ] {
        let variable = format!("ECHOROOM_{}", flag[2..].replace('-', "_").to_ascii_uppercase());
        let of_variable = echoroom().env(&variable, value).output().expect("run");
        for sentence in [said(&[flag, value]), sentence(&of_variable)] {
            for part in [flag, variable.as_str(), words] {
                assert!(sentence.contains(part), "{flag} {value}: {part} in {sentence}");
            }
            for word in ["non-zero", "digit", "target type", "integer", "syntax"] {
                assert!(!sentence.contains(word), "{flag} {value}: {sentence}");
            }
        }
    }
}

#[test]
fn a_flag_that_does_not_exist_is_told_with_the_nearest_one() {
    for (flag, near) in [
        ("--portt", "--port"),
        ("--prot=1", "--port"),
        ("-port", "--port"),
        ("--Port", "--port"),
        ("--max_sessions", "--max-sessions"),
        ("--worker", "--workers"),
        ("--allow-origins", "--allow-origin"),
        ("--trusted-proxys", "--trusted-proxy"),
        ("--helpp", "--help"),
    ] {
        let sentence = said(&[flag]);
        let given = flag.split('=').next().unwrap_or_default();
        assert!(sentence.contains(&format!("'{given}'")), "{flag}: {sentence}");
        assert!(sentence.contains(&format!("'{near}'")), "{flag}: {sentence}");
    }
    assert!(said(&["--xyzzyxyzzyxyzzy"]).contains("--help shows all"));
    assert!(said(&["healthchek"]).contains("'healthcheck'"));
}

#[test]
fn the_warning_of_a_variable_that_does_not_exist_names_the_nearest_one() {
    let mut command = echoroom();
    command.args(["--bind", "127.0.0.1", "--port", "0"]).env("ECHOROOM_WORKER", "1");
    let (running, _) = start(&mut command);
    let log = running.log_before_start();
    assert!(log.contains("ECHOROOM_WORKER (ECHOROOM_WORKERS may be meant)"), "{log}");
}

#[test]
fn a_name_that_this_machine_knows_is_an_address_to_listen_on() {
    for bind in ["localhost", "127.0.0.1"] {
        let (running, link) =
            start(echoroom().args(["--bind", bind, "--port", "0", "--metrics-bind", "localhost:0"]));
        let address = link.trim_start_matches("http://").replace("localhost", "127.0.0.1");
        assert!(std::net::TcpStream::connect(&address).is_ok(), "{address}");
        drop(running);
    }
    for (bind, words) in [
        ("two words", "such as localhost"),
        ("127.0.0.1:3000", "--port"),
        ("no-such-host.invalid", "such as localhost"),
    ] {
        let sentence = said(&["--bind", bind, "--port", "0"]);
        assert!(sentence.contains("--bind") && sentence.contains(words), "{bind}: {sentence}");
    }
}
