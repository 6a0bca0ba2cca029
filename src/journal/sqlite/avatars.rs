//! The table of pictures that users have spoken under.

use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _};

use super::{
    schema::{Fault, int},
    transaction::Transaction,
};
use crate::{
    domain::{Picture, PictureId},
    journal::JournalError,
};

/// Pictures that are let go in one step.
const TRIM_STEP: i64 = 64;

/// Bytes that a picture takes beside its own.
const ROW_BYTES: u64 = 128;

/// How much the table has.
#[derive(Clone, Copy, Debug)]
pub(super) struct AvatarTable {
    bytes: u64,
}

impl AvatarTable {
    /// Looks at the table.
    pub fn measure(connection: &Connection) -> rusqlite::Result<Self> {
        let bytes: i64 = connection.query_row(
            "SELECT ifnull(sum(length(bytes) + ?1), 0) FROM avatars",
            [int(ROW_BYTES)],
            |row| row.get(0),
        )?;
        Ok(Self { bytes: bytes.unsigned_abs() })
    }

    /// Writes pictures that were just spoken under, and lets those go that were spoken under longest ago, until the
    /// rest has at most `max_bytes`. What the table has then counts once the transaction is committed.
    pub fn keep(
        mut self,
        transaction: &Transaction<'_>,
        pictures: &[Arc<Picture>],
        now: u64,
        max_bytes: u64,
    ) -> rusqlite::Result<Self> {
        for picture in pictures {
            let id = picture.id();
            let id = &id.as_bytes()[..];
            let known = transaction
                .prepare_cached("UPDATE avatars SET used = ?2 WHERE id = ?1")?
                .execute((id, int(now)))?;
            if known == 0 {
                transaction
                    .prepare_cached(
                        "INSERT INTO avatars (id, media_type, bytes, used) VALUES (?1, ?2, ?3, ?4)",
                    )?
                    .execute((id, picture.media_type(), &picture.bytes()[..], int(now)))?;
                self.bytes += picture.bytes().len() as u64 + ROW_BYTES;
            }
        }
        // A little more goes, so that not every picture has another one to replace.
        if self.bytes > max_bytes {
            self.trim(transaction, max_bytes - max_bytes / 16)?;
        }
        Ok(self)
    }

    fn trim(&mut self, transaction: &Transaction<'_>, max_bytes: u64) -> rusqlite::Result<()> {
        let mut oldest =
            transaction.prepare_cached("SELECT rowid, length(bytes) FROM avatars ORDER BY used LIMIT ?1")?;
        let mut delete = transaction.prepare_cached("DELETE FROM avatars WHERE rowid = ?1")?;
        while self.bytes > max_bytes {
            let rows = oldest
                .query_map([TRIM_STEP], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?
                .collect::<rusqlite::Result<Vec<(i64, u64)>>>()?;
            if rows.is_empty() {
                break;
            }
            for (row, len) in rows {
                if self.bytes <= max_bytes {
                    break;
                }
                delete.execute([row])?;
                self.bytes = self.bytes.saturating_sub(len + ROW_BYTES);
            }
        }
        Ok(())
    }
}

/// The picture of that name.
pub(super) fn read(connection: &Connection, id: PictureId) -> Result<Option<Picture>, Fault> {
    let row: Option<(String, Vec<u8>)> = connection
        .prepare_cached("SELECT media_type, bytes FROM avatars WHERE id = ?1")?
        .query_row([&id.as_bytes()[..]], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((media_type, bytes)) = row else {
        return Ok(None);
    };
    // Its name is a hash of what it is.
    match Picture::stored(&media_type, Bytes::from(bytes)).filter(|picture| picture.id() == id) {
        Some(picture) => Ok(Some(picture)),
        None => Err(Fault::Passing(JournalError::Damaged(format!("the avatar {id} has been changed")))),
    }
}
