//! Reads values that Redis answers, by RESP2 or RESP3.

use redis::Value;

/// The text of an error of Redis.
pub(crate) fn refusal(value: &Value) -> Option<String> {
    match value {
        Value::ServerError(error) => {
            Some(format!("{} {}", error.code(), error.details().unwrap_or_default()).trim_end().to_owned())
        }
        _ => None,
    }
}

/// The text of an answer, if it is one.
pub(crate) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::VerbatimString { text, .. } | Value::SimpleString(text) => Some(text.clone()),
        _ => None,
    }
}

/// The values of a list; none of another answer.
pub(crate) fn list_of(value: &Value) -> &[Value] {
    match value {
        Value::Array(values) => values,
        _ => &[],
    }
}
