//! The program: reads the settings, installs the logger, runs the server and returns the exit code.

use std::{
    future::poll_fn,
    io::{self, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::ExitCode,
    task::Poll,
    time::Duration,
};

use actix_web::rt::{
    self,
    signal::unix::{Signal, SignalKind, signal},
};
use echoroom::{
    app::{self, Application, Move, MoveError, StopHandle},
    config::{self, Cli, CliError, Command, Settings},
};

/// Messages of many KiB are allocated and freed all the time. The system's allocator returns that memory to
/// the kernel each time, with a page fault for every 4 KiB; this one keeps it until it is told not to, see
/// [`give_memory_back`].
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The exit code after a second stop signal (128 + SIGINT).
const EXIT_IMPATIENT: u8 = 130;

/// The exit code after the death of a shared part (`EX_SOFTWARE`).
const EXIT_PART_DIED: i32 = 70;

/// Timeout of the health check.
const HEALTH_PATIENCE: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(CliError::Answer(text)) => {
            // A failed write to stdout has no other channel to be reported on.
            let _ = io::stdout().write_all(text.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(CliError::Invalid(sentence)) => return fail(2, &sentence),
    };
    match cli.command {
        Some(Command::Healthcheck) => match check_health(&cli.settings) {
            Ok(()) => ExitCode::SUCCESS,
            Err(sentence) => fail(1, &sentence),
        },
        Some(Command::Backup { file }) => match back_up(&cli.settings, &file) {
            Ok(()) => ExitCode::SUCCESS,
            Err(sentence) => fail(1, &sentence),
        },
        Some(Command::Forget { room }) => match app::forget(&cli.settings, &room) {
            Ok(()) => ExitCode::SUCCESS,
            Err(sentence) => fail(1, &sentence),
        },
        Some(Command::ImportJournal) => move_rooms(&cli.settings, Move::Import),
        Some(Command::ExportJournal) => move_rooms(&cli.settings, Move::Export),
        None => serve(cli.settings),
    }
}

/// Moves rooms between the journal and Redis: progress on stderr, and a summary on stdout.
fn move_rooms(settings: &Settings, way: Move) -> ExitCode {
    match app::move_rooms(settings, way, |line| eprintln!("echoroom: {line}")) {
        Ok(summary) => {
            // What was moved is moved, also if this cannot be written.
            let _ = writeln!(io::stdout(), "{summary}");
            ExitCode::SUCCESS
        }
        Err(error @ MoveError::NoRedis) => fail(2, &error.to_string()),
        Err(error) => fail(1, &error.to_string()),
    }
}

/// Has the allocator give back what this thread has freed and not used again for a second. It looks for that by
/// itself only when the thread allocates, so that a server without work would keep the memory of its busiest
/// minute.
#[expect(unsafe_code, reason = "a function of C, without arguments that could be wrong")]
fn give_memory_back() {
    // SAFETY: any thread may call it at any time; `false`: not what is likely to be used at once.
    unsafe { libmimalloc_sys::mi_collect(false) };
}

/// Copies the journal, unless the messages are in Redis.
fn back_up(settings: &Settings, file: &Path) -> Result<(), String> {
    if settings.nodes.redis.is_some() {
        return Err("--redis (ECHOROOM_REDIS): the messages are in Redis: make a backup there".to_owned());
    }
    app::back_up(&settings.journal.data_dir, file)
}

fn serve(settings: Settings) -> ExitCode {
    let logger =
        env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info,actix_server=warn"))
            .build();
    let max_level = logger.filter();
    if let Err(error) = app::install_logger(Box::new(logger), max_level) {
        return fail(1, &format!("no log: {error}"));
    }
    for name in config::unknown_variables() {
        log::warn!("the environment variable {name} is set, but there is no such setting");
    }
    app::raise_descriptor_limit();
    let outcome = rt::System::new().block_on(async {
        // Install before the address is logged: a program that reads it may send a signal at once.
        let signals = StopSignals::new().map_err(|error| format!("signals cannot be received: {error}"))?;
        let application = Application::build(settings).map_err(|error| error.to_string())?;
        application.parts().when_one_dies(exit_without);
        application.parts().each_second(give_memory_back);
        rt::spawn(stop_when_told(signals, application.handle()));
        application.run().await.map_err(|error| format!("the server failed: {error}"))
    });
    match outcome {
        Ok(stopped) => {
            // The report of lost messages must be the last line: threads of actix say later that they end.
            log::set_max_level(log::LevelFilter::Error);
            stopped.report().map_or(ExitCode::SUCCESS, ExitCode::from)
        }
        Err(sentence) => fail(1, &sentence),
    }
}

/// Stops the server at the first signal, and ends the process at the second.
async fn stop_when_told(mut signals: StopSignals, server: StopHandle) {
    let name = signals.next().await;
    log::info!("{name}: stopping, {} sessions are open", server.sessions());
    let stopping = server.clone();
    rt::spawn(async move { stopping.stop().await });
    signals.next().await;
    // As at the end of a stop that was waited for.
    log::set_max_level(log::LevelFilter::Error);
    exit(server.stopped().report().unwrap_or(EXIT_IMPATIENT).into());
}

/// Ends the process, which cannot serve without this part: what was acked is durable, and clients reconnect
/// to the next process and recover what they missed.
fn exit_without(part: &str) {
    log::error!("the server cannot go on without {part}: exit code {EXIT_PART_DIED}");
    exit(EXIT_PART_DIED);
}

/// Ends the process. No other function may.
#[expect(clippy::exit, reason = "the process is the program's")]
fn exit(code: i32) -> ! {
    std::process::exit(code)
}

/// The signals that stop the process, received from the creation of this value on.
struct StopSignals {
    term: Signal,
    int: Signal,
}

impl StopSignals {
    fn new() -> io::Result<Self> {
        Ok(Self { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next signal and returns its name.
    async fn next(&mut self) -> &'static str {
        poll_fn(|cx| {
            if self.term.poll_recv(cx).is_ready() {
                Poll::Ready("SIGTERM")
            } else {
                self.int.poll_recv(cx).map(|_| "SIGINT")
            }
        })
        .await
    }
}

/// Requests `/health`, as a container's health check does, without a client library.
fn check_health(settings: &Settings) -> Result<(), String> {
    let address = settings.local_address();
    let ask = || {
        let mut stream = TcpStream::connect_timeout(&address, HEALTH_PATIENCE)?;
        stream.set_read_timeout(Some(HEALTH_PATIENCE))?;
        write!(stream, "GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.take(4096).read_to_end(&mut answer)?;
        io::Result::Ok(answer)
    };
    let in_words = |error: io::Error| match error.kind() {
        // What a read with a timeout says when that is over.
        io::ErrorKind::WouldBlock => format!("none within {} seconds", HEALTH_PATIENCE.as_secs()),
        _ => error.to_string(),
    };
    let answer =
        ask().map_err(|error| format!("no answer from http://{address}/health: {}", in_words(error)))?;
    if answer.starts_with(b"HTTP/1.1 200 ") {
        return Ok(());
    }
    let status = String::from_utf8_lossy(answer.split(|&byte| byte == b'\r').next().unwrap_or_default());
    Err(format!("http://{address}/health answered {status:?}"))
}

fn fail(code: u8, sentence: &str) -> ExitCode {
    eprintln!("echoroom: {sentence}");
    ExitCode::from(code)
}
