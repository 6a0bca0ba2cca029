//! Counts the frames of a picture and their pixels.

use super::{ImageError, ImageLimits};

/// Maximum number of frames of a picture. Each picture inside a WebP frame counts as one more.
pub(crate) const MAX_FRAMES: usize = 1000;

/// A part of a screen, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// The frames found so far.
#[derive(Debug)]
pub(super) struct Frames {
    limits: ImageLimits,
    width: u32,
    height: u32,
    count: usize,
    pixels: u64,
}

impl Frames {
    /// Starts with an empty screen of `width` × `height` pixels.
    pub(super) fn on(width: u32, height: u32, limits: ImageLimits) -> Result<Self, ImageError> {
        let fits = |side: u32| side >= 1 && u64::from(side) <= limits.side as u64;
        if !fits(width) || !fits(height) {
            return Err(ImageError::Dimensions { limit: limits.side });
        }
        let frames = Self { limits, width, height, count: 0, pixels: 0 };
        if u64::from(width) * u64::from(height) > limits.pixels {
            return Err(ImageError::TooManyPixels { limit: limits.pixels });
        }
        Ok(frames)
    }

    /// Counts a frame, which must lie on the screen.
    pub(super) fn add(&mut self, area: Area) -> Result<(), ImageError> {
        let Area { x, y, width, height } = area;
        let ends_within =
            |from: u32, len: u32, side: u32| len >= 1 && u64::from(from) + u64::from(len) <= side.into();
        if !ends_within(x, width, self.width) || !ends_within(y, height, self.height) {
            return Err(ImageError::FrameOutside);
        }
        self.count += 1;
        self.pixels += u64::from(width) * u64::from(height);
        if self.count > MAX_FRAMES {
            return Err(ImageError::TooManyFrames);
        }
        if self.pixels > self.limits.pixels {
            return Err(ImageError::TooManyPixels { limit: self.limits.pixels });
        }
        Ok(())
    }

    /// Counts a frame as large as the screen.
    pub(super) fn add_whole(&mut self) -> Result<(), ImageError> {
        self.add(Area { x: 0, y: 0, width: self.width, height: self.height })
    }

    /// Counts another part of a frame whose pixels have been counted.
    pub(super) fn add_part(&mut self) -> Result<(), ImageError> {
        self.count += 1;
        if self.count > MAX_FRAMES { Err(ImageError::TooManyFrames) } else { Ok(()) }
    }

    /// Whether the screen is `width` × `height` pixels.
    pub(super) fn is_of(&self, width: u32, height: u32) -> bool {
        (self.width, self.height) == (width, height)
    }
}
