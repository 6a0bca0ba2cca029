//! A proxy as a child process: its configuration from the document, its files in a folder that goes with it.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    client::{Client, PATIENCE},
    document::{self, replaced},
    server::{Log, Server},
};

/// The name in the document.
pub const NAME: &str = "chat.example.com";

/// The server's address in the document.
const SERVER: &str = "127.0.0.1:3000";

/// The address of the second server there, where there are several.
const SECOND_SERVER: &str = "127.0.0.1:3001";

/// Which proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Nginx,
    Caddy,
    HaProxy,
}

impl Kind {
    fn program(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Caddy => "caddy",
            Self::HaProxy => "haproxy",
        }
    }

    /// A program that is needed for it and is not there.
    pub fn missing(self) -> Option<&'static str> {
        // Folders that not every user's PATH has.
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
        [self.program(), "openssl"]
            .into_iter()
            .find(|program| !std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
    }

    fn command(self, folder: &Path, config: &str) -> Command {
        let file = folder.join("configuration");
        fs::write(&file, config).expect("written");
        let mut command = Command::new(self.program());
        command.env("PATH", std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin");
        match self {
            Self::Nginx => command.arg("-p").arg(folder).arg("-c").arg(file),
            Self::Caddy => {
                command.env("HOME", folder).env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder);
                command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file)
            }
            Self::HaProxy => command.arg("-db").arg("-f").arg(file),
        };
        command
    }

    /// The document's configuration on `port` of this machine, with a certificate in `folder`, before the server at
    /// `server`, and the second one if there is one.
    fn configuration(
        self,
        heading: &str,
        folder: &Path,
        port: u16,
        server: u16,
        second: Option<u16>,
    ) -> String {
        let second = second.map(|second| (SECOND_SERVER, format!("127.0.0.1:{second}")));
        let text = replaced(document::block(heading, self.program()), second.as_slice());
        let file = |name: &str| folder.join(name).to_string_lossy().into_owned();
        let server = (SERVER, format!("127.0.0.1:{server}"));
        match self {
            Self::Nginx => {
                let site = replaced(
                    text,
                    &[
                        server,
                        ("listen 443 ssl;", format!("listen 127.0.0.1:{port} ssl;")),
                        ("/etc/ssl/chat.example.com.pem", file("cert")),
                        ("/etc/ssl/chat.example.com.key", file("key")),
                    ],
                );
                // What the distribution's own configuration has around it, but for its places.
                let places: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                    .map(|kind| format!("{kind}_temp_path {};\n", file(kind)))
                    .concat();
                format!(
                    "daemon off;\nmaster_process off;\npid {};\nerror_log stderr info;\nevents {{}}\n\
                     http {{\naccess_log off;\n{places}{site}\n}}\n",
                    file("pid")
                )
            }
            Self::Caddy => {
                // A certificate of our own instead of one from the internet.
                let (cert, key) = (file("cert"), file("key"));
                let begin = format!("{NAME}:{port} {{\n    bind 127.0.0.1\n    tls {cert} {key}\n");
                let site = replaced(text, &[server, ("chat.example.com {\n", begin)]);
                format!("{{\n    admin off\n    auto_https disable_redirects\n}}\n{site}\n")
            }
            Self::HaProxy => {
                let bind = format!("bind 127.0.0.1:{port} ssl");
                replaced(
                    text,
                    &[server, ("bind :443 ssl", bind), ("/etc/haproxy/chat.example.com.pem", file("both"))],
                ) + "\n"
            }
        }
    }
}

/// A server behind a proxy, or two. All run until this is dropped.
pub struct Proxy {
    child: Child,
    pub server: Server,
    second: Option<Server>,
    pub port: u16,
    /// What is before the server's own paths: nothing, or `/app`.
    pub path: &'static str,
    log: Log,
    _folder: TempDir,
}

impl Proxy {
    /// Starts all, and waits until the one reaches the other.
    pub fn start(heading: &str, kind: Kind, path: &'static str) -> Self {
        let has_several = heading.ends_with("several servers");
        let server = Server::start(if has_several { &["--node", "web1"] } else { &[] });
        let second = has_several.then(|| Server::start(&["--node", "web2"]));
        let folder = tempfile::tempdir().expect("a folder");
        make_certificate(folder.path());
        let port = free_port();
        let config = kind.configuration(
            heading,
            folder.path(),
            port,
            server.port,
            second.as_ref().map(|second| second.port),
        );
        let mut command = kind.command(folder.path(), &config);
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the proxy starts");
        let log = Log::of(&mut child);
        let mut proxy = Self { child, server, second, port, path, log, _folder: folder };
        proxy.wait_until_it_answers();
        proxy
    }

    fn wait_until_it_answers(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let has_ended = self.child.try_wait().expect("a child").is_some();
            assert!(!has_ended && Instant::now() < deadline, "the proxy: {:#?}", self.log.lines());
            let is_open = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok();
            if is_open {
                let answer =
                    Client::connect(self.port, "127.0.0.1").try_get(&format!("{}/health", self.path));
                if answer.is_some_and(|head| head.starts_with("HTTP/1.1 200 ")) {
                    return;
                }
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A client with an address of its own on this machine.
    pub fn client(&self, from: &str) -> Client {
        Client::connect(self.port, from)
    }

    /// The servers.
    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        std::iter::once(&self.server).chain(&self.second)
    }

    /// Shows what all have logged.
    pub fn print_logs(&self) {
        println!("the proxy logged {:#?}", self.log.lines());
        self.servers().for_each(|server| println!("a server logged {:#?}", server.log.lines()));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that is free now.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Makes `cert`, `key`, and `both` in one file.
fn make_certificate(folder: &Path) {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", &format!("/CN={NAME}"), "-addext", &format!("subjectAltName=DNS:{NAME}")])
        .args(["-keyout", "key", "-out", "cert"])
        .current_dir(folder)
        .output()
        .expect("openssl runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let read = |name: &str| fs::read_to_string(folder.join(name)).expect("made");
    fs::write(folder.join("both"), read("cert") + &read("key")).expect("written");
}
