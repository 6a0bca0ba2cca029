//! Half of a large room is gone at once: a proxy ends, or a mobile cell. What that costs grows with the number of those
//! who go, not with its square, and other rooms hardly notice. `HOSTILE_DROP_MEMBERS` is the size of the larger room, for
//! a measurement; the smaller one has half of that then.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{
    client::Client,
    crowd,
    program::{PATIENCE, Program},
};

/// Members of the smaller room; the larger one has four times as many.
const MEMBERS: usize = 1200;

/// What the larger room may cost of the smaller one, where four times the members are 4 and a square would be 16.
const MOST_TIMES: f64 = 8.0;

/// What a client in another room may wait for its echo in 99 of 100 cases: a debug build, on a busy machine.
const MOST_WAIT: Duration = Duration::from_millis(500);

/// What one drop of half a room amounted to.
struct Drop {
    cpu: Duration,
    /// Echoes of a client in another room meanwhile, the fastest first.
    waits: Vec<Duration>,
}

fn drop_half(members: usize) -> Drop {
    let program = Program::start(&["--journal", "memory"]);
    let mut crowd = crowd::log_in(program.address, "user", members, "tea");
    let mut bystander = Client::websocket(program.address, "/ws?room=other");
    let mut witness = Client::websocket(program.address, "/chat");
    witness.send_text(r#"{"event":"login","data":{"username":"witness","room":"tea"}}"#);
    witness.read_until(r#""event":"userList""#);
    // The last arrivals have been told.
    thread::sleep(Duration::from_secs(3));
    let before = program.cpu_time();
    let is_over = AtomicBool::new(false);
    let waits = thread::scope(|scope| {
        let waits = scope.spawn(|| {
            let mut waits = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                let asked = Instant::now();
                bystander.send_text("x");
                bystander.read_frame();
                waits.push(asked.elapsed());
                // Its own echoes are not to be what is measured.
                thread::sleep(Duration::from_millis(5));
            }
            waits
        });
        drop(crowd.split_off(members / 2));
        witness.read_until(&format!(r#""count":{}"#, members / 2 + 1));
        is_over.store(true, Ordering::Relaxed);
        waits.join().expect("no panic")
    });
    let cpu = program.cpu_time() - before;
    let deadline = Instant::now() + PATIENCE;
    while !Client::get(program.address, "/health").contains(&format!(r#""sessions":{}"#, members / 2 + 2)) {
        assert!(Instant::now() < deadline, "sessions are left behind");
    }
    let mut waits = waits;
    waits.sort_unstable();
    Drop { cpu, waits }
}

#[test]
fn half_of_a_room_that_drops_at_once_costs_by_their_number_and_others_hardly_wait() {
    crowd::raise_descriptor_limit();
    let asked = std::env::var("HOSTILE_DROP_MEMBERS").ok().and_then(|members| members.parse::<usize>().ok());
    let (smaller, larger) = asked.map_or((MEMBERS, 4 * MEMBERS), |members| (members / 2, members));
    let (few, many) = (drop_half(smaller), drop_half(larger));
    let times = many.cpu.as_secs_f64() / few.cpu.as_secs_f64();
    let wait = many.waits[many.waits.len() * 99 / 100];
    eprintln!(
        "CPU of half of {smaller} {:?}, of {larger} {:?}, {times:.2} times; p99 of {} echoes {wait:?}, last {:?}",
        few.cpu,
        many.cpu,
        many.waits.len(),
        many.waits.last()
    );
    assert!(times < MOST_TIMES, "{:?} for half of {smaller}, {:?} for half of {larger}", few.cpu, many.cpu);
    assert!(wait < MOST_WAIT, "a client in another room waited {wait:?}");
}
