//! Events, and random numbers.

use crate::{
    protocol::socketio::Args,
    socketio::cluster::{Message, Opts, Target},
};

/// Selects sockets in a room.
pub(super) fn to(room: &str) -> Opts {
    let target = Target { to: vec![room.into()], except: Vec::new() };
    Opts { target, ..Opts::default() }
}

/// An event with a number.
pub(super) fn event(number: u64, opts: Opts) -> Message {
    Message::Broadcast { args: args(number), opts }
}

pub(super) fn args(number: u64) -> Args {
    Args { json: format!("[\"event\",{number}]").into(), attachments: Vec::new() }
}

/// The number of an event.
pub(super) fn number_of(args: &Args) -> u64 {
    let number = args.json.strip_prefix("[\"event\",").and_then(|rest| rest.strip_suffix(']'));
    number.and_then(|number| number.parse().ok()).expect("an event with a number")
}

/// A number by a seed (xorshift).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self((seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// Below a bound.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 33) % bound as u64).expect("it is below the bound")
    }

    pub(super) fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    pub(super) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}
