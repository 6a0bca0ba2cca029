//! The values of a body one after another, and the check that a body is well-formed.

/// Maximum depth of nested lists and maps.
pub(crate) const MAX_DEPTH: usize = 200;

/// Why a body is not msgpack that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotMsgpack {
    /// It ends inside of a value, or a declared length goes beyond its end.
    #[error("the msgpack ends too early")]
    Truncated,
    /// Something follows the value.
    #[error("something follows the msgpack value")]
    Trailing,
    /// A byte that begins no value.
    #[error("a byte of the msgpack begins no value")]
    UnknownType,
    /// A key of a map is neither a text nor an integer.
    #[error("a key of a msgpack map is neither a text nor an integer")]
    BadKey,
    /// It is nested too deep.
    #[error("the msgpack is nested in more than {MAX_DEPTH} levels")]
    TooDeep,
    /// Beside bytes, it has a map that looks like the placeholder of an attachment.
    #[error("the msgpack has bytes, and a map that looks like the placeholder of an attachment")]
    Placeholder,
}

/// A value; of a list or a map only its number of entries, which follow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Head<'a> {
    Nil,
    Bool(bool),
    Unsigned(u64),
    /// A negative integer.
    Signed(i64),
    Float(f64),
    /// UTF-8, if the sender is right.
    Text(&'a [u8]),
    Binary(&'a [u8]),
    Extension(i8, &'a [u8]),
    List(u32),
    Map(u32),
}

/// Reads the values of a body.
#[derive(Clone, Debug)]
pub(super) struct Heads<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Heads<'a> {
    /// Reads from a byte of a body on.
    pub(super) fn new(body: &'a [u8], at: usize) -> Self {
        Self { body, at }
    }

    /// Bytes of the body that are passed.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Reads the next value.
    pub(super) fn read(&mut self) -> Result<Head<'a>, NotMsgpack> {
        let first = self.number::<1>()?[0];
        Ok(match first {
            0x00..=0x7f => Head::Unsigned(first.into()),
            0x80..=0x8f => Head::Map((first & 0x0f).into()),
            0x90..=0x9f => Head::List((first & 0x0f).into()),
            0xa0..=0xbf => Head::Text(self.bytes((first & 0x1f).into())?),
            0xc0 => Head::Nil,
            0xc1 => return Err(NotMsgpack::UnknownType),
            0xc2 | 0xc3 => Head::Bool(first == 0xc3),
            0xc4..=0xc6 => {
                let len = self.length(first - 0xc4)?;
                Head::Binary(self.bytes(len)?)
            }
            0xc7..=0xc9 => {
                let len = self.length(first - 0xc7)?;
                self.extension(len)?
            }
            0xca => Head::Float(f32::from_be_bytes(self.number()?).into()),
            0xcb => Head::Float(f64::from_be_bytes(self.number()?)),
            0xcc => Head::Unsigned(self.number::<1>()?[0].into()),
            0xcd => Head::Unsigned(u16::from_be_bytes(self.number()?).into()),
            0xce => Head::Unsigned(u32::from_be_bytes(self.number()?).into()),
            0xcf => Head::Unsigned(u64::from_be_bytes(self.number()?)),
            0xd0 => signed(i8::from_be_bytes(self.number()?).into()),
            0xd1 => signed(i16::from_be_bytes(self.number()?).into()),
            0xd2 => signed(i32::from_be_bytes(self.number()?).into()),
            0xd3 => signed(i64::from_be_bytes(self.number()?)),
            0xd4..=0xd8 => self.extension(1 << (first - 0xd4))?,
            0xd9..=0xdb => {
                let len = self.length(first - 0xd9)?;
                Head::Text(self.bytes(len)?)
            }
            0xdc | 0xdd => Head::List(self.length(first - 0xdc + 1)?),
            0xde | 0xdf => Head::Map(self.length(first - 0xde + 1)?),
            0xe0..=0xff => Head::Signed(i8::from_be_bytes([first]).into()),
        })
    }

    /// Passes a whole value, with all that is in it.
    pub(super) fn skip(&mut self) -> Result<(), NotMsgpack> {
        let mut left = 1_u64;
        while left > 0 {
            left -= 1;
            left += match self.read()? {
                Head::List(count) => u64::from(count),
                Head::Map(count) => 2 * u64::from(count),
                _ => 0,
            };
        }
        Ok(())
    }

    fn bytes(&mut self, len: u32) -> Result<&'a [u8], NotMsgpack> {
        let len = usize::try_from(len).map_err(|_| NotMsgpack::Truncated)?;
        let rest = self.body.get(self.at..).ok_or(NotMsgpack::Truncated)?;
        let bytes = rest.get(..len).ok_or(NotMsgpack::Truncated)?;
        self.at += len;
        Ok(bytes)
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N], NotMsgpack> {
        let bytes =
            self.body.get(self.at..).and_then(|rest| rest.first_chunk()).ok_or(NotMsgpack::Truncated)?;
        self.at += N;
        Ok(*bytes)
    }

    /// A length of one, two or four bytes.
    fn length(&mut self, width: u8) -> Result<u32, NotMsgpack> {
        Ok(match width {
            0 => self.number::<1>()?[0].into(),
            1 => u16::from_be_bytes(self.number()?).into(),
            _ => u32::from_be_bytes(self.number()?),
        })
    }

    fn extension(&mut self, len: u32) -> Result<Head<'a>, NotMsgpack> {
        let kind = i8::from_be_bytes(self.number()?);
        Ok(Head::Extension(kind, self.bytes(len)?))
    }
}

