//! Compression of WebSocket messages (RFC 7692), by one compressor and one decompressor for each thread.

use std::cell::RefCell;

use bytes::Bytes;

use crate::{
    connection::outbound::Outbound,
    protocol::websocket::{
        deflate::{self, Agreement, Deflaters, Inflater},
        frame::{self, OpCode},
    },
};

thread_local! {
    static DEFLATERS: RefCell<Deflaters> = RefCell::default();
    static INFLATER: Inflater = Inflater::default();
}

/// The decompressor of this thread.
pub(super) fn inflater() -> Inflater {
    INFLATER.with(Inflater::clone)
}

/// Queues a message compressed, if it is worth it. Otherwise gives it back.
pub(super) fn answer(
    outbound: &Outbound,
    agreement: Agreement,
    opcode: OpCode,
    payload: Bytes,
) -> Result<(), Bytes> {
    if !deflate::is_worth_it(payload.len()) {
        return Err(payload);
    }
    DEFLATERS.with_borrow_mut(|deflaters| {
        match deflaters.with_window(agreement.window_bits()).deflate(&payload) {
            Some(small) => {
                outbound.answer(|out| frame::write_compressed(out, opcode, small));
                Ok(())
            }
            None => Err(payload),
        }
    })
}
