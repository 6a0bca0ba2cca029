//! The judge, tried on recordings made by hand.

use crate::{
    judge::{History, Verdict},
    recording::{Recording, Told},
};

fn texts(range: impl IntoIterator<Item = u64>) -> History {
    range.into_iter().map(|offset| (offset, format!("m{offset}"))).collect()
}

fn came_in(recovered: bool, missed: u64, head: u64) -> Told {
    Told::LoggedIn { knew: true, recovered, missed, head }
}

fn heard(range: impl IntoIterator<Item = u64>) -> Vec<Told> {
    texts(range).into_iter().map(|(offset, text)| Told::Heard(offset, text)).collect()
}

fn acked(offset: u64, text: &str) -> Told {
    Told::Acked(offset, text.to_owned())
}

fn chatter(told: impl IntoIterator<Item = Vec<Told>>) -> Recording {
    let first = Told::LoggedIn { knew: false, recovered: false, missed: 0, head: 0 };
    let told = [first].into_iter().chain(told.into_iter().flatten()).collect();
    Recording { name: "ann".to_owned(), told, said: 1, ..Recording::default() }
}

/// The verdict over these chatters, with two nodes that keep messages 1 to 9.
fn judge(chatters: &[Recording]) -> Verdict {
    let history = texts(1..=9);
    Verdict::of(chatters, &[history.clone(), history])
}

/// The counts of a verdict that are not 0.
fn faults(verdict: &Verdict) -> Vec<(&'static str, u64)> {
    let Verdict { lost, declared, forgotten, doubled, gaps, disordered, unacked, early, resets, .. } =
        *verdict;
    let counts = [
        ("lost", lost),
        ("declared", declared),
        ("forgotten", forgotten),
        ("doubled", doubled),
        ("gaps", gaps),
        ("disordered", disordered),
        ("unacked", unacked),
        ("early", early),
        ("resets", resets),
    ];
    counts.into_iter().filter(|(_, count)| *count > 0).collect()
}

#[test]
fn a_run_without_a_fault_is_whole() {
    let ann = chatter([heard(1..=5), vec![acked(4, "m4"), acked(5, "m5")], heard(6..=9)]);
    let late = chatter([heard(4..=7), vec![came_in(true, 0, 9)], heard(8..=9), vec![acked(8, "m8")]]);
    let verdict = judge(&[ann, late]);
    verdict.assert_whole();
    assert_eq!((verdict.acked, faults(&verdict)), (3, vec![]));
}

#[test]
fn a_message_that_was_acked_and_is_not_there_is_lost() {
    let ann = chatter([heard(1..=9), vec![acked(7, "gone")]]);
    assert_eq!(faults(&judge(&[ann])), [("lost", 1)]);
    // Also if it is there at another offset than its ack says.
    let ann = chatter([heard(1..=9), vec![acked(7, "m8")]]);
    assert_eq!(faults(&judge(&[ann])), [("lost", 1)]);
    let ann = chatter([heard(1..=9), vec![acked(10, "m10")]]);
    assert_eq!(faults(&judge(&[ann])), [("lost", 1), ("early", 1)]);
}

#[test]
fn a_message_that_is_heard_twice_or_kept_twice_is_doubled() {
    let ann = chatter([heard(1..=5), heard(5..=9)]);
    assert_eq!(faults(&judge(&[ann])), [("doubled", 1)]);
    let mut history = texts(1..=9);
    history.push((10, "m3".to_owned()));
    let ann = chatter([heard(1..=9), vec![Told::Heard(10, "m3".to_owned())]]);
    assert_eq!(faults(&Verdict::of(&[ann], &[history])), [("doubled", 1)]);
}

#[test]
fn messages_that_two_heard_in_two_orders_are_disordered() {
    let swapped = vec![Told::Heard(4, "m5".to_owned()), Told::Heard(5, "m4".to_owned())];
    let ann = chatter([heard(1..=3), swapped, heard(6..=9)]);
    assert_eq!(faults(&judge(&[ann, chatter([heard(1..=9)])])), [("disordered", 2)]);
    // Messages that no node has any more are compared among those who heard them.
    let ann = chatter([vec![Told::Heard(1, "other".to_owned())], heard(2..=9)]);
    let verdict = Verdict::of(&[chatter([heard(1..=9)]), ann], &[texts(3..=9)]);
    assert_eq!(faults(&verdict), [("forgotten", 2), ("disordered", 1)]);
}

#[test]
fn nodes_that_keep_different_things_are_disordered_or_have_a_gap() {
    let mut other = texts(1..=9);
    other[4].1 = "other".to_owned();
    let ann = [chatter([heard(1..=9)])];
    assert_eq!(faults(&Verdict::of(&ann, &[texts(1..=9), other])), [("disordered", 1)]);
    let with_hole = texts((1..=9).filter(|offset| *offset != 5));
    assert_eq!(faults(&Verdict::of(&ann, &[texts(1..=9), with_hole])), [("gaps", 1)]);
    assert_eq!(faults(&Verdict::of(&ann, &[texts(1..=9), texts(1..=8)])), [("gaps", 1)]);
}

#[test]
fn a_message_that_one_does_not_hear_is_a_gap() {
    for told in [
        vec![heard(1..=4), heard(6..=9)],
        vec![heard(1..=4), vec![came_in(true, 0, 9)], heard(6..=9)],
        vec![heard(1..=8)],
        vec![heard(1..=9), heard(10..=10)],
        vec![],
    ] {
        assert_eq!(faults(&judge(&[chatter(told.clone())])), [("gaps", 1)], "{told:?}");
    }
}

#[test]
fn what_a_client_was_told_is_missing_is_declared() {
    let other =
        |range: std::ops::RangeInclusive<u64>| range.map(|offset| Told::Heard(offset, "void".to_owned()));
    // Heard up to 6, of which 5 and 6 are void; then from 8 on, told that 3 are missing behind 4.
    let told = |missed| {
        let void = other(5..=6).chain([acked(6, "void")]).collect();
        chatter([heard(1..=4), void, vec![came_in(false, missed, 9)], heard(8..=9)])
    };
    let verdict = judge(&[told(3)]);
    verdict.assert_sound();
    assert_eq!(faults(&verdict), [("declared", 1), ("resets", 1)]);
    assert_eq!(verdict.missed, 3);
    // Told of fewer, it would hold what is void for true.
    assert_eq!(faults(&judge(&[told(1)])), [("lost", 1), ("disordered", 2), ("resets", 1)]);
    // What it has not heard and is not told of is a gap.
    let ann = chatter([heard(1..=4), vec![came_in(false, 1, 9)], heard(8..=9)]);
    assert_eq!(faults(&judge(&[ann])), [("gaps", 1), ("resets", 1)]);
    // Nothing follows: the count is of what is before the end.
    let ann = chatter([heard(1..=4), other(5..=6).collect(), vec![came_in(false, 5, 9)]]);
    assert_eq!(faults(&judge(&[ann])), [("resets", 1)]);
}

#[test]
fn a_message_that_is_never_acked_and_one_that_is_acked_too_early_are_faults() {
    let mut ann = chatter([heard(1..=4), vec![acked(5, "m5")], heard(5..=9)]);
    ann.unacked.push("m77".to_owned());
    assert_eq!(faults(&judge(&[ann])), [("unacked", 1), ("early", 1)]);
}
