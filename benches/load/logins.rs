//! Logins of clients at `/chat`.

use std::error::Error;

use crate::{PATIENCE, clients::Clients, frames::push_text};

/// Logs the first `count` clients in, each to the room with the number that `room_of` gives for it.
pub fn log_in(
    clients: &mut Clients,
    count: usize,
    room_of: impl Fn(usize) -> usize,
) -> Result<(), Box<dyn Error>> {
    for client in 0..count {
        let room = room_of(client);
        let login = format!(
            r#"{{"event":"login","data":{{"username":"s{client}","room":"r{room}","presence":"changes"}},"ack":0}}"#
        );
        push_text(clients.output(client), login.as_bytes());
    }
    clients.flush(count)?;
    // Each is answered, and then given the list of users, with which it is subscribed. Some get more than one list.
    let steps: [&[u8]; 2] = [br#"{"ack":0,"data""#, br#"{"event":"userList""#];
    let mut missing = vec![[true; 2]; count];
    let mut left = 2 * missing.len();
    while left > 0 {
        let has_come = clients.turn(PATIENCE, &mut |client, _, frame| {
            for (step, is_missing) in steps.iter().zip(&mut missing[client]) {
                left -= usize::from(frame.starts_with(step) && std::mem::take(is_missing));
            }
            Ok(())
        })?;
        if !has_come {
            return Err(format!("{left} steps of logins are missing").into());
        }
    }
    Ok(())
}
