//! The data of sockets as other servers see it: JSON.

use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use bytestring::ByteString;
use log::error;
use serde::{Serialize, de::DeserializeOwned};

use super::{Data, SocketData};
use crate::protocol::socketio::Args;

/// Makes JSON of the data of a socket; `None` if it has another type, or cannot be encoded.
type Show = dyn Fn(&(dyn Any + Send + Sync)) -> Option<String> + Send + Sync;

/// Makes data of JSON; `None` if it does not fit.
type Read = dyn Fn(&str) -> Option<Data> + Send + Sync;

/// How the data of a namespace's sockets becomes JSON, and is read from it.
#[derive(Clone)]
pub(crate) struct SharedData {
    show: Arc<Show>,
    read: Arc<Read>,
}

impl SharedData {
    /// For data of the type `U`.
    pub(crate) fn of<U: SocketData + Serialize + DeserializeOwned>() -> Self {
        Self {
            show: Arc::new(|data| serde_json::to_string(data.downcast_ref::<U>()?).ok()),
            read: Arc::new(|json| Some(Arc::new(from_json::<U>(json)?))),
        }
    }

    /// JSON of data: `null` if it has another type, cannot be encoded, or the program's code panics over it.
    pub(crate) fn show(&self, data: &Data) -> ByteString {
        let shown = catch_unwind(AssertUnwindSafe(|| (self.show)(&**data)));
        let json = shown.unwrap_or_else(|_| {
            error!("the data of a socket cannot be shown to other servers: its encoding panicked");
            None
        });
        json.map_or(ByteString::from_static("null"), ByteString::from)
    }

    /// Data from JSON; `None` if it does not fit, or the program's code panics over it.
    pub(crate) fn read(&self, json: &str) -> Option<Data> {
        catch_unwind(AssertUnwindSafe(|| (self.read)(json))).unwrap_or_else(|_| {
            error!("the data of a socket cannot be read: its decoding panicked");
            None
        })
    }
}

/// A value from JSON, in which half of a surrogate pair is read as U+FFFD.
pub(crate) fn from_json<T: DeserializeOwned>(json: &str) -> Option<T> {
    let args = Args { json: format!("[{json}]").into(), attachments: Vec::new() };
    args.decode_answer::<(T,)>().ok().map(|(value,)| value)
}

impl fmt::Debug for SharedData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedData")
    }
}
