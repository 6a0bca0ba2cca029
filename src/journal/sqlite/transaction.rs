//! Write transactions, with `BEGIN` and `COMMIT` prepared once per connection.

use std::ops::Deref;

use rusqlite::Connection;

/// A write transaction. Dropping it before [`commit`](Self::commit) rolls it back.
#[derive(Debug)]
pub(super) struct Transaction<'a> {
    connection: &'a Connection,
}

impl<'a> Transaction<'a> {
    /// Begins a write transaction. It takes the write lock now, so it cannot fail on the lock later.
    ///
    /// # Errors
    /// Another connection holds the write lock, or the file cannot be read.
    pub(super) fn immediate(connection: &'a mut Connection) -> rusqlite::Result<Self> {
        execute(connection, "BEGIN IMMEDIATE")?;
        Ok(Self { connection })
    }

    /// Commits the changes. On an error they are rolled back.
    ///
    /// # Errors
    /// The log cannot be written or flushed.
    pub(super) fn commit(self) -> rusqlite::Result<()> {
        execute(self.connection, "COMMIT")
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // No transaction is open after a commit, or after a rollback by SQLite itself.
        if !self.connection.is_autocommit() {
            // An error here has no other remedy: the owner of the connection closes it.
            let _ = execute(self.connection, "ROLLBACK");
        }
    }
}

fn execute(connection: &Connection, statement: &'static str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(connection: &Connection) -> i64 {
        connection.query_row("SELECT count(*) FROM numbers", [], |row| row.get(0)).expect("a count")
    }

    #[test]
    fn what_is_not_committed_is_taken_back_and_the_next_transaction_goes_on() {
        let mut connection = Connection::open_in_memory().expect("memory");
        connection.execute("CREATE TABLE numbers (number INTEGER)", []).expect("a table");
        for committed in 0..3 {
            let dropped = Transaction::immediate(&mut connection).expect("its turn");
            dropped.execute("INSERT INTO numbers VALUES (1)", []).expect("a row");
            drop(dropped);
            assert_eq!(count(&connection), committed);
            let kept = Transaction::immediate(&mut connection).expect("its turn");
            kept.execute("INSERT INTO numbers VALUES (1)", []).expect("a row");
            kept.commit().expect("a commit");
            assert_eq!(count(&connection), committed + 1);
        }
    }
}
