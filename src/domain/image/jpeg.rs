//! JPEG: segments up to the frame header, which has width and height, then scans.

use super::{ImageError, ImageLimits, frames::Frames, reader::Reader};

const START: u8 = 0xD8;
const END: u8 = 0xD9;
const SCAN: u8 = 0xDA;
/// The DNL marker: a number of lines after the first scan that replaces the one in the frame header.
const NUMBER_OF_LINES: u8 = 0xDC;
/// The EXP marker: a frame that expands another one.
const EXPAND: u8 = 0xDF;

/// Maximum number of scans: a browser draws the whole picture for each; a progressive one has about ten.
const MAX_SCANS: usize = 100;

/// Checks the segments; an end before the end marker is a truncated picture.
pub(super) fn walk(bytes: &[u8], limits: ImageLimits) -> Result<(), ImageError> {
    let mut reader = Reader::new(bytes);
    reader.take(2);
    let mut frames: Option<Frames> = None;
    let mut scans = 0;
    loop {
        let Some(marker) = marker(&mut reader)? else { return cut(frames.as_ref()) };
        match marker {
            END if frames.is_some() => return super::end(&reader),
            END | START | NUMBER_OF_LINES | EXPAND => return Err(ImageError::Unreadable),
            // TEM and RSTn have no segment.
            0x01 | 0xD0..=0xD7 => continue,
            _ => {}
        }
        let Some(segment) = segment(&mut reader)? else { return cut(frames.as_ref()) };
        if is_frame_header(marker) {
            let mut header = Reader::new(segment);
            header.byte();
            let sides = header.u16_be().zip(header.u16_be());
            let Some((height, width)) = sides.filter(|_| frames.is_none()) else {
                return Err(ImageError::Unreadable);
            };
            frames.insert(Frames::on(width, height, limits)?).add_whole()?;
        } else if marker == SCAN {
            scans += 1;
            if frames.is_none() || scans > MAX_SCANS {
                return Err(if frames.is_none() {
                    ImageError::Unreadable
                } else {
                    ImageError::TooManyFrames
                });
            }
            skip_codes(&mut reader);
        }
    }
}

/// A picture truncated before its frame header cannot be drawn.
fn cut(frames: Option<&Frames>) -> Result<(), ImageError> {
    if frames.is_some() { Ok(()) } else { Err(ImageError::Unreadable) }
}

/// The next marker, after optional fill bytes; `None` at the end.
fn marker(reader: &mut Reader<'_>) -> Result<Option<u8>, ImageError> {
    match reader.byte() {
        Some(0xFF) => {}
        Some(_) => return Err(ImageError::Unreadable),
        None => return Ok(None),
    }
    loop {
        match reader.byte() {
            Some(0xFF) => {}
            Some(0) => return Err(ImageError::Unreadable),
            other => return Ok(other),
        }
    }
}

/// The content of the next segment; `None` if it is incomplete.
fn segment<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a [u8]>, ImageError> {
    match reader.u16_be() {
        Some(len @ 2..) => Ok(reader.take(len as usize - 2)),
        Some(_) => Err(ImageError::Unreadable),
        None => Ok(None),
    }
}

/// Whether the marker is one of SOF0 to SOF15; C4, C8 and CC in that range are other segments.
fn is_frame_header(marker: u8) -> bool {
    matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC)
}

/// Skips entropy-coded data up to the next marker other than `RSTn`, and leaves that marker.
fn skip_codes(reader: &mut Reader<'_>) {
    loop {
        let before = {
            reader.skip_to(0xFF);
            reader.clone()
        };
        reader.byte();
        match reader.byte() {
            None => return,
            Some(0 | 0xD0..=0xD7) => {}
            Some(_) => {
                *reader = before;
                return;
            }
        }
    }
}
