//! The writer thread.

use std::{collections::HashMap, sync::Arc, time::Instant};

use log::{error, info};
use rusqlite::{Connection, OptionalExtension as _};
use tokio::sync::mpsc;

use super::{
    CHECKER, OpenError, Place, Write,
    avatars::AvatarTable,
    checker,
    condition::Condition,
    forgetting::Forgetting,
    place::Gone,
    retention::trim,
    rows::{
        INSERT_ROUND, KEY_LEN, RoomRow, add_epoch, find_or_make, insert, room_by_name, save, unpack_key,
        with_silent_runs,
    },
    schema::{self, Fault, Run, check_owner, epoch_id, offset_of, round_id},
    stamp::{Evidence, Stamp},
    transaction::Transaction,
};
use crate::{
    domain::RoomName,
    journal::{Append, Epoch, EpochId, JournalError, Retention, RoomState, now_millis},
    parts::Parts,
};

/// Runs write jobs until the journal is dropped.
#[derive(Debug)]
pub(super) struct Writer {
    /// Declared before `place`, which must be dropped after the connection.
    open: Option<Open>,
    place: Arc<Place>,
    retention: Retention,
    condition: Arc<Condition>,
    /// The state of the folder before this server, until it has been judged.
    evidence: Option<Evidence>,
    has_looked_around: bool,
    /// This run of the server, once begun; a reopened connection continues it.
    run: Option<Run>,
    /// Whether the stamp file is still to be written.
    is_stamp_due: bool,
    /// Whether the content of a removed log has been saved.
    is_log_saved: bool,
    /// Whether the last attempt failed, so that a change is logged once.
    is_failing: bool,
}

/// The file while it is open.
#[derive(Debug)]
pub(super) struct Open {
    pub connection: Connection,
    pub place: Arc<Place>,
    pub condition: Arc<Condition>,
    run: Run,
    /// Epochs at the start of server runs, the oldest first and this run's last.
    runs: Vec<EpochId>,
    /// The epoch of new rooms.
    pub epoch: EpochId,
    /// Cached rows of the rooms written to so far.
    pub rooms: HashMap<RoomName, RoomRow>,
    /// Bytes written since the size of the file was last checked.
    unmeasured: u64,
    /// The size of the avatar table, once measured.
    avatars: Option<AvatarTable>,
    /// Whether a sweep by age has been made.
    pub has_swept: bool,
    /// Whether the current doubt about the clock has been logged.
    pub has_doubted: bool,
}

