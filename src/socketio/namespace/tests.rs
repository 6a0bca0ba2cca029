//! What other servers of a cluster have to do with the table of namespaces.

use std::sync::{Arc, Mutex, mpsc};

use bytestring::ByteString;
use tokio::sync::oneshot;

use super::{Bounds, ChildClient, Family, Found, Table};
use crate::{
    protocol::socketio::{Args, Pattern},
    socketio::{
        ServerEvent,
        cluster::{
            Mode::{self, AtOnce, InOrder},
            ServerEventHeard,
        },
        socket::Handshake,
    },
};

fn table(has_recovery: bool) -> Arc<Table> {
    Arc::new(Table::new(Bounds { max_children: 9, removes_empty: true }, has_recovery))
}

fn family() -> Family {
    Family::Pattern(Pattern::new("/org-*"))
}

/// A client connects.
fn client(table: &Arc<Table>, name: &'static str) -> ChildClient {
    let handshake = Handshake::new(Arc::default(), "{}".into());
    let Ok(Found { child: Some(child), .. }) = table.find(&name.into(), &handshake) else {
        panic!("{name} is of a family");
    };
    child
}

/// Has all changes kept from now on.
fn observed(table: &Table) -> impl Fn() -> Vec<(ByteString, Option<Mode>)> {
    let changes = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&changes);
    table.observe(Arc::new(move |name, mode| kept.lock().expect("a list").push((name.clone(), mode))));
    move || std::mem::take(&mut *changes.lock().expect("a list"))
}

#[test]
fn an_observer_is_told_of_each_namespace_that_is_there_comes_changes_or_goes_once() {
    let table = table(false);
    table.add(&"/old".into());
    let told = observed(&table);
    assert_eq!(told(), [("/old".into(), Some(AtOnce))]);
    table.add(&"/new".into());
    table.add(&"/new".into());
    table.change(&"/new".into(), |definition| definition.is_sequential = true);
    assert_eq!(told(), [("/new".into(), Some(AtOnce))]);
    table.change(&"/new".into(), |definition| definition.is_in_order = true);
    assert_eq!(told(), [("/new".into(), Some(InOrder))]);
    table.change(&"/new".into(), |definition| definition.has_rooms = false);
    assert_eq!(told(), [("/new".into(), None)]);
    table.remove(&"/new".into());
    table.remove(&"/old".into());
    table.remove(&"/old".into());
    assert_eq!(told(), [("/old".into(), None)]);
}

#[test]
fn namespaces_of_a_family_are_told_of_as_clients_come_and_go() {
    let table = table(false);
    let (first, told) = (table.add_family(family()), observed(&table));
    let clients = [client(&table, "/org-a"), client(&table, "/org-a"), client(&table, "/org-b")];
    assert_eq!(told(), [("/org-a".into(), Some(AtOnce)), ("/org-b".into(), Some(AtOnce))]);
    let [a, second, b] = clients;
    drop(a);
    assert_eq!(told(), []);
    table.change_family(first, |definition| definition.is_in_order = true);
    let mut changed = told();
    changed.sort_by_key(|(name, _)| name.clone());
    assert_eq!(changed, [("/org-a".into(), Some(InOrder)), ("/org-b".into(), Some(InOrder))]);
    drop(second);
    assert_eq!(told(), [("/org-a".into(), None)]);
    table.remove_family(first);
    assert_eq!(told(), [("/org-b".into(), None)]);
    drop(b);
    assert_eq!(told(), []);
}

#[test]
fn a_namespace_with_recovery_has_one_order_unless_it_goes_without() {
    for (has_recovery, mode, without) in [(true, InOrder, AtOnce), (false, AtOnce, AtOnce)] {
        let table = table(has_recovery);
        let name = ByteString::from("/");
        assert_eq!(table.mode(&name), None);
        table.add(&name);
        assert_eq!(table.mode(&name), Some(mode));
        table.change(&name, |definition| definition.recovers = false);
        assert_eq!(table.mode(&name), Some(without));
    }
}

fn heard(
    namespace: &'static str,
    json: &'static str,
    answer: Option<oneshot::Sender<Args>>,
) -> ServerEventHeard {
    let args = Args { json: json.into(), attachments: Vec::new() };
    ServerEventHeard { namespace: namespace.into(), args, answer }
}

/// Has the listeners of a definition tell what they hear.
fn listener(to: mpsc::Sender<String>, by: &'static str) -> impl Fn(&ServerEvent) + Send + Sync {
    move |event| {
        to.send(format!("{by}: {}", event.args().json)).expect("the test listens");
        event.answer(by);
    }
}

#[test]
fn an_event_of_another_server_reaches_all_its_listeners_and_a_panic_stops_none() {
    let table = table(false);
    let (to, told) = mpsc::channel();
    let family = table.add_family(family());
    table.change(&"/".into(), |definition| {
        let of_hello = definition.server_events.entry("hello".into()).or_default();
        of_hello.push(Arc::new(|_| panic!("a bug")));
        of_hello.push(Arc::new(listener(to.clone(), "first")));
        of_hello.push(Arc::new(listener(to.clone(), "second")));
    });
    table.change_family(family, |definition| {
        definition.server_events.entry("hello".into()).or_default().push(Arc::new(listener(to, "org")));
    });
    let _client = client(&table, "/org-a");
    let (answer, mut answered) = oneshot::channel();
    table.hear(heard("/", r#"["hello",1]"#, Some(answer)));
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [r#"first: ["hello",1]"#, r#"second: ["hello",1]"#]);
    assert_eq!(answered.try_recv().map(|args| args.json).as_deref(), Ok(r#"["first"]"#));
    table.hear(heard("/org-a", r#"["hello"]"#, None));
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [r#"org: ["hello"]"#]);
    for (namespace, json) in [
        ("/nowhere", r#"["hello"]"#),
        ("/org-b", r#"["hello"]"#),
        ("/", r#"["other"]"#),
        ("/", r#"[7]"#),
        ("/", "[]"),
        ("/", "junk"),
    ] {
        let (answer, mut answered) = oneshot::channel();
        table.hear(heard(namespace, json, Some(answer)));
        assert!(answered.try_recv().is_err(), "{namespace} {json}");
    }
    assert_eq!(told.try_iter().count(), 0);
}
