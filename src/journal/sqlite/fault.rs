//! Faults of the database file, and the errors that they become.

use std::path::Path;

use rusqlite::ErrorCode;

use super::OpenError;
use crate::journal::JournalError;

/// Faults of the database file.
#[derive(Debug)]
pub(super) enum Fault {
    /// Unusable until the operator changes something.
    Fatal(OpenError),
    /// Unavailable for now, or damaged.
    Passing(JournalError),
    /// An error of SQLite.
    Sql(rusqlite::Error),
}

impl Fault {
    pub(super) fn passing(path: &Path, error: impl std::fmt::Display) -> Self {
        Self::Passing(JournalError::Unavailable(format!("{}: {error}", path.display())))
    }

    pub(super) fn damaged(path: &Path, what: impl std::fmt::Display) -> Self {
        Self::Passing(JournalError::Damaged(format!("{}: {what}", path.display())))
    }

    /// Converts a fault of this database at the start: `Err` if the server must not start.
    pub(super) fn at_start(self, database: &Path) -> Result<JournalError, OpenError> {
        match self {
            Self::Fatal(error) => Err(error),
            // The file of another program must not be changed.
            Self::Sql(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
                Err(OpenError::NoJournal { path: database.to_owned(), reason: error.to_string() })
            }
            fault => Ok(fault.into_error(database)),
        }
    }

    /// Converts a fault of this database in a running server.
    pub(super) fn into_error(self, database: &Path) -> JournalError {
        match self {
            Self::Fatal(error) => JournalError::Unavailable(error.to_string()),
            Self::Passing(error) => error,
            Self::Sql(error) => {
                let sentence = format!("{}: {error}", database.display());
                if is_damage(&error) {
                    JournalError::Damaged(sentence)
                } else {
                    JournalError::Unavailable(sentence)
                }
            }
        }
    }

    /// Whether it means that stored bytes are not what was written.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Self::Fatal(_) => false,
            Self::Passing(error) => matches!(error, JournalError::Damaged(_)),
            Self::Sql(error) => is_damage(error),
        }
    }

    /// Whether the connection may be used further. After a failed write or flush it may not: the kernel's
    /// cache may then differ from the disk.
    pub(super) fn spares_connection(&self) -> bool {
        match self {
            Self::Fatal(_) | Self::Passing(_) => true,
            Self::Sql(error) => {
                is_damage(error)
                    || !matches!(
                        error.sqlite_error_code(),
                        None | Some(
                            ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ApiMisuse
                        )
                    )
            }
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// Whether the error means that stored bytes are not what was written.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error;
    matches!(
        error,
        Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::InvalidColumnType(..)
    ) || matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}
