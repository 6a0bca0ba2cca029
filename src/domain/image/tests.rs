use proptest::{collection::vec, prelude::*};

use super::*;

const LIMITS: ImageLimits = ImageLimits { bytes: 4096, side: 100, pixels: 40_000 };

/// The first bytes of a picture of this type, `side` pixels wide and high.
fn picture(kind: &str, side: u16) -> Vec<u8> {
    let [high, low] = side.to_be_bytes();
    match kind {
        "image/png" => {
            let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
            png.extend([0, 0, high, low, 0, 0, high, low, 8, 6, 0, 0, 0]);
            png
        }
        "image/gif" => {
            let mut gif = b"GIF89a".to_vec();
            gif.extend([low, high, low, high, 0, 0, 0]);
            gif
        }
        "image/jpeg" => {
            let mut jpeg = vec![0xFF, 0xD8, 0xFF, 0xE0, 0, 16];
            jpeg.extend(b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
            jpeg.extend([0xFF, 0xC0, 0, 17, 8, high, low, high, low, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1]);
            jpeg.extend([0xFF, 0xD9]);
            jpeg
        }
        "image/webp" => {
            let mut webp = b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0".to_vec();
            let [high, low] = (side - 1).to_be_bytes();
            webp.extend([low, high, 0, low, high, 0]);
            webp
        }
        other => panic!("no picture of type {other}"),
    }
}

/// A data URL of a picture of this type.
pub(in crate::domain) fn data_url(kind: &str) -> String {
    format!("data:{kind};base64,{}", BASE64_STANDARD.encode(picture(kind, 16)))
}

#[test]
fn four_kinds_of_pictures_pass() {
    for kind in ["image/png", "image/jpeg", "image/gif", "image/webp"] {
        assert_eq!(check(&data_url(kind), LIMITS), Ok(()), "{kind}");
    }
}

#[test]
fn no_other_kind_passes() {
    assert_eq!(
        check("data:image/svg+xml;base64,PHN2Zy8+", LIMITS),
        Err(ImageError::OtherType("image/svg+xml".to_owned()))
    );
    assert_eq!(
        check("data:text/html;base64,YQ==", LIMITS),
        Err(ImageError::OtherType("text/html".to_owned()))
    );
    for no_url in ["", "hello", "http://x/y.png", "data:image/png,abc", "data:image/png;base64"] {
        assert_eq!(check(no_url, LIMITS), Err(ImageError::NoDataUrl), "{no_url}");
    }
}

#[test]
fn the_bytes_must_be_what_the_url_says() {
    let lie = data_url("image/png").replace("image/png", "image/gif");
    assert_eq!(check(&lie, LIMITS), Err(ImageError::OtherBytes("image/gif")));
    assert_eq!(check("data:image/png;base64,", LIMITS), Err(ImageError::OtherBytes("image/png")));
    assert_eq!(check("data:image/png;base64,?", LIMITS), Err(ImageError::NoBase64));
}

#[test]
fn size_and_dimensions_are_bounded() {
    let url = data_url("image/png");
    let limits = ImageLimits { bytes: url.len() - 1, ..LIMITS };
    assert_eq!(check(&url, limits), Err(ImageError::TooLarge { got: url.len(), limit: url.len() - 1 }));
    for kind in ["image/png", "image/jpeg", "image/gif", "image/webp"] {
        let huge = format!("data:{kind};base64,{}", BASE64_STANDARD.encode(picture(kind, 60_000)));
        assert_eq!(check(&huge, LIMITS), Err(ImageError::Dimensions { limit: 100 }), "{kind}");
    }
    let cut = format!("data:image/png;base64,{}", BASE64_STANDARD.encode(&picture("image/png", 16)[..12]));
    assert_eq!(check(&cut, LIMITS), Err(ImageError::Unreadable));
}

/// Checks bytes under the type that their start shows.
fn verdict(bytes: &[u8]) -> Result<(), ImageError> {
    let format = FORMATS.iter().find(|format| (format.is_it)(bytes)).expect("a picture");
    (format.walk)(bytes, LIMITS)
}

/// A GIF of 100 × 100 pixels with frames at x, y, width, height.
fn gif(frames: &[[u16; 4]]) -> Vec<u8> {
    let mut gif = b"GIF89a\x64\0\x64\0\x80\0\0\0\0\0\xFF\xFF\xFF".to_vec();
    gif.extend(b"\x21\xFF\x0BNETSCAPE2.0\x03\x01\0\0\0");
    for frame in frames {
        gif.extend([0x21, 0xF9, 4, 0, 10, 0, 0, 0, 0x2C]);
        gif.extend(frame.iter().flat_map(|number| number.to_le_bytes()));
        gif.extend([0x81, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 2, 2, 0x4C, 0x01, 0]);
    }
    gif.push(0x3B);
    gif
}

fn chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32).to_be_bytes()[..], kind, body, &[0; 4]].concat()
}

