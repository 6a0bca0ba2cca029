mod classic;
mod clustered;
mod round_trips;

use bytes::Bytes;
use bytestring::ByteString;

use super::*;
use crate::{
    protocol::socketio::Args,
    socketio::cluster::{Flags, Opts, SocketShown, Target},
};

fn hex(text: &str) -> Bytes {
    let byte = |pair: &[u8]| {
        u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("two hex digits")
    };
    text.as_bytes().chunks(2).map(byte).collect::<Vec<_>>().into()
}

fn args(json: &str) -> Args {
    Args { json: json.into(), attachments: Vec::new() }
}

fn names(names: &[&str]) -> Vec<ByteString> {
    names.iter().map(|name| ByteString::from(*name)).collect()
}

fn opts(to: &[&str], except: &[&str]) -> Opts {
    Opts { target: Target { to: names(to), except: names(except) }, flags: Flags::default() }
}

fn with_timeout(opts: Opts) -> Opts {
    Opts { flags: Flags { timeout: Some(1000), ..opts.flags }, ..opts }
}

fn bin() -> Args {
    let json = r#"["bin",{"_placeholder":true,"num":0},{"deep":[{"_placeholder":true,"num":1}]}]"#;
    Args {
        json: json.into(),
        attachments: vec![Bytes::from_static(&[0, 1, 2, 255]), Bytes::from_static(b"hi")],
    }
}

fn qbin() -> Args {
    Args {
        json: r#"["qbin",{"_placeholder":true,"num":0}]"#.into(),
        attachments: vec![Bytes::from_static(&[9])],
    }
}

fn b1() -> SocketShown {
    SocketShown {
        id: "P7Xl6q1XLhAJ2XngAAAA".into(),
        rooms: names(&["P7Xl6q1XLhAJ2XngAAAA", "red"]),
        handshake: r#"{"headers":{"host":"127.0.0.1:7802"},"issued":1795690597328,"query":{"EIO":"4"},"auth":{"who":"b1"}}"#.into(),
        data: r#"{"who":"b1"}"#.into(),
    }
}
