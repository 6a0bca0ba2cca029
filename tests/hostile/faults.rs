//! Disks that fail: whatever call of the program on its journal fails, what was acked is kept.
//!
//! A short run on a journal that a server has left in the middle of its work is done without faults, to count its calls,
//! and then once for each call and each way in which it can fail.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use rustix::process::Signal;
use serde_json::json;

use crate::{
    client::Client,
    disk::{Disk, Setting},
    program::Program,
    talker::{Acked, Talker, check, say_all},
};

/// Runs at a time: most of one is waiting.
const AT_A_TIME: usize = 4;

/// The exit code of a server that has lost messages which it had relayed.
const EXIT_LOST: i32 = 74;

/// How calls fail: with an I/O error, on a full disk after half of the bytes, with half of the bytes and no error.
const WRITE_KINDS: [&str; 3] = ["5", "half", "short"];
const OTHER_KINDS: [&str; 2] = ["5", "28"];

/// A call to fail: which, on which file, the how manieth of those, and how.
#[derive(Clone, Debug)]
struct Fault {
    call: String,
    file: String,
    nth: usize,
    kind: &'static str,
}

/// A folder as a server leaves it that is killed in the middle of its work, and what it has acked.
fn left_behind() -> &'static (Disk, Vec<Acked>) {
    static LEFT: OnceLock<(Disk, Vec<Acked>)> = OnceLock::new();
    LEFT.get_or_init(|| {
        let disk = Disk::new();
        let mut program = disk.start();
        let acked = say_all(&mut Talker::login(program.address, "Ann"), ["a", "b", "c"]);
        program.signal(Signal::KILL);
        program.exit_code();
        (disk, acked)
    })
}

/// The run in which calls fail: a login, messages, and a stop in order. Gives back what has been acked in all.
fn run(disk: &Disk, faults: &[Setting], when: &str) -> Vec<Acked> {
    let mut program = Program::spawn(disk.faulty(faults));
    let mut acked = left_behind().1.clone();
    let mut talker = Talker::login(program.address, "Ben");
    acked.extend(say_all(&mut talker, ["1", "2", "3"]));
    drop(talker);
    program.signal(Signal::TERM);
    assert_eq!(program.exit_code(), Some(0), "{when}: nothing is lost, {:#?}", program.log());
    acked
}

/// What the next server has, and that it goes on.
fn check_next(disk: &Disk, acked: &[Acked], when: &str) {
    let program = disk.start();
    let mut talker = Talker::login(program.address, "Cat");
    check(&talker.history(), acked, when);
    let (offset, text) = talker.say("and on");
    let mut acked = acked.to_vec();
    acked.push((offset, text));
    check(&talker.history(), &acked, when);
    let health = Client::get(program.address, "/health");
    assert!(health.contains("\"ok\""), "{when}: {health}");
}

/// Each call of the run, as often as it was made in each of three runs.
fn faults() -> Vec<Fault> {
    let runs: Vec<_> = (0..3)
        .map(|_| {
            let disk = Disk::copy_of(&left_behind().0.data());
            let acked = run(&disk, &[], "without faults");
            check_next(&disk, &acked, "without faults");
            disk.counts()
        })
        .collect();
    let mut faults: Vec<Fault> = Vec::new();
    for ((call, file), count) in &runs[0] {
        let in_all = |run: &BTreeMap<_, usize>| run.get(&(call.clone(), file.clone())).copied().unwrap_or(0);
        let kinds = if call == "write" { &WRITE_KINDS[..] } else { &OTHER_KINDS };
        for nth in 1..=runs.iter().map(in_all).min().unwrap_or(*count) {
            faults.extend(kinds.iter().map(|kind| Fault {
                call: call.clone(),
                file: file.clone(),
                nth,
                kind,
            }));
        }
    }
    faults
}

impl Fault {
    /// What the library is told.
    fn settings(&self) -> [Setting; 4] {
        [
            ("FAULT_CALL", self.call.clone()),
            ("FAULT_FILE", self.file.clone()),
            ("FAULT_NTH", self.nth.to_string()),
            ("FAULT_KIND", self.kind.to_owned()),
        ]
    }
}

