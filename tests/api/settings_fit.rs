//! Every setting is checked at the start, alone and against the others, before anything is opened or bound.

use std::process::Output;

use echoroom::{
    app::{Application, StartError},
    config::{JournalKind, socketio_path},
};

use crate::{
    helpers::{TestServer, settings},
    program::{STATIC_DIR, echoroom, start},
};

/// The program with flags that it must not start with: in a second it ends by itself or never.
fn run(flags: &[&str]) -> Output {
    let port: &[&str] = if flags.contains(&"--port") { &[] } else { &["--port", "0"] };
    echoroom().args(port).args(["--static-dir", STATIC_DIR]).args(flags).output().expect("run")
}

fn assert_refused(flags: &[&str], words: &[&str]) {
    let output = run(flags);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{flags:?}: {stderr}");
    for word in words {
        assert!(stderr.contains(word), "{flags:?}: {word} in {stderr}");
    }
    assert_eq!(stderr.trim_end().lines().count(), 1, "{flags:?}: one sentence: {stderr}");
}

#[test]
fn the_path_of_socketio_takes_nothing_elses_place_and_is_one_that_clients_can_ask_for() {
    let others = ["/", "", "//", "/{", "/{a}", "io x", "io", "/a b", "/..", "/a?b", "/a%20b", "/é"];
    let pages = ["/main.js", "/words", "/wire/", "/style.css"];
    let taken = socketio_path::TAKEN.map(|taken| format!("/{taken}"));
    let paths = others.into_iter().chain(pages).chain(taken.iter().map(String::as_str));
    for path in paths {
        assert_refused(&["--socketio-path", path], &["--socketio-path", "ECHOROOM_SOCKETIO_PATH"]);
    }
}

/// What the route table has must be in the list of what is taken.
#[test]
fn every_address_of_the_route_table_is_taken() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/routes");
    let mut found = 0;
    for file in std::fs::read_dir(folder).expect("the routes") {
        let source = std::fs::read_to_string(file.expect("a file").path()).expect("a source");
        let calls = ["web::resource(\"/", "web::scope(\"/", "(at(\"/"];
        for rest in calls.into_iter().flat_map(|call| source.split(call).skip(1)) {
            let segment = rest.split(['/', '"']).next().unwrap_or_default();
            let is_of_lesson =
                ["news", "break", "slow", "slow-client", "log", "closed-port"].contains(&segment);
            assert!(
                segment.is_empty() || is_of_lesson || socketio_path::TAKEN.contains(&segment),
                "/{segment} is not in TAKEN"
            );
            found += 1;
        }
    }
    assert!(found > 8, "the route table is written otherwise now");
}

#[test]
fn a_picture_that_is_allowed_fits_into_an_event() {
    for (flag, variable) in
        [("--max-image-size", "ECHOROOM_MAX_IMAGE_SIZE"), ("--max-avatar-size", "ECHOROOM_MAX_AVATAR_SIZE")]
    {
        let words = [flag, variable, "--max-payload", "ECHOROOM_MAX_PAYLOAD"];
        assert_refused(&[flag, "2m"], &words);
        assert_refused(&[flag, "100k", "--max-payload", "100k"], &words);
    }
}

#[test]
fn an_avatar_that_is_allowed_fits_into_the_share_that_avatars_have_of_the_data() {
    let flags = ["--max-data-size", "1m", "--max-avatar-size", "512k"];
    assert_refused(&flags, &["--max-avatar-size", "--max-data-size", "ECHOROOM_MAX_DATA_SIZE"]);
}

#[test]
fn an_origin_that_no_browser_sends_is_refused() {
    for flag in ["--allow-origin", "--cors-origin"] {
        for origin in ["http://*.example", "https://*", "ws://chat.example"] {
            assert_refused(&[flag, origin], &[flag, "no part of one"]);
        }
    }
}

#[test]
fn a_device_is_no_data_folder() {
    for path in ["/dev/null", "/dev/null/data"] {
        let stderr = run(&["--journal", "sqlite", "--data-dir", path]);
        let stderr = String::from_utf8_lossy(&stderr.stderr).into_owned();
        assert!(
            stderr.contains("--data-dir (ECHOROOM_DATA_DIR)") && stderr.contains("not a folder"),
            "{stderr}"
        );
    }
}

#[actix_web::test]
async fn a_rate_of_bytes_is_written_as_other_sizes_are() {
    let mut command = echoroom();
    command.args(["--port", "0", "--bind", "127.0.0.2", "--min-upload-rate", "100k"]);
    let (_running, link) = start(&mut command);
    assert!(link.starts_with("http://127.0.0.2:"), "{link}");
    assert_eq!(TestServer::elsewhere(&link).health().await["status"], "ok");
}

