//! The harness of these tests, tried on a server that is not attacked.

use rustix::process::Signal;

use crate::{client::Client, program::Program};

#[test]
fn a_server_that_nobody_attacks_serves_costs_little_and_ends_well() {
    let mut program = Program::start(&[]);
    let mut client = Client::websocket(program.address, "/ws?room=tea");
    client.send_text("hello");
    assert_eq!(client.read_frame().text(), "HELLO!!!");
    assert!(Client::get(program.address, "/health").contains("\"ok\""));
    assert!(program.resident_kib() > 0 && program.descriptors() > 0 && !program.cpu_time().is_zero());
    client.send(&crate::client::frame(0x88, &1000_u16.to_be_bytes()));
    assert_eq!(client.read_frame().close_code(), Some(1000));
    program.signal(Signal::TERM);
    assert_eq!(program.exit_code(), Some(0), "{:#?}", program.log());
}
