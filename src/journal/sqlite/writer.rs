//! The writer thread.

use std::{sync::Arc, time::Instant};

use log::{error, info};
use tokio::sync::mpsc;

use super::{
    CHECKER, OpenError, Write,
    attempts::attempt,
    checker,
    condition::Condition,
    connecting::open_to_write,
    fault::Fault,
    files::Files,
    forgetting::Forgetting,
    jobs::Jobs,
    open::Open,
    open_files::FilesChanged,
    rows::room_id,
    run::Run,
    staged::Staged,
    stamp::{FolderState, Stamp},
};
use crate::{
    domain::RoomName,
    journal::{JournalError, Retention},
    parts::{Panicked, Parts, Seconds, Supervisor},
};

/// Runs write jobs until the journal is dropped.
#[derive(Debug)]
pub(super) struct Writer {
    /// Declared before `files`, which must be dropped after the connection.
    open: Option<Open>,
    files: Arc<Files>,
    retention: Retention,
    condition: Arc<Condition>,
    staged: Arc<Staged>,
    /// The state of the folder before this server, until a run has begun.
    folder: Option<FolderState>,
    has_read_folder: bool,
    /// This run of the server, once begun; a reopened connection continues it.
    run: Option<Run>,
    /// Whether the stamp file is still to be written.
    is_stamp_due: bool,
    /// Whether the content of a removed log has been saved.
    is_log_saved: bool,
    /// Whether the last attempt failed, so that a change is logged once.
    is_failing: bool,
    /// Whether jobs have panicked too often.
    is_dead: bool,
}

impl Writer {
    pub(super) fn new(
        files: Arc<Files>,
        retention: Retention,
        condition: Arc<Condition>,
        staged: Arc<Staged>,
    ) -> Self {
        Self {
            open: None,
            files,
            retention,
            condition,
            staged,
            folder: None,
            has_read_folder: false,
            run: None,
            is_stamp_due: false,
            is_log_saved: false,
            is_failing: false,
            is_dead: false,
        }
    }

    pub(super) fn run(mut self, jobs: mpsc::Receiver<Write>, supervisor: &Supervisor) {
        let mut jobs = Jobs::new(jobs);
        let mut is_checker_started = self.start_checker(supervisor.parts());
        let mut forgetting = Forgetting::default();
        let mut seconds = Seconds::of(supervisor.parts());
        while let Some(job) = self.next(&mut jobs, &mut forgetting, supervisor) {
            is_checker_started = is_checker_started || self.start_checker(supervisor.parts());
            supervisor.wait_while_stalled();
            self.take(job, &mut jobs, &mut forgetting, supervisor);
            if self.is_dead {
                return;
            }
            seconds.look();
        }
    }

    /// Does a job. Its caller may have dropped the future, which is not an error.
    fn take(&mut self, job: Write, jobs: &mut Jobs, forgetting: &mut Forgetting, supervisor: &Supervisor) {
        match job {
            Write::AreYouThere(answer) => drop(answer.send(())),
            Write::Check(answer) => drop(answer.send(self.supervised(supervisor, Self::check))),
            Write::Rooms(answer) => drop(answer.send(self.attempt(supervisor, Open::rooms))),
            Write::Open(room, answer) => {
                let state = self.attempt(supervisor, |open, retention| open.state(&room, retention));
                drop(answer.send(state));
            }
            Write::Append(batch, answer) => {
                // A room is in one shard, and a shard waits for the answer to its batch: so the parts of a joined
                // batch are for different rooms.
                let (batch, answers) =
                    if forgetting.is_empty() { jobs.join(batch, answer) } else { (batch, vec![answer]) };
                let done = self.attempt(supervisor, |open, retention| open.append(&batch, retention));
                answers.into_iter().for_each(|answer| drop(answer.send(done.clone())));
            }
            Write::Sweep(answer) => drop(answer.send(self.attempt(supervisor, Open::sweep))),
            Write::Forget(room, answer) => forgetting.add(room, answer),
            Write::Reserve(room, names, answer) => {
                let done = self.attempt(supervisor, |open, retention| open.reserve(&room, &names, retention));
                drop(answer.send(done));
            }
            Write::Close(answer) => {
                self.condition.close();
                drop(answer.send(self.attempt(supervisor, Open::close)));
            }
        }
    }

    /// The next job. Forgets collected rooms first if the job needs it, or if no job is waiting.
    fn next(
        &mut self,
        jobs: &mut Jobs,
        forgetting: &mut Forgetting,
        supervisor: &Supervisor,
    ) -> Option<Write> {
        let waiting = jobs.waiting();
        if waiting.as_ref().is_none_or(|job| forgetting.come_before(job)) {
            let rooms = forgetting.rooms();
            if !rooms.is_empty() {
                let forget = |open: &mut Open, retention| open.forget(&rooms, retention);
                forgetting.answer(&self.attempt(supervisor, forget));
            }
        }
        if self.is_dead {
            return None;
        }
        waiting.or_else(|| jobs.next())
    }

    /// Opens the file for the first time; logs if it is not available now.
    ///
    /// # Errors
    /// The journal needs a change by the operator.
    pub(super) fn start(&mut self) -> Result<(), OpenError> {
        match self.connect() {
            Ok(_) => info!("the journal is {}", self.files.database.display()),
            Err(fault) => {
                let error = fault.at_start(&self.files.database)?;
                self.report(&error);
                error!("no messages are accepted until that has changed");
            }
        }
        Ok(())
    }

