//! A setting of the library's server that cannot be used is refused by its name.

use std::time::Duration;

use echoroom::socketio::{Builder, Server};

#[test]
fn a_builder_names_the_setting_that_cannot_be_used() {
    type Change = fn(Builder) -> Builder;
    let changes: [(&str, Change); 26] = [
        ("path", |b| b.path("/{any}")),
        ("path", |b| b.path("/a b")),
        ("node_name", |b| b.node_name("")),
        ("node_name", |b| b.node_name("a/bc")),
        ("transports", |b| b.transports([])),
        ("ping_interval", |b| b.ping_interval(Duration::ZERO)),
        ("ping_timeout", |b| b.ping_timeout(Duration::MAX)),
        ("upgrade_timeout", |b| b.upgrade_timeout(Duration::ZERO)),
        ("connect_timeout", |b| b.connect_timeout(Duration::MAX)),
        ("polling_open_timeout", |b| b.polling_open_timeout(Duration::ZERO)),
        ("stall_timeout", |b| b.stall_timeout(Duration::ZERO)),
        ("body_timeout", |b| b.body_timeout(Duration::ZERO)),
        ("max_payload", |b| b.max_payload(0)),
        ("max_payload_before_connect", |b| b.max_payload_before_connect(0)),
        ("max_attachments", |b| b.max_attachments(usize::MAX)),
        ("max_waiting_bytes", |b| b.max_waiting_bytes(0)),
        ("max_unhandled_bytes", |b| b.max_unhandled_bytes(usize::MAX)),
        ("max_pending_acks", |b| b.max_pending_acks(0)),
        ("max_fragments", |b| b.max_fragments(0)),
        ("max_rooms", |b| b.max_rooms(0)),
        ("max_child_namespaces", |b| b.max_child_namespaces(0)),
        ("max_namespaces_per_client", |b| b.max_namespaces_per_client(0)),
        ("max_idle_packets", |b| b.max_idle_packets(Some((f64::NAN, 1.0)))),
        ("max_idle_packets", |b| b.max_idle_packets(Some((-1.0, 1.0)))),
        ("max_idle_packets", |b| b.max_idle_packets(Some((1.0, 0.0)))),
        ("memory", |b| b.memory(0)),
    ];
    for (name, change) in changes {
        let error = change(Server::builder()).try_build().expect_err(name).to_string();
        let behind = error.strip_prefix(name).unwrap_or_default();
        assert!(behind.starts_with([' ', ':']), "{name}: {error}");
    }
}