/// A PNG of 100 × 100 pixels with these chunks.
fn png(chunks: &[Vec<u8>]) -> Vec<u8> {
    let header = chunk(b"IHDR", &[0, 0, 0, 100, 0, 0, 0, 100, 8, 6, 0, 0, 0]);
    [png::SIGNATURE, &header, &chunks.concat(), &chunk(b"IEND", &[])].concat()
}

/// The control chunk of a frame: x, y, width, height.
fn control([x, y, width, height]: [u32; 4]) -> Vec<u8> {
    let numbers = [0, width, height, x, y];
    let body: Vec<u8> =
        numbers.iter().flat_map(|number| number.to_be_bytes()).chain([0, 1, 0, 10, 0, 0]).collect();
    chunk(b"fcTL", &body)
}

fn data() -> Vec<u8> {
    chunk(b"IDAT", &[1, 2, 3])
}

fn riff(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let padding: &[u8] = if body.len() % 2 == 1 { &[0] } else { &[] };
    [&kind[..], &(body.len() as u32).to_le_bytes(), body, padding].concat()
}

/// A WebP file of these chunks.
fn webp(chunks: &[Vec<u8>]) -> Vec<u8> {
    riff(b"RIFF", &[&b"WEBP"[..], &chunks.concat()].concat())
}

fn u24(number: u32) -> [u8; 3] {
    let [low, middle, high, _] = number.to_le_bytes();
    [low, middle, high]
}

fn screen(width: u32, height: u32) -> Vec<u8> {
    riff(b"VP8X", &[&[2, 0, 0, 0][..], &u24(width - 1), &u24(height - 1)].concat())
}

fn lossy(width: u16, height: u16) -> Vec<u8> {
    riff(
        b"VP8 ",
        &[&[0, 0, 0, 0x9D, 0x01, 0x2A][..], &width.to_le_bytes(), &height.to_le_bytes(), &[7; 5]].concat(),
    )
}

fn lossless(width: u32, height: u32) -> Vec<u8> {
    let bits = (width - 1) | (height - 1) << 14;
    riff(b"VP8L", &[&[0x2F][..], &bits.to_le_bytes(), &[7; 4]].concat())
}

/// A frame of an animation at x, y, with its picture.
fn animated(x: u32, y: u32, width: u32, height: u32, picture: &[u8]) -> Vec<u8> {
    let head = [u24(x / 2), u24(y / 2), u24(width - 1), u24(height - 1), u24(100)].concat();
    riff(b"ANMF", &[&head[..], &[0], picture].concat())
}

fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    let [high, low] = (body.len() as u16 + 2).to_be_bytes();
    [&[0xFF, marker, high, low], body].concat()
}

fn frame_header(marker: u8, width: u16, height: u16) -> Vec<u8> {
    let ([top, low], [left, right]) = (height.to_be_bytes(), width.to_be_bytes());
    segment(marker, &[8, top, low, left, right, 1, 1, 0x11, 0])
}

fn scan() -> Vec<u8> {
    [segment(0xDA, &[1, 1, 0, 0, 63, 0]), vec![1, 2, 0xFF, 0, 3, 0xFF, 0xD0, 4]].concat()
}