impl Writer {
    pub(super) fn new(place: Arc<Place>, retention: Retention, condition: Arc<Condition>) -> Self {
        Self {
            open: None,
            place,
            retention,
            condition,
            evidence: None,
            has_looked_around: false,
            run: None,
            is_stamp_due: false,
            is_log_saved: false,
            is_failing: false,
        }
    }

    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Write>, parts: &Arc<Parts>) {
        let mut is_looked_through = self.look_through(parts);
        let mut forgetting = Forgetting::default();
        while let Some(job) = self.next(&mut jobs, &mut forgetting) {
            is_looked_through = is_looked_through || self.look_through(parts);
            parts.panic_if_poisoned(super::WRITER);
            // A caller may have dropped its future, which is not an error.
            match job {
                Write::Check(answer) => drop(answer.send(self.look())),
                Write::Rooms(answer) => drop(answer.send(self.attempt(|open, _| open.rooms()))),
                Write::Open(room, answer) => drop(answer.send(self.attempt(|open, _| open.position(&room)))),
                Write::Append(batch, answer) => {
                    drop(answer.send(self.attempt(|open, retention| open.append(&batch, retention))));
                }
                Write::Sweep(answer) => drop(answer.send(self.attempt(Open::sweep))),
                Write::Forget(room, answer) => forgetting.add(room, answer),
                Write::Reserve(room, names, answer) => {
                    drop(answer.send(self.attempt(|open, retention| open.reserve(&room, &names, retention))));
                }
                Write::Close(answer) => {
                    self.condition.close();
                    drop(answer.send(self.attempt(|open, _| open.close())));
                }
            }
        }
    }

    /// The next job. Forgets collected rooms first if the job needs it, or if no job is waiting.
    fn next(&mut self, jobs: &mut mpsc::Receiver<Write>, forgetting: &mut Forgetting) -> Option<Write> {
        let waiting = jobs.try_recv().ok();
        if waiting.as_ref().is_none_or(|job| forgetting.come_before(job)) {
            let rooms = forgetting.rooms();
            if !rooms.is_empty() {
                forgetting.answer(&self.attempt(|open, _| open.forget(&rooms)));
            }
        }
        waiting.or_else(|| jobs.blocking_recv())
    }

    /// Opens the file for the first time; logs if it is not available now.
    ///
    /// # Errors
    /// The journal needs a change by the operator.
    pub(super) fn start(&mut self) -> Result<(), OpenError> {
        match self.connect() {
            Ok(_) => info!("the journal is {}", self.place.file.display()),
            Err(fault) => {
                let error = fault.at_start(&self.place)?;
                self.note(&error);
                error!("messages are refused until that has changed");
            }
        }
        Ok(())
    }

    /// Opens the file if it is not open.
    fn connect(&mut self) -> Result<&mut Open, Fault> {
        if self.open.is_none() {
            self.place.lock()?;
            if !self.has_looked_around {
                self.evidence = Some(self.look_around()?);
                self.has_looked_around = true;
            }
            let (connection, run) = schema::open_to_write(&self.place, self.run, &mut self.evidence)?;
            if self.run.replace(run).is_none() {
                self.is_stamp_due = true;
            }
            let runs = schema::runs(&connection)?;
            let epoch = schema::last_epoch(&connection)?;
            self.open = Some(Open {
                connection,
                place: Arc::clone(&self.place),
                run,
                runs,
                epoch,
                condition: Arc::clone(&self.condition),
                rooms: HashMap::new(),
                unmeasured: 0,
                avatars: None,
                has_swept: false,
                has_doubted: false,
            });
        }
        if std::mem::take(&mut self.is_stamp_due)
            && let Some(run) = self.run
            && let Err(error) = (Stamp { run: run.number, is_closed: false }).write(&self.place.stamp)
        {
            // Without a stamp, the next start only detects less.
            error!("{}: {error}", self.place.stamp.display());
            self.is_stamp_due = true;
        }
        self.open.as_mut().ok_or_else(|| Fault::passing(&self.place.file, "it is not open"))
    }

    /// Starts the thread that checks the whole file, once a run has begun; returns whether it has.
    fn look_through(&self, parts: &Arc<Parts>) -> bool {
        if self.run.is_none() {
            return false;
        }
        let (place, condition) = (Arc::clone(&self.place), Arc::clone(&self.condition));
        if let Err(error) = parts.spawn(CHECKER, move || checker::run(&place, &condition)) {
            error!("the journal is not looked through for damage: {error}");
        }
        true
    }

    /// Opens the file to delete all messages of one room, and closes it.
    pub(super) fn forget_alone(mut self, room: &RoomName) -> Result<(), String> {
        let place = Arc::clone(&self.place);
        let sentence = |fault: Fault| fault.later(&place).to_string();
        let open = self.connect().map_err(sentence)?;
        if open.room(room).map_err(sentence)?.is_none() {
            return Err(format!("there is no room {:?} in {}", room.as_str(), place.file.display()));
        }
        open.forget(std::slice::from_ref(room)).and_then(|()| open.close()).map_err(sentence)
    }

    /// The state of the folder before this server changes it.
    fn look_around(&self) -> Result<Evidence, Fault> {
        let fault = |error| Fault::passing(&self.place.folder, error);
        Ok(Evidence {
            stamp: Stamp::read(&self.place.stamp).map_err(fault)?,
            database: self.place.find_database().map_err(fault)?,
            wal: self.place.find_wal().map_err(fault)?,
        })
    }

    /// Runs a job on the file, and logs a change between available and failing.
    fn attempt<T>(
        &mut self,
        job: impl FnOnce(&mut Open, Retention) -> Result<T, Fault>,
    ) -> Result<T, JournalError> {
        let outcome = self.try_once(job);
        match &outcome {
            Ok(_) if std::mem::take(&mut self.is_failing) => info!("the journal is available again"),
            Ok(_) => {}
            Err(error) => self.note(error),
        }
        outcome
    }

    /// Checks the file without a write; success does not end a failure to write.
    fn look(&mut self) -> Result<(), JournalError> {
        let found = self.place.check_lengths();
        let outcome = self.save_log_if_gone(found).and_then(|()| self.try_once(|open, _| open.check_owner()));
        if let Err(error) = &outcome {
            self.note(error);
        }
        outcome
    }

    fn note(&mut self, error: &JournalError) {
        match error {
            JournalError::Damaged(what) => self.condition.damaged(what),
            JournalError::Unavailable(_) if std::mem::replace(&mut self.is_failing, true) => {}
            JournalError::Unavailable(_) => error!("{error}"),
        }
    }

    fn try_once<T>(
        &mut self,
        job: impl FnOnce(&mut Open, Retention) -> Result<T, Fault>,
    ) -> Result<T, JournalError> {
        let retention = self.retention;
        let before = self.place.check_before_writing(Instant::now());
        self.save_log_if_gone(before)?;
        let outcome = self.connect().and_then(|open| job(open, retention));
        let after = self.place.check_what_was_written();
        match outcome {
            Ok(done) => self.save_log_if_gone(after).map(|()| done),
            Err(fault) => {
                if !fault.spares_connection() {
                    self.open = None;
                }
                Err(fault.later(&self.place))
            }
        }
    }

    /// Returns the finding; if only the log is gone, first saves its content.
    fn save_log_if_gone(&mut self, found: Result<(), Gone>) -> Result<(), JournalError> {
        let Err(Gone { error, is_log }) = found else {
            return Ok(());
        };
        // The log is unlinked, but the connection has it open: move what was acked into the database.
        if let Some(open) = self.open.as_ref().filter(|_| is_log && !self.is_log_saved) {
            match open.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
                Ok(()) => self.is_log_saved = true,
                Err(error) => error!("what the log held cannot be saved: {error}"),
            }
        }
        Err(error)
    }
}

