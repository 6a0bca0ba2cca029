//! What one listener, or many that hear the same, are handed of some rounds.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;

use super::round::{Encoding, Round};
use crate::domain::SessionId;

/// Frames for one or many sessions, at least one.
#[derive(Debug)]
pub(super) struct Batch {
    /// The frames.
    pub(super) frames: Arc<[Bytes]>,
    /// Lines in them.
    pub(super) messages: usize,
    /// Their bytes.
    pub(super) bytes: usize,
}

impl Batch {
    /// All that was said.
    pub(super) fn new(rounds: &[Arc<Round>], encoding: Encoding) -> Option<Self> {
        let mut messages = 0;
        let frames = rounds.iter().filter_map(|round| {
            let (frames, lines) = round.frames(encoding)?;
            messages += lines;
            Some(frames.clone())
        });
        let frames = frames.collect();
        Self::of(frames, messages)
    }

    /// What one session is to hear of it.
    pub(super) fn heard_by(session: SessionId, rounds: &[Arc<Round>], encoding: Encoding) -> Option<Self> {
        let mut messages = 0;
        let frames = rounds.iter().flat_map(|round| {
            let (frames, lines) = round.frames_for(session, encoding);
            messages += lines;
            frames
        });
        let frames = frames.collect();
        Self::of(frames, messages)
    }

    /// The lines with these numbers, which rise, counted through all rounds.
    fn of_lines(lines: &[usize], rounds: &[Arc<Round>], encoding: Encoding) -> Option<Self> {
        let (mut messages, mut first) = (0, 0);
        let frames = rounds.iter().flat_map(|round| {
            let numbers = first..first + round.reaches().len();
            first = numbers.end;
            let from = lines.partition_point(|line| *line < numbers.start);
            let wanted = &lines[from..lines.partition_point(|line| *line < numbers.end)];
            let (frames, lines) =
                round.pieces(encoding, |line| wanted.binary_search(&(numbers.start + line)).is_ok());
            messages += lines;
            frames
        });
        let frames = frames.collect();
        Self::of(frames, messages)
    }

    fn of(frames: Arc<[Bytes]>, messages: usize) -> Option<Self> {
        let bytes = frames.iter().map(Bytes::len).sum();
        (bytes > 0).then_some(Self { frames, messages, bytes })
    }
}

/// The batches of an aimed delivery, kept while they may be wanted again.
pub(super) struct AimedBatches<'a> {
    rounds: &'a [Arc<Round>],
    made: VecDeque<(Vec<usize>, Encoding, Option<Batch>)>,
}

impl<'a> AimedBatches<'a> {
    /// So many are kept: those in one room come one after the other.
    const KEPT: usize = 16;

    /// None made yet.
    pub(super) fn new(rounds: &'a [Arc<Round>]) -> Self {
        Self { rounds, made: VecDeque::new() }
    }

    /// The batch of the lines with these numbers, which rise.
    pub(super) fn of(&mut self, lines: Vec<usize>, encoding: Encoding) -> Option<&Batch> {
        let is_it = |(its, its_encoding, _): &(Vec<usize>, _, _)| *its == lines && *its_encoding == encoding;
        let place = match self.made.iter().rposition(is_it) {
            Some(place) => place,
            None => {
                if self.made.len() == Self::KEPT {
                    self.made.pop_front();
                }
                let batch = Batch::of_lines(&lines, self.rounds, encoding);
                self.made.push_back((lines, encoding, batch));
                self.made.len() - 1
            }
        };
        self.made.get(place)?.2.as_ref()
    }
}
