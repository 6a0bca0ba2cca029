//! The door of Socket.IO: the chat in the main namespace, and the relay.

use std::sync::Arc;

use actix_web::web;

use crate::{
    config::{Settings, Switch},
    protocol::socketio::{Limits, MAIN},
    session::{
        Worker,
        chat_socket::ChatNamespace,
        relay::{self, Relay},
    },
    socketio::{Cors, Door, Origins, Policy, namespaces::Namespaces},
};

/// The door of the chat, in the main namespace, and of the relay if that is on.
pub(crate) fn chat_door(worker: &web::Data<Worker>) -> Door {
    let limits = Limits {
        attachments: worker.settings.socketio.max_attachments.get(),
        attachment_bytes: worker.settings.events.max_payload.get(),
    };
    let mut namespaces = Namespaces::new(limits).with(MAIN, ChatNamespace::new(worker.clone()));
    if worker.settings.socketio.relay == Switch::On {
        namespaces = namespaces.with(relay::NAMESPACE, Relay::of(&worker.settings));
    }
    let desk = worker.engine.desk_at(worker.fanout.clone(), worker.outlets.clone());
    Door::new(Arc::clone(&worker.engine), namespaces.carried_at(&worker.engine, desk))
        .with_policy(policy(worker, &worker.settings))
}

/// The checks of this server's other doors: origins, sessions in total and per address.
fn policy(worker: &Worker, settings: &Settings) -> Policy {
    let cors = Origins::List(settings.socketio.cors_origin.clone());
    Policy {
        origins: Origins::List(settings.origins.allow_origin.clone()),
        cors: Cors { credentials: true, ..Cors::of(cors) },
        trusted_proxies: settings.admission.trusted_proxy.clone(),
        admission: Some(Arc::clone(&worker.admission)),
        body_timeout: settings.connections.body_timeout.get(),
        ..Policy::default()
    }
}