fn signed(value: i64) -> Head<'static> {
    u64::try_from(value).map_or(Head::Signed(value), Head::Unsigned)
}

/// The entries of a list or a map that are still to come. Of a map, a key or a value is one entry.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Frame {
    pub(super) left: u64,
    pub(super) is_map: bool,
}

impl Frame {
    /// The frame of a value that has entries.
    pub(super) fn of(head: &Head<'_>) -> Option<Self> {
        match head {
            Head::List(count) => Some(Self { left: u64::from(*count), is_map: false }),
            Head::Map(count) => Some(Self { left: 2 * u64::from(*count), is_map: true }),
            _ => None,
        }
    }

    /// Whether the next entry is a key.
    pub(super) fn is_at_key(self) -> bool {
        self.is_map && self.left.is_multiple_of(2)
    }
}

/// Checks that a body is one value. Allocates nothing.
pub(super) fn check(body: &[u8]) -> Result<(), NotMsgpack> {
    let mut heads = Heads::new(body, 0);
    let mut open = [Frame::default(); MAX_DEPTH + 1];
    open[0].left = 1;
    let mut depth = 0;
    let (mut has_bytes, mut has_placeholder) = (false, false);
    loop {
        while open[depth].left == 0 {
            if depth == 0 {
                return match (heads.at == body.len(), has_bytes && has_placeholder) {
                    (false, _) => Err(NotMsgpack::Trailing),
                    (true, true) => Err(NotMsgpack::Placeholder),
                    (true, false) => Ok(()),
                };
            }
            depth -= 1;
        }
        let is_key = open[depth].is_at_key();
        open[depth].left -= 1;
        let head = heads.read()?;
        match head {
            Head::Text(name) => has_placeholder |= is_key && name == b"_placeholder",
            Head::Unsigned(_) | Head::Signed(_) => {}
            _ if is_key => return Err(NotMsgpack::BadKey),
            Head::Binary(_) => has_bytes = true,
            _ => {}
        }
        if let Some(frame) = Frame::of(&head) {
            // Each entry has a byte at least.
            if frame.left > (body.len() - heads.at) as u64 {
                return Err(NotMsgpack::Truncated);
            }
            depth += 1;
            *open.get_mut(depth).ok_or(NotMsgpack::TooDeep)? = frame;
        }
    }
}

/// The text at the beginning of the list that a body is. Reads no more than that.
pub(crate) fn first_text(body: &[u8]) -> Option<&[u8]> {
    let mut heads = Heads::new(body, 0);
    match (heads.read().ok()?, heads.read().ok()?) {
        (Head::List(1..), Head::Text(text)) => Some(text),
        _ => None,
    }
}
