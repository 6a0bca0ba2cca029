//! Reads what Redis answers, by RESP2 or RESP3.

use std::time::Duration;

use redis::Value;

use super::{
    records::{self, Head},
    users,
};
use crate::{
    journal::JournalError,
    nodes::{
        commands::{Answer, Appended, Command, Entered, Healed, Position, Refused, Relation, Stored, Swept},
        contract::Person,
    },
    redis_client::values::refusal,
};

/// An answer that is none to its call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadReply {
    /// Redis has refused the call.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The library in Redis is of another version, or what is stored is damaged.
    #[error("Redis has answered what cannot be read: {0}")]
    Unexpected(&'static str),
}

impl From<BadReply> for JournalError {
    fn from(reply: BadReply) -> Self {
        Self::Unavailable(reply.to_string())
    }
}

/// Reads the answer to a command.
///
/// # Errors
/// Redis has refused the call, or the answer is not one to it.
pub fn answer(command: &Command, reply: Value) -> Result<Answer, BadReply> {
    if let Some(text) = refusal(&reply) {
        return Err(Refused(text).into());
    }
    Ok(match command {
        Command::Attach { .. } => {
            let [wait, number] = array(reply)?;
            Answer::Attached { wait: time(wait)?, number: number_of(number)? }
        }
        Command::Alive { .. } => alive(reply)?,
        Command::Bury { .. } => Answer::Buried { is_more: flag(reply)? },
        Command::Open { .. } => Answer::Position(Box::new(position(reply)?)),
        Command::Read { .. } => Answer::Records(records(reply)?),
        Command::Append(_) => Answer::Appended(appended(reply)?),
        Command::Heal(_) => Answer::Healed(healed(reply)?),
        Command::Publish { .. }
        | Command::Whisper { .. }
        | Command::Probe { .. }
        | Command::KeepPicture { .. } => {
            number_of(reply)?;
            Answer::Done
        }
        Command::Sweep { .. } => {
            let [rooms, bytes] = array(reply)?;
            Answer::Swept(Swept { rooms: number_of(rooms)?, bytes: number_of(bytes)? })
        }
        Command::Sizes { .. } => Answer::Sized { is_fenced: !flag(reply)? },
        Command::Enter { .. } => Answer::Entered(entered(reply)?),
        Command::Leave { .. } => Answer::Left(match reply {
            Value::Nil => None,
            version => Some(number_of(version)?),
        }),
        Command::Forget { .. } => Answer::Forgot(flag(reply)?),
    })
}

fn alive(reply: Value) -> Result<Answer, BadReply> {
    let mut values = list(reply)?.into_iter();
    let is_fenced = flag(values.next().unwrap_or(Value::Nil))?;
    let grave = match values.next() {
        None => None,
        Some(grave) => Some(text(grave)?.parse().map_err(|_| BadReply::Unexpected("the uid of a node"))?),
    };
    Ok(Answer::Alive { is_fenced, grave })
}

fn appended(reply: Value) -> Result<Appended, BadReply> {
    if !matches!(reply, Value::Array(_)) {
        return Ok(Appended::At(number_of(reply)?));
    }
    let mut values = list(reply)?.into_iter();
    let word = text(values.next().unwrap_or(Value::Nil))?;
    Ok(match word.as_str() {
        "old" => Appended::Old,
        "fenced" => Appended::Fenced,
        "wait" => Appended::Wait(time(values.next().unwrap_or(Value::Nil))?),
        "dup" => {
            let numbers = values.map(number_of).collect::<Result<Vec<_>, _>>()?;
            let pairs = numbers.chunks_exact(2).map(|pair| Ok((u16::try_from(pair[0])?, pair[1])));
            let pairs = pairs.collect::<Result<_, std::num::TryFromIntError>>();
            Appended::Repeated(pairs.map_err(|_| BadReply::Unexpected("the place of a message"))?)
        }
        word => Appended::Not(relation(word)?),
    })
}

fn healed(reply: Value) -> Result<Healed, BadReply> {
    let [word, head] = array(reply)?;
    match text(word)?.as_str() {
        "to" => Ok(Healed::To(number_of(head)?)),
        "diverged" => Ok(Healed::Diverged),
        "fenced" => Ok(Healed::Fenced),
        _ => Err(BadReply::Unexpected("what became of records that were given back")),
    }
}

