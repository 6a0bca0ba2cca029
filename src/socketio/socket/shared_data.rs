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
pub(crate) struct SharedData {
    show: Box<Show>,
    read: Box<Read>,
}

impl SharedData {
    /// For data of the type `U`.
    pub(crate) fn of<U: SocketData + Serialize + DeserializeOwned>() -> Self {
        Self {
            show: Box::new(|data| serde_json::to_string(data.downcast_ref::<U>()?).ok()),
            read: Box::new(|json| Some(Arc::new(from_json::<U>(json)?))),
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::*;

    /// Data whose code fails.
    struct Bad(bool);

    impl Serialize for Bad {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            assert!(self.0, "a bug");
            Err(serde::ser::Error::custom("it cannot be encoded"))
        }
    }

    impl<'de> Deserialize<'de> for Bad {
        fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            panic!("a bug")
        }
    }

    #[test]
    fn data_is_shown_as_it_is_now_and_read_again() {
        let shared = SharedData::of::<Mutex<Vec<u8>>>();
        let list = Arc::new(Mutex::new(vec![1]));
        let data: Data = Arc::<Mutex<Vec<u8>>>::clone(&list);
        assert_eq!(shared.show(&data), "[1]");
        list.lock().expect("a list").push(2);
        assert_eq!(shared.show(&data), "[1,2]");
        let read = shared.read("[3]").expect("it fits").downcast::<Mutex<Vec<u8>>>().expect("a list");
        assert_eq!(*read.lock().expect("a list"), [3]);
        assert!(shared.read(r#"["x"]"#).is_none() && shared.read("").is_none());
    }

    #[test]
    fn data_that_cannot_be_shown_is_null_and_a_panic_goes_no_further() {
        let shared = SharedData::of::<Bad>();
        for data in [Arc::new(Bad(true)) as Data, Arc::new(Bad(false)), Arc::new(7)] {
            assert_eq!(shared.show(&data), "null");
        }
        assert!(shared.read("{}").is_none());
    }

    #[test]
    fn half_of_a_surrogate_pair_is_read_as_a_replacement() {
        assert_eq!(from_json::<String>(r#""\ud800x""#).as_deref(), Some("\u{FFFD}x"));
        assert_eq!(from_json::<(u8, u8)>("[1,2]"), Some((1, 2)), "a tuple is one value");
        assert_eq!(from_json::<u8>("\"1\""), None);
    }
}
