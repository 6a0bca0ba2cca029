//! Transactions that write. SQLite reads the text of their first and last statement once for a connection.

use std::ops::Deref;

use rusqlite::Connection;

/// Changes that are made together or not at all. Dropped before [`commit`](Self::commit), it takes them back.
#[derive(Debug)]
pub(super) struct Transaction<'a> {
    connection: &'a Connection,
}

impl<'a> Transaction<'a> {
    /// The next transaction that writes. It waits for its turn at its beginning, and not in its middle.
    ///
    /// # Errors
    /// Another connection keeps the turn, or the file cannot be read.
    pub fn immediate(connection: &'a mut Connection) -> rusqlite::Result<Self> {
        execute(connection, "BEGIN IMMEDIATE")?;
        Ok(Self { connection })
    }

    /// Makes the changes. If it cannot, they are taken back.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn commit(self) -> rusqlite::Result<()> {
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
        // A transaction is over that was committed, or that SQLite has taken back itself.
        if !self.connection.is_autocommit() {
            // There is no other way to end it: a connection whose transaction cannot be taken back is closed by its owner.
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