fn relation(word: &str) -> Result<Relation, BadReply> {
    match word {
        "ahead" => Ok(Relation::Ahead),
        "behind" => Ok(Relation::Behind),
        "diverged" => Ok(Relation::Diverged),
        _ => Err(BadReply::Unexpected("what became of a round")),
    }
}

fn entered(reply: Value) -> Result<Entered, BadReply> {
    let mut values = list(reply)?.into_iter();
    let mut next = || values.next().unwrap_or(Value::Nil);
    match text(next())?.as_str() {
        "yes" => {
            let version = number_of(next())?;
            let owner = users::read_owner(&text(next())?).ok_or(BadReply::Unexpected("an owner"))?;
            Ok(Entered::Yes { version, owner })
        }
        "taken" => Ok(Entered::Taken),
        "fenced" => Ok(Entered::Fenced),
        _ => Err(BadReply::Unexpected("what became of a claim")),
    }
}

fn position(reply: Value) -> Result<Position, BadReply> {
    let [head, epochs, wait, version, people, packed] = array(reply)?;
    let mut keys = Vec::new();
    for [id, packed] in groups(packed)? {
        let keyed = records::keyed(&bytes(id)?, &bytes(packed)?);
        keys.extend(keyed.ok_or(BadReply::Unexpected("the keys of a record"))?);
    }
    let epochs = records::read_epochs(&text(epochs)?);
    Ok(Position {
        epochs: epochs.ok_or(BadReply::Unexpected("the epochs of a room"))?,
        head: number_of(head)?,
        wait: time(wait)?,
        keys,
        version: number_of(version)?,
        people: if people == Value::Nil { None } else { Some(people_of(people)?) },
    })
}

/// Users in the order of their names' keys.
fn people_of(reply: Value) -> Result<Vec<Person>, BadReply> {
    let mut people = Vec::new();
    for [key, user, held_for] in groups(reply)? {
        let person = users::read_person(&text(user)?, number_of(held_for)?);
        people.push((text(key)?, person.ok_or(BadReply::Unexpected("a user"))?));
    }
    people.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    Ok(people.into_iter().map(|(_, person)| person).collect())
}

/// Heads of records, each with its entries.
pub(super) fn records(reply: Value) -> Result<Vec<Stored>, BadReply> {
    let record = |[head, entries]: [Value; 2]| {
        let head = Head::read(&bytes(head)?);
        head.and_then(|head| head.with(bytes(entries).ok()?.into())).ok_or(BadReply::Unexpected("a record"))
    };
    groups(reply)?.into_iter().map(record).collect()
}

pub(super) fn list(reply: Value) -> Result<Vec<Value>, BadReply> {
    match reply {
        Value::Array(values) => Ok(values),
        Value::ServerError(error) => Err(Refused(error.code().to_owned()).into()),
        _ => Err(BadReply::Unexpected("no list")),
    }
}

pub(super) fn array<const LEN: usize>(reply: Value) -> Result<[Value; LEN], BadReply> {
    list(reply)?.try_into().map_err(|_| BadReply::Unexpected("a list of another length"))
}

/// A list as groups of values.
pub(super) fn groups<const LEN: usize>(reply: Value) -> Result<Vec<[Value; LEN]>, BadReply> {
    let values = list(reply)?;
    if !values.len().is_multiple_of(LEN) {
        return Err(BadReply::Unexpected("a list of another length"));
    }
    let count = values.len() / LEN;
    let mut values = values.into_iter();
    Ok((0..count).map(|_| std::array::from_fn(|_| values.next().unwrap_or(Value::Nil))).collect())
}

pub(super) fn number_of(reply: Value) -> Result<u64, BadReply> {
    match reply {
        Value::Int(number) => u64::try_from(number).ok(),
        _ => None,
    }
    .ok_or(BadReply::Unexpected("no number"))
}

fn flag(reply: Value) -> Result<bool, BadReply> {
    Ok(number_of(reply)? != 0)
}

fn time(reply: Value) -> Result<Duration, BadReply> {
    number_of(reply).map(Duration::from_millis)
}

fn bytes(reply: Value) -> Result<Vec<u8>, BadReply> {
    match reply {
        Value::BulkString(bytes) => Ok(bytes),
        _ => Err(BadReply::Unexpected("no text")),
    }
}

pub(super) fn text(reply: Value) -> Result<String, BadReply> {
    String::from_utf8(bytes(reply)?).map_err(|_| BadReply::Unexpected("a text that is not UTF-8"))
}
