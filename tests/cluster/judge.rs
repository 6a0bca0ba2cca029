//! Compares what all chatters were told with each other, and with what the nodes have kept in the end.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    iter::Sum,
    time::Duration,
};

use crate::recording::{Recording, Told};

/// Faults that are told in full.
const MOST_TOLD: usize = 12;

/// All that is kept of a room at a node, by offsets.
pub type History = Vec<(u64, String)>;

/// What a run was like. Counts are of messages unless they say otherwise.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    pub chatters: usize,
    pub said: u64,
    /// Acked, each counted once.
    pub acked: u64,
    /// Acked and not at the offset of the ack, and the sender was not told so.
    pub lost: u64,
    /// Acked and not at the offset of the ack, and the sender was told that what was there is lost.
    pub declared: u64,
    /// No node has them any more, and all that were to hear them did.
    pub forgotten: u64,
    /// At more than one offset, or heard twice.
    pub doubled: u64,
    /// Stretches of offsets that a chatter, or a history, passes over.
    pub gaps: u64,
    /// Heard or kept at an offset at which others have something else.
    pub disordered: u64,
    /// Never acked, though the chatter went on until the end.
    pub unacked: u64,
    /// Acked before they were heard.
    pub early: u64,
    /// Logins, of clients that knew their place, that were not given all.
    pub resets: u64,
    /// Messages that those logins were told are missing.
    pub missed: u64,
    /// How often chatters went to another node by themselves.
    pub moves: u64,
    /// Connections that ended.
    pub drops: u64,
    /// Requests and logins that were refused.
    pub refusals: u64,
    pub longest_silence: Duration,
    pub longest_ack: Duration,
    /// The first faults.
    pub faults: Vec<String>,
}

/// What one chatter holds for true in the end, by what it was told.
#[derive(Default)]
struct Ear {
    heard: BTreeMap<u64, String>,
    last: Option<u64>,
    /// Offset, message, and whether it was told later that what was there is lost.
    acks: Vec<(u64, String, bool)>,
    /// A login that was not given all: how much is missing, and the offset of the room's last message then.
    reset: Option<(u64, u64)>,
}

impl Verdict {
    /// Judges the chatters of one room by what they were told, and by the histories of all nodes.
    pub fn of(recordings: &[Recording], histories: &[History]) -> Self {
        let mut verdict = Self { chatters: recordings.len(), ..Self::default() };
        let ears: Vec<_> = recordings.iter().map(|recording| verdict.listen(recording)).collect();
        let mut truth = verdict.kept(histories);
        let first_kept = truth.first_key_value().map_or(u64::MAX, |(offset, _)| *offset);
        for (ear, recording) in ears.iter().zip(recordings) {
            verdict.compare(ear, &recording.name, &mut truth, first_kept);
        }
        let head = truth.last_key_value().map_or(0, |(offset, _)| *offset);
        for (ear, recording) in ears.iter().zip(recordings) {
            verdict.check_end(ear, &recording.name, head);
            verdict.check_acks(ear, &recording.name, &truth);
        }
        verdict.check_doubles(&truth);
        verdict
    }

    fn fault(&mut self, fault: impl FnOnce() -> String) -> u64 {
        if self.faults.len() < MOST_TOLD {
            self.faults.push(fault());
        }
        1
    }

