//! Each run of a server is an epoch of its own, which the runs after it know.

use super::{folder, reopen, run};
use crate::journal::tests::open;

#[test]
fn each_run_is_an_epoch_and_clients_of_the_runs_before_are_known() {
    let folder = folder();
    let first = run(folder.path(), 3);
    assert_eq!(first.len(), 1);
    // A run without a message in the room has clients too.
    let silent = run(folder.path(), 0);
    let third = run(folder.path(), 2);
    assert_eq!(third.iter().map(|epoch| epoch.starts).collect::<Vec<_>>(), [1, 4, 4]);
    assert_eq!((third[0], third[1]), (first[0], silent[1]));
    let journal = reopen(folder.path());
    let fourth = open(&journal, "a").epochs;
    assert_eq!(&fourth[..3], &third[..]);
    assert_eq!(fourth[3].starts, 6);
    drop(journal);
    // A killed run has its epoch too.
    assert_eq!(open(&reopen(folder.path()), "a").epochs[..4], fourth[..]);
}

#[test]
fn an_epoch_before_the_first_that_a_room_remembers_is_not_known() {
    let folder = folder();
    let first = run(folder.path(), 3)[0];
    for _ in 0..30 {
        run(folder.path(), 1);
    }
    let epochs = open(&reopen(folder.path()), "a").epochs;
    assert!(epochs.len() <= 16 && !epochs.contains(&first), "{epochs:?}");
    assert!(epochs.is_sorted_by_key(|epoch| (epoch.id.number, epoch.starts)), "{epochs:?}");
}
