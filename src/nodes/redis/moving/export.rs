//! Writes the rooms of a Redis to a new journal.

use std::path::Path;

use super::{super::connecting::Options, MovingError, Tally, session::Session};
use crate::{
    domain::RoomName,
    journal::{Epoch, Record, sqlite::offline::NewJournal},
    nodes::commands::Stored,
};

/// Writes all rooms of a Redis to a new journal in `folder`. `progress` is told after each room.
///
/// # Errors
/// The folder has a journal; a server or a node is in use; or one of both sides fails. Then the folder has no journal.
pub async fn export(
    options: &Options,
    folder: &Path,
    progress: &mut dyn FnMut(&Tally),
) -> Result<Tally, MovingError> {
    let mut journal = NewJournal::create(folder)?;
    match write(options, &mut journal, progress).await {
        Ok(tally) => {
            journal.finish()?;
            Ok(tally)
        }
        Err(error) => {
            journal.discard();
            Err(error)
        }
    }
}

async fn write(
    options: &Options,
    journal: &mut NewJournal,
    progress: &mut dyn FnMut(&Tally),
) -> Result<Tally, MovingError> {
    let mut redis = Session::open(options).await?;
    redis.check_no_node_is_alive().await?;
    let mut tally = Tally::default();
    for room in redis.rooms().await? {
        write_room(&mut redis, journal, &room, &mut tally).await?;
        progress(&tally);
    }
    write_pictures(&mut redis, journal, &mut tally).await?;
    // A node that was started meanwhile may have changed rooms that were written.
    redis.check_no_node_is_alive().await?;
    Ok(tally)
}

async fn write_pictures(
    redis: &mut Session,
    journal: &mut NewJournal,
    tally: &mut Tally,
) -> Result<(), MovingError> {
    for (id, used) in redis.pictures().await? {
        match redis.picture(&id).await? {
            Ok(Some(picture)) => {
                journal.add_picture(&picture, used)?;
                tally.pictures += 1;
            }
            // Its time is over.
            Ok(None) => {}
            Err(_) => tally.damaged += 1,
        }
    }
    Ok(())
}

async fn write_room(
    redis: &mut Session,
    journal: &mut NewJournal,
    room: &RoomName,
    tally: &mut Tally,
) -> Result<(), MovingError> {
    let standing = redis.look(room).await?;
    let epochs = counting_up(standing.epochs);
    if epochs.is_empty() && standing.names.is_empty() {
        return Ok(());
    }
    tally.rooms += 1;
    tally.names += standing.names.len() as u64;
    journal.reserve(room, &standing.names)?;
    let Some(newest) = epochs.last().copied() else { return Ok(()) };
    let mut after = 0;
    let mut records = redis.records(room, after).await?;
    let before = records.first().map_or(standing.head, |record| record.first - 1);
    journal.add_room(room, before, &epochs)?;
    while let Some(last) = records.last().map(Stored::last) {
        after = last;
        let records_read: Vec<_> = records.into_iter().map(record).collect();
        tally.messages += records_read.iter().map(|record| u64::from(record.count)).sum::<u64>();
        tally.bytes += records_read.iter().map(|record| record.entries.len() as u64).sum::<u64>();
        journal.append(room, newest, records_read)?;
        records = redis.records(room, after).await?;
    }
    Ok(())
}

/// The newest epochs whose numbers count up, by which a journal tells them apart.
fn counting_up(mut epochs: Vec<Epoch>) -> Vec<Epoch> {
    let numbers = |pair: &[Epoch]| pair[0].id.number >= pair[1].id.number;
    let from = epochs.windows(2).rposition(numbers).map_or(0, |place| place + 1);
    epochs.drain(..from);
    epochs
}

fn record(stored: Stored) -> Record {
    let keys = stored.keyed().collect();
    let Stored { first, count, at, entries, .. } = stored;
    Record { first, count, at, keys, entries: entries.unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::EpochId;

    #[test]
    fn epochs_whose_numbers_do_not_count_up_are_left_out_up_to_the_last_such_one() {
        let epochs = |numbers: &[u64]| -> Vec<_> {
            let epoch = |&number| Epoch { id: EpochId { random: 7, number }, starts: 1 };
            numbers.iter().map(epoch).collect()
        };
        for (all, kept) in [
            (&[][..], &[][..]),
            (&[1, 2, 5], &[1, 2, 5]),
            (&[5, 1, 2], &[1, 2]),
            (&[1, 1, 2], &[1, 2]),
            (&[3, 2, 1], &[1]),
        ] {
            assert_eq!(counting_up(epochs(all)), epochs(kept), "{all:?}");
        }
    }
}
