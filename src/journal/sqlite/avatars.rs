//! The table of avatar pictures.

use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _};

use super::{columns::int, fault::Fault, transaction::Transaction};
use crate::{
    domain::{Picture, PictureId},
    journal::JournalError,
};

/// Maximum number of pictures selected in one trim step.
const TRIM_STEP: i64 = 64;

/// Estimated bytes of a row beside the picture's own bytes.
const ROW_BYTES: u64 = 128;

/// The size of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct AvatarTable {
    bytes: u64,
}

impl AvatarTable {
    /// Sums up the sizes of the stored pictures.
    pub(super) fn measure(connection: &Connection) -> rusqlite::Result<Self> {
        let bytes: i64 = connection.query_row(
            "SELECT ifnull(sum(length(bytes) + ?1), 0) FROM avatars",
            [int(ROW_BYTES)],
            |row| row.get(0),
        )?;
        Ok(Self { bytes: bytes.unsigned_abs() })
    }

    /// Stores pictures that were just used, and deletes the least recently used ones until at most
    /// `max_bytes` remain. The returned size is valid once the transaction is committed.
    pub(super) fn keep(
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
        // Trim a sixteenth more, so that not every new picture has to replace another one.
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

/// The ids of all pictures with the times at which they were last used, in milliseconds since 1970, those first that were
/// used longest ago.
pub(super) fn all(connection: &Connection) -> Result<Vec<(PictureId, u64)>, Fault> {
    let mut query = connection.prepare("SELECT id, used FROM avatars ORDER BY used")?;
    let rows = query.query_map([], |row| Ok((row.get::<_, [u8; 16]>(0)?, row.get::<_, i64>(1)?)))?;
    let picture = |row: rusqlite::Result<([u8; 16], i64)>| {
        let (id, used) = row?;
        Ok((PictureId::from_bytes(id), used.unsigned_abs()))
    };
    rows.map(picture).collect()
}

/// Stores a picture that was last used at this time, unless it is there.
pub(super) fn add(transaction: &Transaction<'_>, picture: &Picture, used: u64) -> rusqlite::Result<()> {
    let id = picture.id();
    transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO avatars (id, media_type, bytes, used) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute((&id.as_bytes()[..], picture.media_type(), &picture.bytes()[..], int(used)))
        .map(|_| ())
}

/// Reads the picture with this id.
pub(super) fn read(connection: &Connection, id: PictureId) -> Result<Option<Picture>, Fault> {
    let row: Option<(String, Vec<u8>)> = connection
        .prepare_cached("SELECT media_type, bytes FROM avatars WHERE id = ?1")?
        .query_row([&id.as_bytes()[..]], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((media_type, bytes)) = row else {
        return Ok(None);
    };
    // The id is a hash of type and bytes, so a mismatch means damage.
    match Picture::stored(&media_type, Bytes::from(bytes)).filter(|picture| picture.id() == id) {
        Some(picture) => Ok(Some(picture)),
        None => Err(Fault::Passing(JournalError::Damaged(format!("the avatar {id} has been changed")))),
    }
}
