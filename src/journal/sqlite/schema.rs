//! The tables and their migrations.

use std::path::Path;

use rusqlite::Connection;

use super::{OpenError, fault::Fault, transaction::Transaction};

/// The migrations of the file. `user_version` is the number of migrations applied. A released migration never
/// changes; a new one is appended.
pub(super) const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE rooms (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        head INTEGER NOT NULL,      -- offset of the last message
        messages INTEGER NOT NULL,  -- how many are kept
        bytes INTEGER NOT NULL      -- of the rounds that are kept
    );
    CREATE TABLE epochs (
        room INTEGER NOT NULL,
        number INTEGER NOT NULL,
        starts INTEGER NOT NULL,    -- first offset given out in it
        PRIMARY KEY (room, number)
    ) WITHOUT ROWID;
    -- In the order of rooms and offsets without an index: id = room << 40 | first offset.
    CREATE TABLE rounds (
        id INTEGER PRIMARY KEY,
        count INTEGER NOT NULL,     -- messages
        at INTEGER NOT NULL,        -- when the last was said, ms since 1970
        keys BLOB,                  -- of messages with an id: key, offset, time; before entries, to be read without
        entries BLOB NOT NULL
    );
    ",
    "
    -- Numbers alone are given out again when a copy of the file goes on by itself.
    CREATE TABLE epoch_names (
        number INTEGER PRIMARY KEY,
        name INTEGER NOT NULL,      -- random
        is_run INTEGER NOT NULL     -- whether a run of a server began with it
    );
    INSERT INTO epoch_names
        SELECT number, journal.value, number IS (SELECT value FROM meta WHERE key = 'crashed')
        FROM (SELECT number FROM epochs UNION SELECT value FROM meta WHERE key IN ('epoch', 'crashed') AND value > 0),
            meta AS journal
        WHERE journal.key = 'journal';
    DELETE FROM meta WHERE key IN ('journal', 'epoch', 'crashed');
    ALTER TABLE rounds ADD COLUMN sum INTEGER;  -- CRC-32 of the other columns; none of rounds of version 1
    ",
    "
    -- Nicknames that are kept for their users.
    CREATE TABLE names (
        room TEXT NOT NULL,
        key TEXT NOT NULL,          -- what all spellings have in common
        name TEXT NOT NULL,
        owner BLOB NOT NULL,        -- hash of the user's token
        until INTEGER NOT NULL,     -- ms since 1970
        PRIMARY KEY (room, key)
    ) WITHOUT ROWID;
    ",
    "
    -- Pictures that users have spoken under.
    CREATE TABLE avatars (
        id BLOB PRIMARY KEY,        -- a hash of type and bytes
        media_type TEXT NOT NULL,
        bytes BLOB NOT NULL,
        used INTEGER NOT NULL       -- when a user last spoke under it, ms since 1970, to about a day
    );
    CREATE INDEX avatars_by_use ON avatars (used);
    ",
    "
    -- From here on a row of `rooms` may be some records behind: those after `head` are not counted in it. A version
    -- that does not know this must not open the file.
    ",
    "
    -- Batches of many rooms, until their records are moved to `rounds`.
    CREATE TABLE staged (
        id INTEGER PRIMARY KEY,
        records BLOB NOT NULL,      -- each with its room, see staging.rs
        sum INTEGER NOT NULL        -- CRC-32 of records
    );
    ",
    "
    -- Several nodes give epochs of two rooms the same number, with different random parts.
    ALTER TABLE epochs ADD COLUMN name INTEGER;  -- random; none if it is that of the number in epoch_names
    ",
];

/// Applies the migrations that the database has not had yet.
pub(super) fn migrate(connection: &mut Connection, database: &Path) -> Result<(), Fault> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = MIGRATIONS.len() as i64;
    let steps = usize::try_from(found)
        .ok()
        .and_then(|applied| MIGRATIONS.get(applied..))
        .ok_or_else(|| Fault::Fatal(OpenError::Newer { path: database.to_owned(), found, known }))?;
    if steps.is_empty() {
        return Ok(());
    }
    let transaction = Transaction::immediate(connection)?;
    for step in steps {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    Ok(transaction.commit()?)
}