/// Does the run with one call failing. Whether it came to that call.
fn run_with(fault: &Fault) -> bool {
    let when = format!("{fault:?}");
    let disk = Disk::copy_of(&left_behind().0.data());
    let acked = run(&disk, &fault.settings(), &when);
    if disk.fired() == 0 {
        return false;
    }
    check_next(&disk, &acked, &when);
    true
}

/// Tries each fault, several at a time; each must come about.
fn try_all(faults: &[Fault], run_with: fn(&Fault) -> bool) {
    let next = AtomicUsize::new(0);
    let missed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some(fault) = faults.get(next.fetch_add(1, Ordering::SeqCst)) {
                    // What threads do beside each other may fall out in another order: once more.
                    if !run_with(fault) && !run_with(fault) {
                        missed.lock().expect("no test thread panicked").push(fault.clone());
                    }
                }
            });
        }
    });
    let missed = missed.into_inner().expect("no test thread panicked");
    assert!(missed.is_empty(), "of {} faults these did not come about: {missed:?}", faults.len());
}

#[test]
fn whichever_call_on_a_file_fails_nothing_that_was_acked_is_lost() {
    let faults = faults();
    for call in ["write", "fsync", "open", "rename", "truncate"] {
        assert!(faults.iter().any(|fault| fault.call == call), "no {call} among {faults:?}");
    }
    try_all(&faults, run_with);
}

/// A data folder of a server whose power is cut: what the server sees, and what is on the disk.
struct Powered {
    seen: Disk,
    kept: Disk,
}

impl Powered {
    fn new() -> Self {
        let [seen, kept] = [(); 2].map(|()| Disk::copy_of(&left_behind().0.data()));
        Self { seen, kept }
    }

    /// A server on what can be seen.
    fn start(&self, faults: &[Setting]) -> Program {
        let mut command = self.seen.faulty(faults);
        command.env("FAULT_DISK", self.kept.data());
        Program::spawn(command)
    }
}

/// Does the run with one flush failing, and then the power is cut: what was not flushed is gone, and so is what was written
/// before the flush that failed, though later flushes succeeded. Whether it came to that flush.
fn run_to_a_power_cut(fault: &Fault) -> bool {
    let when = format!("a power cut after {fault:?}");
    let disks = Powered::new();
    let mut program = disks.start(&fault.settings());
    let mut acked = left_behind().1.clone();
    acked.extend(say_all(&mut Talker::login(program.address, "Ben"), ["1", "2", "3", "4"]));
    program.signal(Signal::KILL);
    program.exit_code();
    check_next(&disks.kept, &acked, &when);
    disks.seen.fired() > 0
}

#[test]
fn what_is_acked_survives_a_power_cut_though_a_flush_had_failed_before() {
    let flushes = faults().into_iter().filter(|fault| fault.call == "fsync" && fault.kind == "5");
    let came_about = flushes.filter(run_to_a_power_cut).count();
    // Some flushes come when the server stops, which this one does not.
    assert!(came_about > 8, "{came_about}");
}

#[test]
fn what_is_acked_behind_a_server_that_died_of_a_failed_flush_survives_a_power_cut() {
    let disks = Powered::new();
    let mut acked = left_behind().1.clone();
    let mut program = disks.start(&disks.seen.every("fsync", "echoroom.db-wal", "5"));
    let mut ben = Talker::login(program.address, "Ben");
    disks.seen.fall_ill();
    let answer = ben.ask("sendMessage", &json!({"msg": "lost", "id": "lost"})).expect("an answer");
    assert_eq!(answer["error"]["code"], "not_kept_yet");
    program.signal(Signal::KILL);
    program.exit_code();

    let mut program = disks.start(&[]);
    acked.extend(say_all(&mut Talker::login(program.address, "Cat"), ["1", "2", "3"]));
    program.signal(Signal::KILL);
    program.exit_code();
    check_next(&disks.kept, &acked, "a power cut");
}

