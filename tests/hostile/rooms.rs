//! One client leaves a message in each of as many rooms as the server keeps, and more.

use crate::{
    client::{Client, frame},
    program::{Program, command},
};

const ROOMS: usize = 1_200;

/// Leaves one message in each of the rooms `x0`, `x1` …, a hundred connections at a time.
fn fill(program: &Program) {
    for start in (0..ROOMS).step_by(100) {
        let mut clients: Vec<_> = (start..start + 100)
            .map(|number| Client::websocket(program.address, &format!("/ws?room=x{number}")))
            .collect();
        clients.iter_mut().for_each(|client| client.send_text("a"));
        for client in &mut clients {
            assert_eq!(client.read_frame().text(), "A!!!");
            client.send(&frame(0x88, &1000_u16.to_be_bytes()));
        }
    }
}

/// The name must be no one's that a server held when it stopped.
fn assert_open_to_newcomers(program: &Program, name: &str) {
    for path in ["/", "/ws?room=team-a"] {
        let mut newcomer = Client::websocket(program.address, path);
        newcomer.send_text("hello");
        assert_eq!(newcomer.read_frame().text(), "HELLO!!!", "{path}");
    }
    let mut newcomer = Client::websocket(program.address, "/chat");
    newcomer.send_text(&format!(r#"{{"event":"login","data":{{"username":"{name}","room":"team-b"}}}}"#));
    newcomer.read_until("loginSuccess");
}

#[test]
fn rooms_that_are_full_of_history_keep_nobody_out_not_even_after_a_restart() {
    let data = tempfile::tempdir().expect("a folder");
    let start = || {
        let mut command = command(&["--max-rooms", "1000"]);
        command.arg("--data-dir").arg(data.path());
        Program::spawn(command)
    };
    let mut program = start();
    fill(&program);
    assert_open_to_newcomers(&program, "ann");
    program.signal(rustix::process::Signal::TERM);
    assert_eq!(program.exit_code(), Some(0));
    let program = start();
    assert_open_to_newcomers(&program, "ben");
}

#[test]
fn an_address_with_a_bound_fills_few_rooms_and_others_make_theirs() {
    let program = Program::start(&["--max-new-rooms-per-minute", "10"]);
    let made = (0..100)
        .filter(|number| {
            let mut client = Client::connect_from([127, 0, 0, 2].into(), program.address).expect("connected");
            client.shake_hands(&format!("/ws?room=x{number}")).starts_with("HTTP/1.1 101 ")
        })
        .count();
    // A slow machine may need more than one minute.
    assert!((10..=30).contains(&made), "{made} rooms");
    program.wait_for_log("--max-new-rooms-per-minute");
    assert_open_to_newcomers(&program, "ann");
}
