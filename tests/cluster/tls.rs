//! Nodes on a Redis that is reached by TLS (`rediss://`), with certificates made for the test.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::json;
use tempfile::TempDir;

use crate::{
    ports::free_port,
    program::{Program, command},
    redis::Redis,
    visitor::Visitor,
};

/// A Redis that takes connections by TLS on a port of its own.
struct TlsRedis {
    port: u16,
    redis: Redis,
    certificates: TempDir,
}

impl TlsRedis {
    /// Starts one whose certificate is for `localhost` alone.
    fn start() -> Self {
        let (certificates, port) = (tempfile::tempdir().expect("a folder"), free_port());
        make_certificates(certificates.path());
        let file = |name: &str| certificates.path().join(name).display().to_string();
        let lines = [
            format!("tls-port {port}"),
            format!("tls-cert-file {}", file("server.pem")),
            format!("tls-key-file {}", file("server.key")),
            format!("tls-ca-cert-file {}", file("ca.pem")),
            "tls-auth-clients no".to_owned(),
        ];
        let redis = Redis::start(&lines.each_ref().map(String::as_str));
        Self { port, redis, certificates }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.certificates.path().join(name)
    }
}

/// Makes `ca.pem`, a `server.pem` with its key that it has signed, and `other.pem`, which has signed nothing.
fn make_certificates(folder: &Path) {
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let authority = |name: &str| {
        let (subject, key_file, file) = (format!("/CN={name}"), format!("{name}.key"), format!("{name}.pem"));
        let own = ["-subj", &subject, "-keyout", &key_file, "-out", &file];
        openssl(folder, &[&["req", "-x509", "-days", "2"], &key[..], &own].concat());
    };
    authority("ca");
    authority("other");
    let files = ["-keyout", "server.key", "-out", "server.csr"];
    openssl(folder, &[&["req", "-subj", "/CN=redis"], &key[..], &files].concat());
    fs::write(folder.join("names"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n")
        .expect("written");
    let signed =
        ["x509", "-req", "-days", "2", "-in", "server.csr", "-out", "server.pem", "-extfile", "names"];
    openssl(folder, &[&signed[..], &["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]].concat());
}

fn openssl(folder: &Path, words: &[&str]) {
    let made = Command::new("openssl").args(words).current_dir(folder).output().expect("openssl runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// What starts a node on the Redis at `url` that trusts the certificates in a file, with a folder for its data.
fn node(name: &str, url: &str, trusted: &Path) -> (Command, TempDir) {
    let data = tempfile::tempdir().expect("a folder");
    let mut command = command(&["--redis", url, "--node", name]);
    command.arg("--data-dir").arg(data.path()).env("SSL_CERT_FILE", trusted).env_remove("SSL_CERT_DIR");
    (command, data)
}

#[test]
fn nodes_share_their_rooms_by_tls() {
    let tls = TlsRedis::start();
    let url = format!("rediss://localhost:{}", tls.port);
    let nodes = ["n000", "n001"].map(|name| {
        let (command, data) = node(name, &url, &tls.file("ca.pem"));
        (Program::spawn(command), data)
    });
    let mut visitors = ["ann", "bob"].into_iter().zip(&nodes);
    let [mut ann, mut bob] = [0, 1].map(|_| {
        let (name, (program, _)) = visitors.next().expect("two");
        Visitor::login(program.address, name, "tea")
    });
    for (offset, text) in [(1, "to bob"), (2, "to bob again")] {
        assert_eq!(ann.say(text), offset);
        bob.hear("receiveMessage", |message| message["msg"] == json!(text));
    }
    nodes[0].0.wait_for_log(&format!("connected to Redis at {url}/0"));
    assert!(tls.redis.has_info("stats", "rejected_connections:0"));
}

/// Takes some seconds, which a Redis is given to come up.
#[test]
fn a_redis_that_is_not_the_trusted_one_is_refused_in_one_sentence() {
    let tls = TlsRedis::start();
    let (port, plain) = (tls.port, tls.redis.address().port());
    let (ca, other, missing) = (tls.file("ca.pem"), tls.file("other.pem"), tls.file("missing.pem"));
    let starts = [
        (format!("rediss://:Geheim7@localhost:{port}"), other, "invalid peer certificate: UnknownIssuer"),
        (format!("rediss://127.0.0.1:{port}"), ca.clone(), "certificate not valid for name \"127.0.0.1\""),
        (format!("rediss://localhost:{port}"), missing, "missing.pem"),
        // Each with the other's way to speak.
        (format!("redis://localhost:{port}"), ca.clone(), "cannot be reached: "),
        (format!("rediss://localhost:{plain}"), ca, "does not answer within 3 seconds"),
    ];
    let runs = starts.map(|(url, trusted, words)| {
        let (mut command, data) = node("n000", &url, &trusted);
        (command.stderr(Stdio::piped()).spawn().expect("it starts"), data, words)
    });
    for (run, _data, words) in runs {
        let output = run.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("--redis (ECHOROOM_REDIS): redis") && said.contains(words), "{words}: {said}");
        assert!(!said.trim_end().contains('\n') && !said.contains("Geheim7"), "{said}");
    }
}
