//! PNG and APNG: chunks; `IHDR` has width and height, `fcTL` the area of a frame.

use super::{
    ImageError, ImageLimits,
    frames::{Area, Frames},
    reader::Reader,
};

pub(super) const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Maximum length of a chunk by the PNG specification.
const MAX_CHUNK: u32 = i32::MAX as u32;

/// Checks the chunks; an end before `IEND` is a truncated picture.
pub(super) fn walk(bytes: &[u8], limits: ImageLimits) -> Result<(), ImageError> {
    let mut reader = Reader::new(bytes);
    reader.take(SIGNATURE.len());
    let Some((width, height)) = header(&mut reader) else { return Err(ImageError::Unreadable) };
    let mut frames = Frames::on(width, height, limits)?;
    // `IDAT`, the picture for decoders without animation; it is the first frame if an `fcTL` precedes it.
    let mut has_still = false;
    let mut has_control = false;
    loop {
        let Some((len, kind)) = reader.u32_be().zip(reader.take(4)) else { return Ok(()) };
        if len > MAX_CHUNK || !kind.iter().all(u8::is_ascii_alphabetic) {
            return Err(ImageError::Unreadable);
        }
        let body = reader.take_up_to(len as usize);
        match kind {
            b"IHDR" => return Err(ImageError::Unreadable),
            b"IDAT" if !has_still => {
                has_still = true;
                if !has_control {
                    frames.add_whole()?;
                }
            }
            b"fcTL" => {
                has_control = true;
                if let Some(area) = frame(body) {
                    frames.add(area)?;
                }
            }
            _ => {}
        }
        if reader.take(4).is_none() {
            return Ok(());
        }
        if kind == b"IEND" {
            return super::end(&reader);
        }
    }
}

/// Width and height from the `IHDR` chunk.
fn header(reader: &mut Reader<'_>) -> Option<(u32, u32)> {
    if (reader.u32_be()?, reader.take(4)?) != (13, b"IHDR") {
        return None;
    }
    let sides = (reader.u32_be()?, reader.u32_be()?);
    // Bit depth, colour type, methods and the CRC, of which a truncated picture may have a part.
    reader.take_up_to(5 + 4);
    Some(sides)
}

/// The area in an `fcTL` chunk, after the sequence number.
fn frame(body: &[u8]) -> Option<Area> {
    let mut body = Reader::new(body);
    body.u32_be()?;
    let (width, height) = (body.u32_be()?, body.u32_be()?);
    Some(Area { x: body.u32_be()?, y: body.u32_be()?, width, height })
}
