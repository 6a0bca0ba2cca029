//! The door of Socket.IO: the chat in the main namespace, and the relay.

use std::rc::Rc;

use actix_web::web;

use crate::{session::Worker, socketio::Door};

/// The door of a worker, whose sessions the worker's own fan-out serves.
pub(crate) fn door(worker: &web::Data<Worker>) -> Door {
    let desk = worker.io.engine().desk_at(worker.fanout.clone(), worker.outlets.clone());
    worker.io.door(desk, Some(Rc::new(worker.clone())))
}
