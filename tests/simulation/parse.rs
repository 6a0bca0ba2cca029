//! Reads what a client is sent: texts of the five dialects.

use echoroom::testing::simulation::EpochId;

use crate::names::{Names, Shown};

/// What a text of a dialect says.
#[derive(Debug)]
pub enum Told {
    Said {
        offset: u64,
        number: u32,
    },
    /// A text of a plain session, or bytes.
    Heard {
        number: u32,
    },
    Private {
        number: u32,
        from: usize,
        to: usize,
    },
    Come(Shown),
    Gone(Shown),
    Users(Vec<Shown>),
    Typing,
    /// The room has another epoch from here on.
    Epoch(EpochId),
    /// The session's own answer, which waits in its list.
    Answer,
}

/// The text of a message: its number, and bytes that make it longer.
pub fn body(number: u32, len: usize) -> String {
    let mut body = format!("m{number} ");
    body.extend(std::iter::repeat_n('x', len));
    body
}

/// The number of a message, by its text.
pub fn number(body: &str) -> Option<u32> {
    digits(body.strip_prefix('m')?)?.try_into().ok()
}

fn digits(text: &str) -> Option<u64> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

/// What follows the first `word`.
fn behind<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    text.find(word).map(|at| &text[at + word.len()..])
}

fn field<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    behind(text, word)?.split('"').next()
}

/// Reads one packet; `None` if it is nothing that a server says.
pub fn packet(text: &str, names: &Names) -> Option<Told> {
    if text == "!" || text.starts_with("! ") {
        return Some(Told::Answer);
    }
    if let Some(event) = text.strip_prefix(r#"{"event":""#).or_else(|| text.strip_prefix(r#"42[""#)) {
        return told(event, names);
    }
    if text.starts_with('m') {
        return Some(Told::Heard { number: number(text)? });
    }
    // Bytes are base64 in a poll; they begin with the number, in four characters for three.
    let bytes = base64(text.strip_prefix('b')?);
    Some(Told::Heard { number: number(&bytes)? })
}

fn told(event: &str, names: &Names) -> Option<Told> {
    let name = event.split('"').next()?;
    Some(match name {
        "receiveMessage" => Told::Said {
            offset: digits(behind(event, r#""offset":"#)?)?,
            number: number(field(event, r#""msg":""#)?)?,
        },
        "receivePrivate" => Told::Private {
            number: number(field(event, r#""msg":""#)?)?,
            from: names.nickname(field(event, r#""username":""#)?)?,
            to: names.nickname(field(event, r#""to":""#)?)?,
        },
        "addUser" => Told::Come(shown(event, names)?),
        "delUser" => Told::Gone(shown(event, names)?),
        "userList" => {
            let users = event.split(r#""username":""#).skip(1);
            let user = |text: &str| {
                let name = names.nickname(text.split('"').next()?)?;
                Some(Shown { name, avatar: names.avatar(field(text, r#""avatar":""#)?)? })
            };
            Told::Users(users.map(user).collect::<Option<_>>()?)
        }
        "typing" => names.nickname(field(event, r#""username":""#)?).map(|_| Told::Typing)?,
        "epoch" => Told::Epoch(field(event, r#""epoch":""#)?.parse().ok()?),
        _ => return None,
    })
}

fn shown(event: &str, names: &Names) -> Option<Shown> {
    let name = names.nickname(field(event, r#""username":""#)?)?;
    Some(Shown { name, avatar: names.avatar(field(event, r#""avatar":""#)?)? })
}

/// Numbers of the private messages in finished frames.
pub fn private_numbers(frames: &[u8], mut found: impl FnMut(u32)) {
    const MARK: &[u8] = br#"receivePrivate""#;
    const BODY: &[u8] = br#""msg":"m"#;
    let mut rest = frames;
    while let Some(at) = find(rest, MARK) {
        rest = &rest[at + MARK.len()..];
        let Some(at) = find(rest, BODY) else {
            return;
        };
        rest = &rest[at + BODY.len()..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
        found(digits.fold(0, |number, digit| number * 10 + u32::from(digit - b'0')));
    }
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    let first = word[0];
    let mut from = 0;
    while let Some(at) = text.get(from..)?.iter().position(|byte| *byte == first) {
        if text[from + at..].starts_with(word) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

/// Decodes the beginning of base64.
fn base64(text: &str) -> String {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let (mut bits, mut have, mut decoded) = (0_u32, 0, String::new());
    for value in text.bytes().map_while(value) {
        bits = bits << 6 | u32::from(value);
        have += 6;
        if have >= 8 {
            have -= 8;
            decoded.push(char::from((bits >> have) as u8));
            bits &= (1 << have) - 1;
        }
    }
    decoded
}
