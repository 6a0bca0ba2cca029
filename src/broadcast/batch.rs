//! The frames of some broadcasts, for one subscriber or for all that get equal frames.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;

use super::{encoding::Encoding, lines::Broadcast};
use crate::domain::MemberId;

/// Frames for one session or more; never empty.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) frames: Arc<[Bytes]>,
    /// Number of lines in the frames.
    pub(super) messages: usize,
    /// Length of the frames in bytes.
    pub(super) bytes: usize,
}

impl Batch {
    /// All lines of the broadcasts; `None` if no line has this encoding.
    pub(super) fn new(broadcasts: &[Arc<Broadcast>], encoding: Encoding) -> Option<Self> {
        let mut messages = 0;
        let frames = broadcasts.iter().filter_map(|broadcast| {
            let (frames, lines) = broadcast.frames(encoding)?;
            messages += lines;
            Some(frames.clone())
        });
        let frames = frames.collect();
        Self::of(frames, messages)
    }

    /// The lines that one session gets; `None` if it gets none.
    pub(super) fn for_session(
        member: MemberId,
        broadcasts: &[Arc<Broadcast>],
        encoding: Encoding,
    ) -> Option<Self> {
        let mut messages = 0;
        let frames = broadcasts.iter().flat_map(|broadcast| {
            let (frames, lines) = broadcast.frames_for(member, encoding);
            messages += lines;
            frames
        });
        let frames = frames.collect();
        Self::of(frames, messages)
    }

    /// Selects lines by number: ascending, counted across all broadcasts.
    fn of_lines(lines: &[usize], broadcasts: &[Arc<Broadcast>], encoding: Encoding) -> Option<Self> {
        let (mut messages, mut first) = (0, 0);
        let frames = broadcasts.iter().flat_map(|broadcast| {
            let numbers = first..first + broadcast.reaches().len();
            first = numbers.end;
            let from = lines.partition_point(|line| *line < numbers.start);
            let wanted = &lines[from..lines.partition_point(|line| *line < numbers.end)];
            let (frames, lines) =
                broadcast.pieces(encoding, |line| wanted.binary_search(&(numbers.start + line)).is_ok());
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

/// The batches of an aimed delivery. Caches the last [`KEPT`](Self::KEPT) of them.
pub(super) struct AimedBatches<'a> {
    broadcasts: &'a [Arc<Broadcast>],
    made: VecDeque<(Vec<usize>, Encoding, Option<Batch>)>,
}

impl<'a> AimedBatches<'a> {
    /// Size of the cache. Subscribers of one room come one after another, so a few batches suffice.
    const KEPT: usize = 16;

    /// An empty cache for these broadcasts.
    pub(super) fn new(broadcasts: &'a [Arc<Broadcast>]) -> Self {
        Self { broadcasts, made: VecDeque::new() }
    }

    /// The batch of the lines with these numbers, ascending. `None` if it would be empty.
    pub(super) fn of(&mut self, lines: Vec<usize>, encoding: Encoding) -> Option<&Batch> {
        let is_it = |(its, its_encoding, _): &(Vec<usize>, _, _)| *its == lines && *its_encoding == encoding;
        let place = match self.made.iter().rposition(is_it) {
            Some(place) => place,
            None => {
                if self.made.len() == Self::KEPT {
                    self.made.pop_front();
                }
                let batch = Batch::of_lines(&lines, self.broadcasts, encoding);
                self.made.push_back((lines, encoding, batch));
                self.made.len() - 1
            }
        };
        self.made.get(place)?.2.as_ref()
    }
}
