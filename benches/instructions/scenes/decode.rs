//! Decodes a client's bytes to messages.

use std::{error::Error, hint::black_box};

use bytes::Bytes;
use echoroom::testing::websocket::{Decoder, Limits};

use super::Repetition;

/// Number of small texts in one read.
pub const SMALL_TEXTS: usize = 64;

const SMALL: usize = 32;
const LARGE: usize = 16 * 1024;

const MASK: [u8; 4] = [0xA1, 0x0B, 0x5C, 0xFF];

pub fn small(_: usize) -> Result<Repetition, Box<dyn Error>> {
    let mut frames = Vec::new();
    (0..SMALL_TEXTS).for_each(|_| push_text(&mut frames, SMALL));
    Ok(decode(frames.into(), SMALL_TEXTS))
}

pub fn large(_: usize) -> Result<Repetition, Box<dyn Error>> {
    let mut frames = Vec::new();
    push_text(&mut frames, LARGE);
    Ok(decode(frames.into(), 1))
}

fn decode(frames: Bytes, texts: usize) -> Repetition {
    let mut decoder = Decoder::new(Limits { message_size: 64 * 1024, fragments: 64 }, None);
    Box::new(move || {
        let mut input = black_box(&frames).clone();
        let mut decoded = 0;
        while let Some(message) = decoder.decode(&mut input)? {
            black_box(message);
            decoded += 1;
        }
        if decoded == texts { Ok(()) } else { Err("a text is missing".into()) }
    })
}

/// Appends a text of `len` letters as a client's frame.
fn push_text(out: &mut Vec<u8>, len: usize) {
    out.push(0x81);
    match u16::try_from(len).expect("a text that is decoded here") {
        len @ 0..126 => out.push(0x80 | len as u8),
        len => {
            out.push(0x80 | 126);
            out.extend(len.to_be_bytes());
        }
    }
    out.extend(MASK);
    out.extend((b'a'..=b'z').cycle().take(len).zip(MASK.iter().cycle()).map(|(letter, key)| letter ^ key));
}