    /// Follows one chatter through what it was told.
    fn listen(&mut self, recording: &Recording) -> Ear {
        let (name, mut ear) = (&recording.name, Ear::default());
        for told in &recording.told {
            match told {
                Told::LoggedIn { knew, recovered: false, missed, head } if *knew || ear.last.is_some() => {
                    self.resets += 1;
                    self.missed += missed;
                    ear.reset = Some((*missed, *head));
                }
                Told::LoggedIn { .. } => {}
                Told::Heard(offset, text) => self.hear(&mut ear, name, *offset, text),
                Told::Acked(offset, text) => {
                    if ear.last.is_none_or(|last| last < *offset) {
                        self.early += self
                            .fault(|| format!("{name}: {text} was acked at {offset} before it was heard"));
                    }
                    ear.acks.push((*offset, text.clone(), false));
                }
            }
        }
        if let Some((_, head)) = ear.reset {
            self.start_anew(&mut ear, name, head + 1);
        }
        self.said += recording.said;
        self.moves += recording.moves;
        self.drops += recording.ends.values().sum::<u64>();
        self.refusals += recording.refusals.values().sum::<u64>();
        self.longest_silence = self.longest_silence.max(recording.longest_silence);
        self.longest_ack = self.longest_ack.max(recording.longest_ack);
        for text in &recording.unacked {
            self.unacked += self.fault(|| format!("{name}: {text} was never acked"));
        }
        for oddity in &recording.oddities {
            self.fault(|| format!("{name}: {oddity}"));
        }
        ear
    }

    fn hear(&mut self, ear: &mut Ear, name: &str, offset: u64, text: &str) {
        if ear.reset.is_some() {
            self.start_anew(ear, name, offset);
        }
        if let Some(last) = ear.last {
            if offset <= last {
                self.doubled += self.fault(|| format!("{name}: {text} was heard at {offset} behind {last}"));
            } else if offset > last + 1 {
                self.gaps += self.fault(|| format!("{name}: {text} was heard at {offset} behind {last}"));
            }
        }
        ear.last = Some(offset.max(ear.last.unwrap_or_default()));
        ear.heard.insert(offset, text.to_owned());
    }

    /// A chatter that was not given all begins anew at an offset; so many messages before it are missing, and what it has
    /// heard behind those that it has is void.
    fn start_anew(&mut self, ear: &mut Ear, name: &str, offset: u64) {
        let Some((missed, _)) = ear.reset.take() else { return };
        let void = offset.saturating_sub(missed);
        if let Some(last) = ear.last.filter(|last| last + 1 < void) {
            self.gaps +=
                self.fault(|| format!("{name}: began anew at {offset} behind {last}, told of {missed}"));
        }
        ear.heard.split_off(&void);
        ear.last = offset.checked_sub(1);
        for (acked, _, is_void) in &mut ear.acks {
            *is_void |= *acked >= void;
        }
    }

    /// What the nodes have kept, which must be one order.
    fn kept(&mut self, histories: &[History]) -> BTreeMap<u64, String> {
        let mut truth = BTreeMap::new();
        for (node, history) in histories.iter().enumerate() {
            for pair in history.windows(2).filter(|pair| pair[1].0 != pair[0].0 + 1) {
                self.gaps += self.fault(|| format!("node {node} keeps {:?} before {:?}", pair[0], pair[1]));
            }
            for (offset, text) in history {
                let known = truth.entry(*offset).or_insert_with(|| text.clone());
                if known != text {
                    self.disordered +=
                        self.fault(|| format!("node {node} has {text} at {offset}, not {known}"));
                }
            }
        }
        for (node, history) in histories.iter().enumerate() {
            let (own, all) = (history.last(), truth.last_key_value());
            if own.map(|last| last.0) != all.map(|last| *last.0) {
                self.gaps +=
                    self.fault(|| format!("node {node} ends with {own:?}, another one with {all:?}"));
            }
        }
        truth
    }

    /// What a chatter heard is what the nodes have there. What is before all that they have is forgotten: there, chatters
    /// must agree with each other.
    fn compare(&mut self, ear: &Ear, name: &str, truth: &mut BTreeMap<u64, String>, first_kept: u64) {
        for (offset, text) in &ear.heard {
            match truth.get(offset) {
                Some(known) if known == text => {}
                Some(known) => {
                    self.disordered +=
                        self.fault(|| format!("{name}: {text} was heard at {offset}, where {known} is"));
                }
                None if *offset < first_kept => {
                    self.forgotten += 1;
                    truth.insert(*offset, text.clone());
                }
                None => {
                    self.gaps +=
                        self.fault(|| format!("{name}: {text} was heard at {offset}, where nothing is"));
                }
            }
        }
    }

