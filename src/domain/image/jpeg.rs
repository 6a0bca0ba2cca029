//! JPEG: segments up to the frame header, which has the sides, and then scans.

use super::{ImageError, ImageLimits, frames::Frames, reader::Reader};

const START: u8 = 0xD8;
const END: u8 = 0xD9;
const SCAN: u8 = 0xDA;
/// A number of lines that is told behind the first scan, in place of the one in the frame header.
const NUMBER_OF_LINES: u8 = 0xDC;
/// A frame that enlarges another one.
const EXPAND: u8 = 0xDF;

/// Scans of one picture, at most: a reader draws the whole for each, and a usual progressive picture has ten.
const MAX_SCANS: usize = 100;

/// Walks through the segments; an end before the end marker is a picture that was cut.
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
            // Markers without a segment.
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

/// Cut before its sides are known, a picture cannot be shown.
fn cut(frames: Option<&Frames>) -> Result<(), ImageError> {
    if frames.is_some() { Ok(()) } else { Err(ImageError::Unreadable) }
}

/// The next marker, which may be filled up in front; `None` at the end.
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

/// What is in the next segment; `None` if a part is missing.
fn segment<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a [u8]>, ImageError> {
    match reader.u16_be() {
        Some(len @ 2..) => Ok(reader.take(len as usize - 2)),
        Some(_) => Err(ImageError::Unreadable),
        None => Ok(None),
    }
}

/// The frame headers of all processes; three numbers between them are other segments.
fn is_frame_header(marker: u8) -> bool {
    matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC)
}

/// Skips codes up to the next marker that is none of theirs, and leaves that.
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
