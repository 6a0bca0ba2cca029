//! [msgpack](https://github.com/msgpack/msgpack/blob/master/spec.md), as servers of a cluster send arguments to each other:
//! attachments stand in place, without placeholders.

#![allow(dead_code)]

pub(crate) use self::{
    heads::{MAX_DEPTH, NotMsgpack, first_text},
    to_json::write_json_text,
    view::{Entries, View},
    write::{
        Unwritable, show_attachments, write_bool, write_json, write_list, write_map, write_text,
        write_unsigned,
    },
};

mod heads;
mod number;
mod time;
mod to_json;
mod view;
mod write;

#[cfg(test)]
mod tests;