/// A JPEG of these segments.
fn jpeg(segments: &[Vec<u8>]) -> Vec<u8> {
    [
        &[0xFF, 0xD8][..],
        &segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"),
        &segments.concat(),
        &[0xFF, 0xD9],
    ]
    .concat()
}

/// Valid pictures, one of each format with all its optional parts.
fn sound() -> Vec<Vec<u8>> {
    vec![
        gif(&[[0, 0, 100, 100]]),
        gif(&[[0, 0, 100, 100], [10, 20, 90, 80], [99, 99, 1, 1]]),
        png(&[data(), data()]),
        png(&[
            chunk(b"acTL", &[0; 8]),
            control([0, 0, 100, 100]),
            data(),
            control([50, 50, 50, 50]),
            chunk(b"fdAT", &[0; 9]),
        ]),
        webp(&[lossy(100, 100)]),
        webp(&[lossless(100, 7)]),
        webp(&[screen(100, 100), riff(b"ALPH", &[1]), lossy(100, 100), riff(b"EXIF", &[1, 2, 3])]),
        webp(&[
            screen(100, 100),
            riff(b"ANIM", &[0; 6]),
            animated(0, 0, 100, 100, &lossy(100, 100)),
            animated(40, 40, 60, 60, &[riff(b"ALPH", &[1]), lossless(60, 60)].concat()),
        ]),
        jpeg(&[frame_header(0xC0, 100, 100), scan()]),
        jpeg(&[
            segment(0xC4, &[0; 20]),
            frame_header(0xC2, 100, 100),
            scan(),
            segment(0xC4, &[0; 20]),
            scan(),
            scan(),
        ]),
    ]
}

#[test]
fn pictures_with_sound_frames_pass_whole_or_cut() {
    for (number, picture) in sound().iter().enumerate() {
        assert_eq!(verdict(picture), Ok(()), "picture {number}");
        for len in picture.len() - 4..picture.len() {
            assert_eq!(verdict(&picture[..len]), Ok(()), "the first {len} bytes of picture {number}");
        }
    }
}

#[test]
fn a_frame_over_the_edge_is_refused() {
    for [x, y, width, height] in
        [[0, 0, 16_000, 16_000], [1, 0, 100, 1], [0, 99, 1, 2], [65_535, 0, 65_535, 1]]
    {
        let (wide, tall) = (width.into(), height.into());
        let pictures = [
            gif(&[[0, 0, 100, 100], [x, y, width, height]]),
            gif(&[[x, y, width, height]]),
            png(&[data(), control([x.into(), y.into(), wide, tall])]),
            png(&[control([u32::MAX, u32::MAX, u32::MAX, u32::MAX])]),
            webp(&[screen(100, 100), animated(u32::from(x) + 100, y.into(), wide, tall, &[])]),
        ];
        for (number, picture) in pictures.iter().enumerate() {
            assert_eq!(
                verdict(picture),
                Err(ImageError::FrameOutside),
                "picture {number} of {x} {y} {width} {height}"
            );
        }
    }
}

#[test]
fn a_picture_inside_a_picture_has_the_sides_that_the_outer_one_tells() {
    for lie in [
        webp(&[screen(16, 16), lossy(100, 100)]),
        webp(&[screen(16, 16), lossless(16, 17)]),
        webp(&[screen(100, 100), animated(0, 0, 16, 16, &lossy(100, 100))]),
        webp(&[lossy(16, 16), lossy(100, 100)]),
    ] {
        assert_eq!(verdict(&lie), Err(ImageError::FrameOutside));
    }
    for second in [
        png(&[chunk(b"IHDR", &[0, 0, 0, 200, 0, 0, 0, 200, 8, 6, 0, 0, 0]), data()]),
        jpeg(&[frame_header(0xC0, 16, 16), frame_header(0xC0, 100, 100), scan()]),
        jpeg(&[frame_header(0xC0, 16, 16), scan(), segment(0xDC, &[0xFF, 0xFF])]),
        webp(&[screen(16, 16), screen(100, 100), lossy(16, 16)]),
    ] {
        assert_eq!(verdict(&second), Err(ImageError::Unreadable));
    }
}

