//! The door: settings, logger, run, exit code.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    process::ExitCode,
    time::Duration,
};

use echoroom::{
    app::{self, Application},
    config::{self, Cli, CliError, Command, Settings},
    journal::sqlite,
    logging,
};

/// Messages of many KiB come and go all the time. The system's allocator gives their memory back to the kernel and takes
/// it again, a page fault for every 4 KiB; this one keeps it for a moment.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The exit code when an actor or thread that all clients share has panicked.
const EXIT_PART_DIED: i32 = 70;

/// How long the health check waits for the server.
const HEALTH_PATIENCE: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(CliError::Answer(text)) => {
            // Nobody is left to tell if even this cannot be written.
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
        Some(Command::Backup { file }) => match sqlite::back_up(&cli.settings.data_dir, &file) {
            Ok(()) => ExitCode::SUCCESS,
            Err(sentence) => fail(1, &sentence),
        },
        Some(Command::Forget { room }) => match app::forget(&cli.settings.data_dir, &room) {
            Ok(()) => ExitCode::SUCCESS,
            Err(sentence) => fail(1, &sentence),
        },
        None => serve(cli.settings),
    }
}

fn serve(settings: Settings) -> ExitCode {
    let logger =
        env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info,actix_server=warn"))
            .build();
    let max_level = logger.filter();
    if let Err(error) = logging::install(Box::new(logger), max_level) {
        return fail(1, &format!("no log: {error}"));
    }
    for name in config::unknown_variables() {
        log::warn!("the environment variable {name} is set, but there is no such setting");
    }
    let outcome = actix_web::rt::System::new().block_on(async {
        let application = Application::build(settings).map_err(|error| error.to_string())?;
        application.parts().when_one_dies(exit_without);
        application.run_until_stopped().await.map_err(|error| format!("the server failed: {error}"))
    });
    match outcome {
        Ok(stopped) => stopped.report().map_or(ExitCode::SUCCESS, ExitCode::from),
        Err(sentence) => fail(1, &sentence),
    }
}

/// Ends the process, which would be deaf without this part: what was acked is durable, clients come back to the next
/// process and get what they missed.
fn exit_without(part: &str) {
    log::error!("the server cannot go on without {part}: exit code {EXIT_PART_DIED}");
    std::process::exit(EXIT_PART_DIED);
}

/// Asks `/health` as a container's health check does, without a client library.
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
    let answer = ask().map_err(|error| format!("no answer from http://{address}/health: {error}"))?;
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