    fn check_end(&mut self, ear: &Ear, name: &str, head: u64) {
        let last = ear.last.unwrap_or_default();
        if last < head {
            self.gaps += self.fault(|| format!("{name}: heard nothing behind {last}, up to {head}"));
        }
    }

    fn check_acks(&mut self, ear: &Ear, name: &str, truth: &BTreeMap<u64, String>) {
        let mut acked = BTreeSet::new();
        for (offset, text, is_void) in &ear.acks {
            let is_new = acked.insert(text);
            self.acked += u64::from(is_new);
            if truth.get(offset) == Some(text) {
                continue;
            }
            if *is_void {
                self.declared += 1;
            } else {
                let there = truth.get(offset);
                self.lost +=
                    self.fault(|| format!("{name}: {text} was acked at {offset}, where {there:?} is"));
            }
        }
    }

    fn check_doubles(&mut self, truth: &BTreeMap<u64, String>) {
        let mut places = BTreeMap::new();
        for (offset, text) in truth {
            if let Some(first) = places.insert(text, *offset) {
                self.doubled += self.fault(|| format!("{text} is at {first} and at {offset}"));
            }
        }
    }

    /// All is one order without gap and double, and of what was acked nothing is missing unless that was declared.
    #[track_caller]
    pub fn assert_sound(&self) {
        let faults = self.lost + self.doubled + self.gaps + self.disordered + self.unacked + self.early;
        assert!(faults == 0 && self.faults.is_empty(), "{self}\n{:#?}", self.faults);
        assert!(self.acked > 0, "nothing was acked: {self}");
    }

    /// Sound, and nothing had to be declared or was forgotten.
    #[track_caller]
    pub fn assert_whole(&self) {
        self.assert_sound();
        let given_up = self.declared + self.resets + self.missed + self.forgotten;
        assert_eq!(given_up, 0, "{self}");
    }
}

impl Sum for Verdict {
    fn sum<I: Iterator<Item = Self>>(verdicts: I) -> Self {
        verdicts.fold(Self::default(), |one, mut other| {
            other.faults.splice(0..0, one.faults);
            Self {
                chatters: one.chatters + other.chatters,
                said: one.said + other.said,
                acked: one.acked + other.acked,
                lost: one.lost + other.lost,
                declared: one.declared + other.declared,
                forgotten: one.forgotten + other.forgotten,
                doubled: one.doubled + other.doubled,
                gaps: one.gaps + other.gaps,
                disordered: one.disordered + other.disordered,
                unacked: one.unacked + other.unacked,
                early: one.early + other.early,
                resets: one.resets + other.resets,
                missed: one.missed + other.missed,
                moves: one.moves + other.moves,
                drops: one.drops + other.drops,
                refusals: one.refusals + other.refusals,
                longest_silence: one.longest_silence.max(other.longest_silence),
                longest_ack: one.longest_ack.max(other.longest_ack),
                faults: other.faults,
            }
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { chatters, said, acked, lost, declared, forgotten, doubled, gaps, .. } = self;
        let Self { disordered, unacked, early, resets, missed, moves, drops, refusals, .. } = self;
        write!(f, "{chatters} clients, {said} said, {acked} acked, {lost} lost, {declared} declared lost, ")?;
        write!(f, "{forgotten} forgotten, {doubled} doubled, {gaps} gaps, {disordered} disordered, ")?;
        write!(
            f,
            "{unacked} unacked, {early} acked early, {moves} moves, {drops} drops, {refusals} refusals, {resets} resets, "
        )?;
        let (silence, ack) = (self.longest_silence.as_millis(), self.longest_ack.as_millis());
        write!(f, "{missed} missed, longest silence {silence} ms, longest ack {ack} ms")
    }
}
