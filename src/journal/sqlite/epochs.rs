//! The tables of epochs: their random ids, and the epochs of each room.

use rusqlite::Connection;

use super::columns::int;
use crate::journal::{Epoch, EpochId};

/// Number of server runs whose clients can resume in a room.
const MAX_RUNS: i64 = 16;

/// Maximum number of epochs kept per room; a client of an older one gets the latest page.
const MAX_EPOCHS: usize = 16;

/// Creates the next epoch with a random id. Deletes the ids of epochs in which no room has messages, except
/// those of the last runs.
pub(super) fn begin(connection: &Connection, is_run: bool) -> rusqlite::Result<EpochId> {
    let epoch = connection
        .prepare_cached(
            "INSERT INTO epoch_names SELECT ifnull(max(number), 0) + 1, random(), ?1 FROM epoch_names
             RETURNING number, name",
        )?
        .query_row([is_run], id)?;
    connection
        .prepare_cached(
            "DELETE FROM epoch_names WHERE number < ?1 AND number NOT IN (SELECT number FROM epochs)
                AND number NOT IN (SELECT number FROM epoch_names WHERE is_run ORDER BY number DESC LIMIT ?2)",
        )?
        .execute((int(epoch.number), MAX_RUNS))?;
    Ok(epoch)
}

/// The epochs at the start of server runs, the oldest first.
pub(super) fn of_runs(connection: &Connection) -> rusqlite::Result<Vec<EpochId>> {
    let mut query = connection
        .prepare("SELECT number, name FROM epoch_names WHERE is_run ORDER BY number DESC LIMIT ?1")?;
    let mut runs = query.query_map([MAX_RUNS], id)?.collect::<rusqlite::Result<Vec<_>>>()?;
    runs.reverse();
    Ok(runs)
}

/// The epoch of new rooms.
pub(super) fn last(connection: &Connection) -> rusqlite::Result<EpochId> {
    connection.query_row("SELECT number, name FROM epoch_names ORDER BY number DESC LIMIT 1", [], id)
}

/// The epoch id of a row whose first columns are number and name.
fn id(row: &rusqlite::Row<'_>) -> rusqlite::Result<EpochId> {
    let (number, random): (i64, i64) = (row.get(0)?, row.get(1)?);
    Ok(EpochId { random: random.cast_unsigned(), number: number.unsigned_abs() })
}

/// The epochs of a room with this head, the oldest first; see [`with_silent_runs`].
pub(super) fn of_room(
    connection: &Connection,
    room: i64,
    runs: &[EpochId],
    head: u64,
) -> rusqlite::Result<Vec<Epoch>> {
    let with_messages = connection
        .prepare_cached(
            "SELECT number, ifnull(epochs.name, epoch_names.name), starts FROM epochs
             LEFT JOIN epoch_names USING (number)
             WHERE room = ?1 AND ifnull(epochs.name, epoch_names.name) IS NOT NULL ORDER BY number",
        )?
        .query_map([room], |row| Ok(Epoch { id: id(row)?, starts: row.get::<_, i64>(2)?.unsigned_abs() }))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(with_silent_runs(with_messages, runs, head))
}

/// A room's epochs, including server runs without a message in it: clients of those runs have seen the
/// earlier messages. Runs before the room's first kept epoch are left out, because their last offset is
/// unknown.
fn with_silent_runs(with_messages: Vec<Epoch>, runs: &[EpochId], head: u64) -> Vec<Epoch> {
    let oldest = with_messages.first().map_or(u64::MAX, |epoch| epoch.id.number);
    let is_silent = |run: &&EpochId| {
        run.number > oldest && with_messages.iter().all(|epoch| epoch.id.number != run.number)
    };
    let mut epochs: Vec<_> = runs
        .iter()
        .filter(is_silent)
        .map(|run| {
            let next = with_messages.iter().find(|epoch| epoch.id.number > run.number);
            Epoch { id: *run, starts: next.map_or(head + 1, |next| next.starts) }
        })
        .collect();
    epochs.extend(with_messages);
    if let (true, Some(run)) = (epochs.is_empty(), runs.last()) {
        epochs.push(Epoch { id: *run, starts: head + 1 });
    }
    epochs.sort_by_key(|epoch| epoch.id.number);
    epochs.drain(..epochs.len().saturating_sub(MAX_EPOCHS));
    epochs
}

/// Adds an epoch to a room, and deletes the room's oldest ones over [`MAX_EPOCHS`].
pub(super) fn add(connection: &Connection, room: i64, epoch: Epoch) -> rusqlite::Result<()> {
    // The id may have been deleted while no room had the epoch.
    connection
        .prepare_cached("INSERT OR IGNORE INTO epoch_names VALUES (?1, ?2, 0)")?
        .execute((int(epoch.id.number), epoch.id.random.cast_signed()))?;
    let insert = "INSERT OR IGNORE INTO epochs (room, number, starts) VALUES (?1, ?2, ?3)";
    connection.prepare_cached(insert)?.execute((room, int(epoch.id.number), int(epoch.starts)))?;
    connection
        .prepare_cached(
            "DELETE FROM epochs WHERE room = ?1 AND number <=
                (SELECT number FROM epochs WHERE room = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
        )?
        .execute((room, MAX_EPOCHS as i64))
        .map(|_| ())
}

/// Adds an epoch of a room that comes from several nodes, which have given it its random part for this room alone.
pub(super) fn add_foreign(connection: &Connection, room: i64, epoch: Epoch) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO epochs (room, number, starts, name) VALUES (?1, ?2, ?3, ?4)")?
        .execute((room, int(epoch.id.number), int(epoch.starts), epoch.id.random.cast_signed()))
        .map(|_| ())
}

/// Forgets the runs of the process that has written the rooms of several nodes, and keeps their numbers from being given
/// out again.
pub(super) fn end_foreign(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "DELETE FROM epoch_names WHERE is_run;
         INSERT OR IGNORE INTO epoch_names SELECT number, max(ifnull(name, 0)), 0 FROM epochs GROUP BY number;",
    )
}
