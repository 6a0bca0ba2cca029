//! Calls of the server are answered, also over panics.

use super::*;

#[test]
fn the_journal_is_closed_though_the_chat_panics_over_that() {
    let mut stage = Stage::new();
    stage.user(1, "ann");
    stage.run_journal();
    stage.panic(Lost::of(&Input::Call(CallId(1), Call::Close)));
    let is_name = |job: &Job| matches!(job, Job::Reserve(_, names) if names.len() == 1);
    assert!(stage.jobs.iter().any(is_name), "the name is kept");
    assert!(stage.jobs.iter().any(|job| matches!(job, Job::Close)));
    stage.run_journal();
    assert_eq!(stage.answered, [(CallId(1), Ok(true))]);
}

#[test]
fn a_call_to_close_is_answered_though_the_chat_panics_over_the_answer_of_the_journal() {
    let mut stage = Stage::new();
    stage.feed(Input::Call(CallId(1), Call::Close));
    stage.run_journal_until(|job| matches!(job, Job::Close));
    assert_eq!(stage.answered, []);
    stage.jobs.remove(0);
    stage.panic(Lost::of(&Input::Done(Done::Closed(Ok(())))));
    assert_eq!(stage.answered, [(CallId(1), Ok(true))]);
}

#[test]
fn a_room_that_cannot_be_forgotten_clears_no_fault_of_the_journal() {
    let mut stage = Stage::new();
    let ann = stage.user(1, "ann");
    let fault = || JournalError::Unavailable("the disk is full".to_owned());
    stage.post(ann, 2, "one");
    stage.feed(Input::TurnEnded);
    stage.feed(Input::Done(Done::Appended(Err(fault()))));
    assert_eq!(stage.shard.fault(), Some(&fault()));
    stage.jobs.clear();
    let other = RoomName::parse("b").expect("a legal name");
    stage.feed(Input::Done(Done::Rooms(Ok(vec![(other.clone(), 1)]))));
    stage.feed(Input::Done(Done::Checked(Err(fault()))));
    stage.jobs.clear();
    stage.feed(Input::Call(CallId(1), Call::Forget(other.clone())));
    assert!(matches!(stage.jobs[..], [Job::Forget(..)]), "nothing is on its way there");
    stage.jobs.clear();
    stage.feed(Input::Done(Done::Forgot(other, Some(CallId(1)), Err(fault()))));
    assert_eq!(stage.answered, [(CallId(1), Err(fault()))]);
    assert!(stage.jobs.is_empty(), "the journal is tried again in its time");
    assert_eq!(stage.shard.fault(), Some(&fault()));
}

#[test]
fn a_room_without_a_message_is_not_forgotten() {
    let mut stage = Stage::new();
    stage.user(1, "ann");
    stage.feed(Input::Call(CallId(1), Call::Forget(RoomName::parse("a").expect("a legal name"))));
    assert_eq!(stage.answered, [(CallId(1), Ok(false))]);
    assert!(stage.jobs.is_empty());
}

#[test]
fn a_room_is_forgotten_once_what_was_said_before_is_durable_though_the_chat_panics_over_that() {
    let mut stage = Stage::new();
    let ann = stage.user(1, "ann");
    stage.post(ann, 2, "said before");
    let call = (CallId(1), Call::Forget(RoomName::parse("a").expect("a legal name")));
    stage.feed(Input::Call(call.0, call.1.clone()));
    stage.panic(Lost::of(&Input::Call(call.0, call.1)));
    let is_forget = |job: &Job| matches!(job, Job::Forget(..));
    assert!(stage.jobs.iter().any(|job| matches!(job, Job::Append(_))));
    assert!(!stage.jobs.iter().any(is_forget), "it is not durable");
    stage.run_journal_until(is_forget);
    let done = Done::Forgot(RoomName::parse("a").expect("a legal name"), Some(call.0), Ok(()));
    stage.jobs.remove(0);
    stage.panic(Lost::of(&Input::Done(done)));
    assert_eq!(stage.answered, [(call.0, Ok(true))]);
}