    /// Opens the file if it is not open.
    pub(super) fn connect(&mut self) -> Result<&mut Open, Fault> {
        if self.open.is_none() {
            self.files.lock()?;
            if !self.has_read_folder {
                self.folder = Some(self.folder_state()?);
                self.has_read_folder = true;
            }
            let (connection, run) = open_to_write(&self.files, self.run, &mut self.folder)?;
            if self.run.replace(run).is_none() {
                self.is_stamp_due = true;
            }
            let (files, condition) = (Arc::clone(&self.files), Arc::clone(&self.condition));
            let staged = Arc::clone(&self.staged);
            self.open = Some(Open::new(connection, files, condition, run, staged, self.retention)?);
        }
        if std::mem::take(&mut self.is_stamp_due)
            && let Some(run) = self.run
            && let Err(error) = (Stamp { run: run.number, is_closed: false }).write(&self.files.stamp)
        {
            // Without a stamp, the next start only detects less.
            error!("{}: {error}", self.files.stamp.display());
            self.is_stamp_due = true;
        }
        self.open.as_mut().ok_or_else(|| Fault::passing(&self.files.database, "it is not open"))
    }

    /// Starts the thread that checks the whole file, once a run has begun; returns whether it has.
    fn start_checker(&self, parts: &Arc<Parts>) -> bool {
        if self.run.is_none() {
            return false;
        }
        let (files, condition) = (Arc::clone(&self.files), Arc::clone(&self.condition));
        if let Err(error) =
            parts.spawn(CHECKER, move |supervisor| checker::run(&files, &condition, supervisor))
        {
            error!("the journal is not checked for damage: {error}");
        }
        true
    }

    /// Opens the file to delete all messages of one room, and closes it.
    pub(super) fn forget_alone(mut self, room: &RoomName) -> Result<(), String> {
        let (files, retention) = (Arc::clone(&self.files), self.retention);
        let sentence = |fault: Fault| fault.into_error(&files.database).to_string();
        let open = self.connect().map_err(sentence)?;
        if room_id(&open.connection, room).map_err(|error| sentence(error.into()))?.is_none() {
            return Err(format!("there is no room {:?} in {}", room.as_str(), files.database.display()));
        }
        let forget = open.forget(std::slice::from_ref(room), retention);
        forget.and_then(|()| open.close(retention)).map_err(sentence)
    }

    /// The state of the folder before this server changes it.
    fn folder_state(&self) -> Result<FolderState, Fault> {
        let fault = |error| Fault::passing(&self.files.folder, error);
        Ok(FolderState {
            stamp: Stamp::read(&self.files.stamp).map_err(fault)?,
            database: self.files.find_database().map_err(fault)?,
            wal: self.files.find_wal().map_err(fault)?,
        })
    }

    /// Runs a job on the file, and logs a change between available and failing.
    fn attempt<T>(
        &mut self,
        supervisor: &Supervisor,
        job: impl Fn(&mut Open, Retention) -> Result<T, Fault>,
    ) -> Result<T, JournalError> {
        self.supervised(supervisor, |writer| {
            let outcome = writer.try_once(&job);
            match &outcome {
                Ok(_) if std::mem::take(&mut writer.is_failing) => info!("the journal is available again"),
                Ok(_) => {}
                Err(error) => writer.report(error),
            }
            outcome
        })
    }

    /// Runs a job under the supervisor. After a panic it is repeated on a new connection: the old one may be inside
    /// of a transaction.
    fn supervised<T>(
        &mut self,
        supervisor: &Supervisor,
        job: impl Fn(&mut Self) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        attempt(supervisor, self, job, |writer, panicked| {
            writer.open = None;
            writer.is_dead = panicked == Panicked::TooOften;
        })
    }

    /// Checks the file without a write; success does not end a failure to write.
    fn check(&mut self) -> Result<(), JournalError> {
        let found = self.files.check_lengths();
        let outcome = self.save_log_if_lost(found).and_then(|()| self.try_once(|open, _| open.check_owner()));
        if let Err(error) = &outcome {
            self.report(error);
        }
        outcome
    }

    /// Counts damage, and logs the first failure after a success.
    fn report(&mut self, error: &JournalError) {
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
        let before = self.files.check_before_writing(Instant::now());
        self.save_log_if_lost(before)?;
        let outcome = self.connect().and_then(|open| job(open, retention));
        let after = self.files.check_after_writing();
        match outcome {
            Ok(done) => self.save_log_if_lost(after).map(|()| done),
            Err(fault) => {
                if !fault.spares_connection() {
                    self.open = None;
                }
                Err(fault.into_error(&self.files.database))
            }
        }
    }

    /// Returns the finding; if only the log is gone, first saves its content.
    fn save_log_if_lost(&mut self, found: Result<(), FilesChanged>) -> Result<(), JournalError> {
        let Err(FilesChanged { error, is_log }) = found else {
            return Ok(());
        };
        // The log is unlinked, but the connection has it open: move its acknowledged messages into the database.
        if let Some(open) = self.open.as_ref().filter(|_| is_log && !self.is_log_saved) {
            match open.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
                Ok(()) => self.is_log_saved = true,
                Err(error) => error!("the content of the log cannot be saved: {error}"),
            }
        }
        Err(error)
    }
}
