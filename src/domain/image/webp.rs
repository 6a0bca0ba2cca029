//! WebP: a RIFF file of chunks. A simple file has one picture; `VP8X` has the screen's size, and `ANMF` the
//! frames on it.

use super::{
    ImageError, ImageLimits,
    frames::{Area, Frames},
    reader::Reader,
};

/// Checks the chunks; an end before the length in the file header is a truncated picture.
pub(super) fn walk(bytes: &[u8], limits: ImageLimits) -> Result<(), ImageError> {
    let mut file = Reader::new(bytes);
    file.take(4);
    let len = file.u32_le().ok_or(ImageError::Unreadable)? as usize;
    let mut reader = Reader::new(file.take_up_to(len));
    // Chunks are padded to even lengths.
    file.take_up_to(len % 2);
    reader.take(4);
    let mut frames: Option<Frames> = None;
    while let Some(chunk) = Chunk::read(&mut reader) {
        match &mut frames {
            None => frames = Some(first(&chunk, limits)?),
            Some(frames) => further(&chunk, frames)?,
        }
    }
    if frames.is_none() {
        return Err(ImageError::Unreadable);
    }
    super::end(&file)
}

#[derive(Debug)]
struct Chunk<'a> {
    kind: &'a [u8],
    body: &'a [u8],
}

impl<'a> Chunk<'a> {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let kind = reader.take(4)?;
        let len = reader.u32_le()? as usize;
        let body = reader.take_up_to(len);
        reader.take_up_to(len % 2);
        Some(Self { kind, body })
    }

    /// Width and height, if this chunk is a coded picture.
    fn picture(&self) -> Result<Option<(u32, u32)>, ImageError> {
        let mut body = Reader::new(self.body);
        let sides = match self.kind {
            b"VP8 " => lossy(&mut body),
            b"VP8L" => lossless(&mut body),
            _ => return Ok(None),
        };
        sides.map(Some).ok_or(ImageError::Unreadable)
    }
}

/// The screen, with the picture of a simple file.
fn first(chunk: &Chunk<'_>, limits: ImageLimits) -> Result<Frames, ImageError> {
    if let Some((width, height)) = chunk.picture()? {
        let mut frames = Frames::on(width, height, limits)?;
        frames.add_whole()?;
        return Ok(frames);
    }
    let mut body = Reader::new(chunk.body);
    let sides = body.take(4).and_then(|_| body.u24_le().zip(body.u24_le()));
    match sides.filter(|_| chunk.kind == b"VP8X") {
        Some((width, height)) => Frames::on(width + 1, height + 1, limits),
        None => Err(ImageError::Unreadable),
    }
}

fn further(chunk: &Chunk<'_>, frames: &mut Frames) -> Result<(), ImageError> {
    if let Some((width, height)) = chunk.picture()? {
        // Decoders require a picture as large as the screen.
        return if frames.is_of(width, height) { frames.add_whole() } else { Err(ImageError::FrameOutside) };
    }
    match chunk.kind {
        b"VP8X" => Err(ImageError::Unreadable),
        b"ANMF" => frame(chunk.body, frames),
        _ => Ok(()),
    }
}

/// A frame of an animation: its area, and chunks with a picture of that size.
fn frame(body: &[u8], frames: &mut Frames) -> Result<(), ImageError> {
    let mut body = Reader::new(body);
    let fields = |body: &mut Reader<'_>| {
        let (x, y) = (2 * body.u24_le()?, 2 * body.u24_le()?);
        Some(Area { x, y, width: body.u24_le()? + 1, height: body.u24_le()? + 1 })
    };
    let Some(area) = fields(&mut body) else { return Ok(()) };
    frames.add(area)?;
    // Duration and flags.
    body.take_up_to(4);
    while let Some(chunk) = Chunk::read(&mut body) {
        match chunk.picture()? {
            Some(sides) if sides != (area.width, area.height) => return Err(ImageError::FrameOutside),
            Some(_) => frames.add_part()?,
            None => {}
        }
    }
    Ok(())
}

fn lossy(body: &mut Reader<'_>) -> Option<(u32, u32)> {
    body.take(3)?;
    if body.take(3)? != [0x9D, 0x01, 0x2A] {
        return None;
    }
    // The upper two bits of each are a scale, which does not change the decoded size.
    Some((body.u16_le()? & 0x3FFF, body.u16_le()? & 0x3FFF))
}

fn lossless(body: &mut Reader<'_>) -> Option<(u32, u32)> {
    if body.byte()? != 0x2F {
        return None;
    }
    let bits = body.u32_le()?;
    Some(((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1))
}
