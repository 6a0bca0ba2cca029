//! GIF: a logical screen with images. Browsers enlarge the screen for an image that exceeds it, so such an
//! image is an error.

use super::{
    ImageError, ImageLimits,
    frames::{Area, Frames},
    reader::Reader,
};

const EXTENSION: u8 = 0x21;
const IMAGE: u8 = 0x2C;
const TRAILER: u8 = 0x3B;

/// Checks the blocks; an end before the trailer is a truncated picture.
pub(super) fn walk(bytes: &[u8], limits: ImageLimits) -> Result<(), ImageError> {
    let mut reader = Reader::new(bytes);
    let Some(mut frames) = screen(&mut reader, limits)? else { return Err(ImageError::Unreadable) };
    loop {
        let whole = match reader.byte() {
            Some(TRAILER) => return super::end(&reader),
            Some(EXTENSION) => reader.byte().and_then(|_| skip_blocks(&mut reader)),
            Some(IMAGE) => image(&mut reader, &mut frames)?,
            Some(_) => return Err(ImageError::Unreadable),
            None => None,
        };
        if whole.is_none() {
            return Ok(());
        }
    }
}

fn screen(reader: &mut Reader<'_>, limits: ImageLimits) -> Result<Option<Frames>, ImageError> {
    let fields = |reader: &mut Reader<'_>| {
        reader.take(6)?;
        let (width, height, flags) = (reader.u16_le()?, reader.u16_le()?, reader.byte()?);
        // Background colour and aspect ratio.
        reader.take(2)?;
        Some((width, height, flags))
    };
    let Some((width, height, flags)) = fields(reader) else { return Ok(None) };
    reader.take_up_to(table_len(flags));
    Frames::on(width, height, limits).map(Some)
}

fn image(reader: &mut Reader<'_>, frames: &mut Frames) -> Result<Option<()>, ImageError> {
    let fields = |reader: &mut Reader<'_>| {
        let (x, y) = (reader.u16_le()?, reader.u16_le()?);
        let (width, height) = (reader.u16_le()?, reader.u16_le()?);
        Some((Area { x, y, width, height }, reader.byte()?))
    };
    let Some((area, flags)) = fields(reader) else { return Ok(None) };
    frames.add(area)?;
    reader.take_up_to(table_len(flags));
    // The minimum code size, then the data blocks.
    Ok(reader.byte().and_then(|_| skip_blocks(reader)))
}

/// Bytes of the colour table that `flags` announces.
fn table_len(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// Skips data sub-blocks, each after its length byte, including the empty one at the end.
fn skip_blocks(reader: &mut Reader<'_>) -> Option<()> {
    loop {
        match reader.byte()? {
            0 => return Some(()),
            len => _ = reader.take(len.into())?,
        }
    }
}