impl Open {
    fn check_owner(&self) -> Result<(), Fault> {
        check_owner(&self.connection, &self.place, self.run)
    }

    fn rooms(&mut self) -> Result<Vec<(RoomName, u64)>, Fault> {
        self.check_owner()?;
        let mut query = self.connection.prepare("SELECT id, name FROM rooms")?;
        let rows = query
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<Vec<(i64, String)>>>()?;
        let mut rooms = Vec::with_capacity(rows.len());
        for (id, name) in rows {
            // Give a damaged room the current time, so that it is not the first to be forgotten.
            let said_last = self.said_last(id).or_else(|fault| self.pass_over(fault, now_millis()))?;
            rooms.extend(RoomName::stored(&name).map(|name| (name, said_last)));
        }
        Ok(rooms)
    }

    /// The time of the last message of a room in milliseconds since 1970; 0 without one.
    pub(super) fn said_last(&self, room: i64) -> Result<u64, Fault> {
        let at: Option<i64> = self
            .connection
            .prepare_cached("SELECT at FROM rounds WHERE id >= ?1 AND id < ?2 ORDER BY id DESC LIMIT 1")?
            .query_row([round_id(room, 0), round_id(room + 1, 0)], |row| row.get(0))
            .optional()?;
        Ok(at.unwrap_or(0).unsigned_abs())
    }

    /// Counts damage and returns `instead`.
    pub(super) fn pass_over<T>(&self, fault: Fault, instead: T) -> Result<T, Fault> {
        self.condition.pass_over(fault, &self.place).map(|()| instead)
    }

    /// Deletes the messages, epochs and rows of rooms.
    fn forget(&mut self, names: &[RoomName]) -> Result<(), Fault> {
        let place = Arc::clone(&self.place);
        let transaction = self.begin()?;
        for name in names {
            let Some(room) = room_by_name(&transaction, &place, name)? else {
                continue;
            };
            let range = [round_id(room.id, 0), round_id(room.id + 1, 0)];
            transaction.prepare_cached("DELETE FROM rounds WHERE id >= ?1 AND id < ?2")?.execute(range)?;
            transaction.prepare_cached("DELETE FROM epochs WHERE room = ?1")?.execute([room.id])?;
            transaction.prepare_cached("DELETE FROM rooms WHERE id = ?1")?.execute([room.id])?;
        }
        // The offsets of these rooms may be given out again.
        let epoch = schema::begin_epoch(&transaction, false)?;
        transaction.commit()?;
        self.epoch = epoch;
        for name in names {
            self.rooms.remove(name);
        }
        Ok(())
    }

    fn position(&mut self, name: &RoomName) -> Result<RoomState, Fault> {
        self.check_owner()?;
        let Some(room) = self.room(name)? else {
            let unknown = Epoch { id: self.epoch, starts: 1 };
            let names = self.names(name)?;
            return Ok(RoomState { epochs: vec![unknown], head: 0, keys: Vec::new(), names });
        };
        self.check_head(&room)?;
        let said_in = self
            .connection
            .prepare_cached(
                "SELECT number, name, starts FROM epochs JOIN epoch_names USING (number) WHERE room = ?1
                 ORDER BY number",
            )?
            .query_map([room.id], |row| {
                Ok(Epoch { id: epoch_id(row)?, starts: row.get::<_, i64>(2)?.unsigned_abs() })
            })?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        let mut keys = Vec::new();
        let mut query = self.connection.prepare_cached(
            "SELECT keys FROM rounds WHERE id >= ?1 AND id < ?2 AND keys IS NOT NULL ORDER BY id",
        )?;
        let mut rows = query.query([round_id(room.id, 0), round_id(room.id + 1, 0)])?;
        while let Some(row) = rows.next()? {
            let packed = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
            keys.extend(packed.chunks_exact(KEY_LEN).filter_map(unpack_key));
        }
        let epochs = with_silent_runs(said_in, &self.runs, room.head);
        Ok(RoomState { epochs, head: room.head, keys, names: self.names(name)? })
    }