#[test]
fn the_pixels_of_all_frames_are_bounded() {
    let whole = [0, 0, 100, 100];
    let too_many = Err(ImageError::TooManyPixels { limit: 40_000 });
    for (frames, expected) in [(4, Ok(())), (5, too_many)] {
        let controls = |count| (0..count).map(|_| control([0, 0, 100, 100]));
        let many: Vec<_> = (0..frames).map(|_| animated(0, 0, 100, 100, &lossy(100, 100))).collect();
        for picture in [
            gif(&vec![whole; frames]),
            png(&controls(frames).collect::<Vec<_>>()),
            png(&[data()].into_iter().chain(controls(frames - 1)).collect::<Vec<_>>()),
            webp(&[vec![screen(100, 100)], many].concat()),
        ] {
            assert_eq!(verdict(&picture), expected, "{frames} frames");
        }
    }
    let url = data_url("image/png");
    let limits = ImageLimits { pixels: 255, ..LIMITS };
    assert_eq!(check(&url, limits), Err(ImageError::TooManyPixels { limit: 255 }), "of a still picture too");
}

#[test]
fn the_number_of_frames_and_scans_is_bounded() {
    let small = vec![[0, 0, 1, 1]; MAX_FRAMES + 1];
    assert_eq!(verdict(&gif(&small[1..])), Ok(()));
    assert_eq!(verdict(&gif(&small)), Err(ImageError::TooManyFrames));
    let parts = lossless(2, 2).repeat(MAX_FRAMES);
    assert_eq!(verdict(&webp(&[screen(2, 2), animated(0, 0, 2, 2, &parts)])), Err(ImageError::TooManyFrames));
    let scans = |count| jpeg(&[frame_header(0xC2, 100, 100), scan().repeat(count)]);
    assert_eq!(verdict(&scans(100)), Ok(()));
    assert_eq!(verdict(&scans(101)), Err(ImageError::TooManyFrames));
}

#[test]
fn nothing_follows_the_end_of_a_picture() {
    for (number, picture) in sound().iter().enumerate() {
        for behind in [&b"\0"[..], b"<script>", picture] {
            let more = [picture, behind].concat();
            assert_eq!(verdict(&more), Err(ImageError::MoreBehind), "picture {number}");
        }
    }
}

#[test]
fn what_no_reader_agrees_on_is_refused() {
    for bad in [
        b"GIF89a\x10\0\x10\0\0\0\0\x77".to_vec(),
        png(&[chunk(b"\0\0\0\0", &[])]),
        [png::SIGNATURE, &chunk(b"IDAT", &[0; 13])].concat(),
        b"RIFF\x04\0\0\0WEBP".to_vec(),
        webp(&[riff(b"VP8 ", &[0; 20])]),
        webp(&[riff(b"JUNK", &[0; 20]), lossy(10, 10)]),
        jpeg(&[]),
        jpeg(&[scan(), frame_header(0xC0, 10, 10)]),
        jpeg(&[vec![1, 2, 3], frame_header(0xC0, 10, 10)]),
        jpeg(&[vec![0xFF, 0xE1, 0, 1], frame_header(0xC0, 10, 10)]),
        b"\xFF\xD8\xFF".to_vec(),
    ] {
        assert_eq!(verdict(&bad), Err(ImageError::Unreadable), "{bad:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_check_panic(which in 0..4_usize, bytes in vec(any::<u8>(), 0..400)) {
        let start: [&[u8]; 4] = [png::SIGNATURE, b"\xFF\xD8\xFF", b"GIF89a", b"RIFF\xFF\0\0\0WEBP"];
        let _ = verdict(&[start[which], &bytes].concat());
    }

    #[test]
    fn no_damage_to_a_picture_makes_the_check_panic(
        which in 0..10_usize,
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut picture = sound().swap_remove(which);
        for (at, byte) in damage {
            let at = 12 + at.index(picture.len() - 12);
            picture[at] = byte;
        }
        let _ = verdict(&picture);
        let _ = verdict(&picture[..12 + cut.index(picture.len() - 12)]);
    }
}