/// A server with a message that others have heard and the journal has not: what was acked before it.
fn with_a_message_that_is_not_kept(disk: &Disk, call: &str, kind: &str) -> (Program, Talker, Vec<Acked>) {
    let program = Program::spawn(disk.faulty(&disk.every(call, "echoroom.db-wal", kind)));
    let mut talker = Talker::login(program.address, "Ben");
    let mut acked = left_behind().1.clone();
    acked.extend(say_all(&mut talker, ["1", "2"]));
    disk.fall_ill();
    let answer = talker.ask("sendMessage", &json!({"msg": "3", "id": "3"})).expect("an answer");
    assert_eq!(answer["error"]["code"], "not_kept_yet");
    (program, talker, acked)
}

#[test]
fn messages_that_were_relayed_while_the_disk_was_full_are_kept_once_there_is_room() {
    for (call, kind) in
        [("write", "28"), ("write", "half"), ("fsync", "28"), ("fsync", "5"), ("truncate", "28")]
    {
        let disk = Disk::copy_of(&left_behind().0.data());
        let when = format!("every {call} fails with {kind}");
        if call == "truncate" {
            // Not needed to keep a message, so nothing is refused.
            let mut acked = left_behind().1.clone();
            let program = Program::spawn(disk.faulty(&disk.every(call, "echoroom.db-wal", kind)));
            disk.fall_ill();
            acked.extend(say_all(&mut Talker::login(program.address, "Ben"), ["1", "2", "3"]));
            drop(program);
            check_next(&disk, &acked, &when);
            continue;
        }
        let (program, mut talker, mut acked) = with_a_message_that_is_not_kept(&disk, call, kind);
        let answer = talker.ask("sendMessage", &json!({"msg": "no", "id": "no"})).expect("an answer");
        assert_eq!(answer["error"]["code"], "journal_unavailable", "{when}");
        let health = Client::get(program.address, "/health");
        assert!(health.contains("the journal is not available"), "{when}: {health}");
        disk.heal();
        acked.extend(say_all(&mut talker, ["3", "4"]));
        check(&talker.history(), &acked, &when);
        assert_eq!(acked.last().map(|(offset, _)| *offset), Some(7), "{when}: no offset is given out twice");
        drop(program);
        check_next(&disk, &acked, &when);
    }
}

#[test]
fn a_stop_that_loses_relayed_messages_says_how_many_and_has_an_exit_code_of_its_own() {
    // A full disk, and one that does not answer in time.
    for (call, kind) in [("write", "28"), ("fsync", "5")] {
        let disk = Disk::copy_of(&left_behind().0.data());
        let (mut program, talker, acked) = with_a_message_that_is_not_kept(&disk, call, kind);
        drop(talker);
        program.signal(Signal::TERM);
        assert_eq!(program.exit_code(), Some(EXIT_LOST), "{call}");
        let line = program.wait_for_log("1 messages that had been accepted");
        assert_eq!(program.log().last(), Some(&line), "the last line");
        check_next(&disk, &acked, call);
    }
}

#[test]
fn a_stop_that_does_not_wait_for_a_slow_disk_says_what_may_be_lost() {
    for is_impatient in [false, true] {
        let disk = Disk::copy_of(&left_behind().0.data());
        let program = disk.faulty(&disk.every("fsync", "echoroom.db-wal", "hang"));
        let mut program = Program::spawn(program);
        let mut talker = Talker::login(program.address, "Ben");
        let mut acked = left_behind().1.clone();
        acked.extend(say_all(&mut talker, ["1"]));
        disk.fall_ill();
        for text in ["2", "3"] {
            talker.send("sendMessage", &json!({"msg": text}));
        }
        // Heard by the room, and so by its sender.
        talker.hear("\"msg\":\"3\"");
        drop(talker);
        program.signal(Signal::TERM);
        if is_impatient {
            program.wait_for_log("SIGTERM");
            program.signal(Signal::TERM);
        }
        assert_eq!(program.exit_code(), Some(EXIT_LOST));
        let line = program.wait_for_log("2 messages that had been accepted");
        assert_eq!(program.log().last(), Some(&line), "the last line");
        check_next(&disk, &acked, "after a slow disk");
    }
}

#[test]
fn a_stop_with_a_journal_in_memory_is_in_order() {
    let mut program = Program::spawn(crate::program::command(&["--journal", "memory"]));
    say_all(&mut Talker::login(program.address, "Ben"), ["1", "2"]);
    program.signal(Signal::TERM);
    assert_eq!(program.exit_code(), Some(0), "{:#?}", program.log());
}