    /// Checks the head: one behind the last message would give out offsets twice.
    fn check_head(&self, room: &RoomRow) -> Result<(), Fault> {
        let last: Option<u64> = self
            .connection
            .prepare_cached(
                "SELECT id, count FROM rounds WHERE id >= ?1 AND id < ?2 ORDER BY id DESC LIMIT 1",
            )?
            .query_row([round_id(room.id, 0), round_id(room.id + 1, 0)], |row| {
                Ok((offset_of(row.get(0)?) + u64::from(row.get::<_, u32>(1)?)).saturating_sub(1))
            })
            .optional()?;
        match last.filter(|last| *last > room.head) {
            Some(last) => {
                let what = format!("room {} has message {last}, but its head is {}", room.id, room.head);
                Err(Fault::damaged(&self.place.file, what))
            }
            None => Ok(()),
        }
    }

    /// Begins a transaction that this run owns: no other server can take the file over until it ends.
    pub(super) fn begin(&mut self) -> Result<Transaction<'_>, Fault> {
        let transaction = Transaction::immediate(&mut self.connection)?;
        check_owner(&transaction, &self.place, self.run)?;
        Ok(transaction)
    }

    fn append(&mut self, batch: &[Append], retention: Retention) -> Result<(), Fault> {
        let mut touched: HashMap<RoomName, RoomRow> = HashMap::new();
        let mut written = 0;
        let transaction = Transaction::immediate(&mut self.connection)?;
        check_owner(&transaction, &self.place, self.run)?;
        let mut statement = transaction.prepare_cached(INSERT_ROUND)?;
        let mut avatars = self.avatars;
        for Append { room: name, epoch, record, pictures } in batch {
            if !pictures.is_empty() {
                let table = avatars.map_or_else(|| AvatarTable::measure(&transaction), Ok)?;
                avatars = Some(table.keep(&transaction, pictures, now_millis(), retention.avatar_bytes)?);
            }
            let known = touched.get(name).or_else(|| self.rooms.get(name)).copied();
            let mut room = match known {
                Some(room) => room,
                None => find_or_make(&transaction, &self.place, name, record.first - 1)?,
            };
            if room.epoch != epoch.id.number {
                add_epoch(&transaction, &mut room, *epoch)?;
            }
            let bytes = insert(&transaction, &mut statement, &mut room, record)
                .map_err(|clash| clash.into_fault(&self.place))?;
            written += bytes;
            touched.insert(name.clone(), room);
        }
        drop(statement);
        for room in touched.values_mut() {
            // Allow an eighth more messages, so that not every batch has to trim.
            let is_full =
                room.messages > retention.messages + retention.messages / 8 || room.bytes > retention.bytes;
            if is_full {
                trim(&transaction, room, |row, room| {
                    room.messages - row.count >= retention.messages || room.bytes > retention.bytes
                })?;
            }
            if is_full || room.is_due() {
                save(&transaction, room)?;
            }
        }
        transaction.commit()?;
        self.rooms.extend(touched);
        self.avatars = avatars;
        self.unmeasured += written;
        if self.unmeasured > retention.total_bytes / 32 {
            self.unmeasured = 0;
            self.shed(retention.total_bytes)?;
        }
        Ok(())
    }

    /// Saves the rows of rooms that are behind.
    pub(super) fn save_rows(&mut self) -> Result<(), Fault> {
        if !self.rooms.values().any(RoomRow::is_behind) {
            return Ok(());
        }
        let mut rooms = std::mem::take(&mut self.rooms);
        let transaction = self.begin()?;
        for room in rooms.values_mut().filter(|room| room.is_behind()) {
            save(&transaction, room)?;
        }
        transaction.commit()?;
        self.rooms = rooms;
        Ok(())
    }

    fn close(&mut self) -> Result<(), Fault> {
        self.save_rows()?;
        schema::end_run(&mut self.connection, &self.place, self.run)
    }

    fn room(&self, name: &RoomName) -> Result<Option<RoomRow>, Fault> {
        match self.rooms.get(name) {
            Some(room) => Ok(Some(*room)),
            None => room_by_name(&self.connection, &self.place, name),
        }
    }
}