#[test]
fn numbers_that_nothing_can_hold_are_refused() {
    for flag in [
        "--workers",
        "--history",
        "--max-image-side",
        "--max-attachments",
        "--max-fragments",
        "--recovery-sockets",
        "--rate-burst",
        "--max-sessions",
        "--max-rooms",
        "--max-lessons",
        "--max-message-size",
        "--max-payload",
        "--max-image-size",
        "--max-avatar-size",
        "--max-queue-bytes",
        "--max-intake-bytes",
        "--max-intake-total",
        "--history-bytes",
        "--max-data-size",
        "--tail-bytes",
        "--recovery-bytes",
    ] {
        for number in ["0", "18446744073709551615", "18446744073709551616"] {
            assert_refused(&[flag, number], &[flag]);
        }
    }
    for flag in [
        "--history-age",
        "--name-hold",
        "--connect-timeout",
        "--upgrade-timeout",
        "--polling-open-timeout",
        "--rate-patience",
        "--ping-interval",
        "--ping-timeout",
        "--stall-timeout",
        "--handshake-timeout",
        "--shutdown-timeout",
    ] {
        for time in ["0", "0ms", "366d", "18446744073709551615d"] {
            assert_refused(&[flag, time], &[flag]);
        }
    }
    assert_refused(&["--stall-timeout", "25d"], &["--stall-timeout"]);
    assert_refused(&["--ping-interval", "25d"], &["--ping-interval", "--ping-timeout"]);
    assert_refused(&["--max-ended-sessions", "100000001"], &["--max-ended-sessions"]);
    for time in ["366d", "18446744073709551615d", "off"] {
        assert_refused(&["--recovery-window", time], &["--recovery-window", "0 switches this off"]);
    }
    // What would switch recovery off by the way is refused with the setting that does.
    for (flag, variable) in
        [("--recovery-bytes", "ECHOROOM_RECOVERY_BYTES"), ("--recovery-sockets", "ECHOROOM_RECOVERY_SOCKETS")]
    {
        assert_refused(&[flag, "0"], &[flag, variable, "at least 1", "--recovery-window 0"]);
    }
}

#[test]
fn metrics_do_not_ask_for_the_servers_own_port() {
    let words = ["--metrics-bind", "ECHOROOM_METRICS_BIND", "--port"];
    assert_refused(&["--port", "4999", "--metrics-bind", "127.0.0.1:4999"], &words);
    assert_refused(&["--port", "4999", "--bind", "::", "--metrics-bind", "0.0.0.0:4999"], &words);
}

#[test]
fn the_journal_is_not_among_the_files_that_everybody_can_read() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("index.html"), "<title>a page</title>").expect("written");
    let page = folder.path().to_str().expect("UTF-8");
    let inside = folder.path().join("data");
    let output = echoroom()
        .env_remove("ECHOROOM_JOURNAL")
        .args(["--port", "0", "--static-dir", page, "--data-dir"])
        .arg(&inside)
        .output()
        .expect("run");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{stderr}");
    assert!(stderr.contains("--data-dir") && stderr.contains("--static-dir"), "{stderr}");
    assert!(!inside.exists(), "nothing was made");
}

#[test]
fn a_folder_is_no_page() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("index.html")).expect("made");
    let page = folder.path().to_str().expect("UTF-8");
    let output = echoroom().args(["--port", "0", "--static-dir", page]).output().expect("run");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && stderr.contains("--static-dir"), "{stderr}");
}

#[actix_web::test]
async fn an_embedders_settings_are_checked_too() {
    let data = tempfile::tempdir().expect("a folder");
    let data_dir = data.path().join("data");
    let wrong = settings().with(|s| {
        s.socketio.socketio_path = "/chat".to_owned();
        s.journal.kind = JournalKind::Sqlite;
        s.journal.data_dir = data_dir.clone();
    });
    let error = Application::build(wrong).err().expect("refused");
    assert!(matches!(error, StartError::Setting(_)), "{error}");
    assert!(error.to_string().contains("--socketio-path"), "{error}");
    assert!(!data_dir.exists(), "before anything was opened");
}

/// A bound on payloads alone is no contradiction: what is not set fits it.
#[actix_web::test]
async fn what_is_not_set_fits_what_is_and_pages_are_told() {
    let server =
        TestServer::with(settings().with(|s| s.events.max_payload = "100k".parse().expect("a size"))).await;
    let limits = server.get_raw("/limits", "").await;
    let limits = limits.split_once("\r\n\r\n").expect("a body").1;
    let limits: serde_json::Value = serde_json::from_str(limits).expect("JSON");
    let (payload, image) = (limits["max_payload"].as_u64(), limits["max_image_size"].as_u64());
    assert_eq!((payload, image), (Some(102_400), Some(101_376)));
}

#[test]
fn the_readmes_settings_for_a_conformance_suite_are_taken() {
    let flags = ["--bind", "127.0.0.1", "--port", "0", "--rate", "0"];
    let large = ["--max-message-size", "16m", "--max-fragments", "1000000"];
    drop(start(echoroom().args(flags).args(large)));
}
