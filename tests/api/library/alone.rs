//! What reaches over several servers, of a server that is alone.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use echoroom::socketio::{ByteString, EncodeError, Handshake, Namespace, Server, ServerEmitError, Socket};
use serde_json::{Value, json};

use super::{EACH, Peer, Told};
use crate::{helpers::soon, sockets::serve};

/// The data of the sockets: words that they have said.
type Words = Mutex<Vec<String>>;

/// A namespace whose sockets join a room and keep words.
fn tea(io: &Server) -> Namespace<Words> {
    io.namespace("/tea")
        .admit(async |handshake: &Handshake| {
            let auth: BTreeMap<String, String> = handshake.auth().map_err(|_| "no texts")?;
            Ok(Words::new(auth.into_values().collect()))
        })
        .connect(async |socket: Socket<Words>| drop(socket.join("pot")))
        .on("say", async |socket: Socket<Words>, word: String| {
            socket.data().lock().expect("words").push(word);
            socket.emit("said", &());
        })
}

#[actix_web::test]
async fn sockets_and_rooms_are_looked_up_as_on_several_servers() {
    for by in EACH {
        let io = Server::builder().build();
        let tea = tea(&io).share_data();
        let server = serve(&io, 2);
        let mut peer = Peer::open(&server, by).await;
        peer.send(r#"0/tea,{"word":"hot"}"#).await;
        assert!(peer.next().await.starts_with("0/tea,{"));
        peer.expect(r#"2/tea,["say","cold"]"#, r#"2/tea,["said"]"#).await;
        let sockets = soon("sockets", tea.fetch_sockets()).await.expect("a reply");
        assert_eq!((sockets.len(), sockets.missing_servers()), (1, 0));
        for socket in &sockets {
            assert!(socket.is_local());
            assert_eq!(socket.rooms(), [socket.id(), "pot"]);
            assert_eq!(socket.data_as::<Vec<String>>(), Some(vec!["hot".to_owned(), "cold".to_owned()]));
            assert_eq!(socket.data_as::<u8>(), None);
            assert!(socket.data::<Words>().is_some_and(|words| words.lock().expect("words").len() == 2));
            assert_eq!(socket.handshake().auth_json(), r#"{"word":"hot"}"#);
        }
        let id = sockets[0].id().to_owned();
        let here = soon("sockets", tea.local().to("pot").fetch_sockets()).await.expect("a reply");
        assert_eq!(here.into_iter().map(|socket| socket.id() == id).collect::<Vec<_>>(), [true]);
        assert!(soon("a socket", tea.socket(&id)).await.expect("a reply").is_some());
        assert!(soon("a socket", tea.socket("pot")).await.expect("a reply").is_none());
        let mut rooms = vec![id.into(), "pot".into()];
        rooms.sort();
        let all = soon("rooms", tea.all_rooms()).await.expect("a reply");
        assert_eq!((all.rooms, all.missing_servers), (rooms, 0));
        assert_eq!(soon("rooms", tea.rooms()).await, Ok(vec![("pot".into(), 1)]));
        assert!(soon("rooms", io.all_rooms()).await.expect("a reply").rooms.is_empty());
    }
}

#[actix_web::test]
async fn a_room_with_the_id_of_a_socket_is_there_once() {
    let io = Server::builder().build();
    let tea = tea(&io);
    let server = serve(&io, 1);
    let (mut one, mut two) = (Peer::open(&server, EACH[0]).await, Peer::open(&server, EACH[0]).await);
    one.join("/tea,").await;
    two.join("/tea,").await;
    let sockets = soon("sockets", tea.fetch_sockets()).await.expect("a reply");
    let [first, second] = [0, 1].map(|at| sockets[at].id().to_owned());
    sockets[1].join(&first);
    let mut ids: Vec<ByteString> = vec![first.into(), second.into(), "pot".into()];
    ids.sort();
    assert_eq!(soon("rooms", tea.all_rooms()).await.expect("a reply").rooms, ids);
}

#[actix_web::test]
async fn data_that_is_not_shared_is_an_empty_object() {
    let io = Server::builder().build();
    let (tea, main) = (tea(&io), io.namespace("/").share_data());
    let server = serve(&io, 1);
    let mut peer = Peer::connected(&server, EACH[0]).await;
    peer.join("/tea,").await;
    let tea = soon("sockets", tea.fetch_sockets()).await.expect("a reply");
    let main = soon("sockets", main.fetch_sockets()).await.expect("a reply");
    for sockets in [tea, main] {
        assert_eq!(sockets.iter().filter_map(|socket| socket.data_as()).collect::<Vec<Value>>(), [json!({})]);
    }
}

#[actix_web::test]
async fn an_event_of_servers_reaches_no_listener_of_its_own_server() {
    let (tell, told) = Told::new();
    let io = Server::builder().build();
    let tells = tell.clone();
    io.on_server_side("hello", move |event| tells.tell(event.name()));
    let tea = tea(&io).in_one_order().on_server_side("hello", move |event| tell.tell(event.name()));
    let orgs = io.dynamic("/org-*");
    io.server_side_emit("hello", &1).expect("it can be encoded");
    tea.server_side_emit("hello", &(1, 2)).expect("it can be encoded");
    assert!(matches!(tea.server_side_emit("connect", &()), Err(EncodeError::ReservedName(_))));
    let main = soon("answers", io.server_side_emit_with_ack::<u8>("hello", &1)).await.expect("a reply");
    assert_eq!((main.answers.len(), main.bad_answers.len(), main.missing_servers), (0, 0, 0));
    let of_tea = soon("answers", tea.server_side_emit_with_ack::<String>("hello", &())).await;
    assert!(of_tea.is_ok_and(|answers| answers.answers.is_empty()));
    let reserved = soon("answers", tea.server_side_emit_with_ack::<u8>("connect", &())).await;
    assert!(matches!(reserved, Err(ServerEmitError::Arguments(EncodeError::ReservedName(_)))));
    let counts = [io.server_count().await, tea.server_count().await, orgs.server_count().await];
    assert_eq!(counts, [Some(1), Some(1), Some(0)]);
    assert!(told.is_quiet().await);
}

#[actix_web::test]
async fn a_local_emitter_reaches_the_sockets_of_its_server() {
    for by in EACH {
        let io = Server::builder().build();
        let tea = tea(&io).in_one_order();
        let server = serve(&io, 2);
        let mut peer = Peer::open(&server, by).await;
        peer.join("/tea,").await;
        for turn in 0..3 {
            tea.local().to("pot").emit("here", &turn);
            assert_eq!(peer.next().await, format!(r#"2/tea,["here",{turn}]"#));
        }
        tea.local().sockets_join("cup");
        assert_eq!(soon("rooms", tea.rooms()).await.expect("a reply").len(), 2);
        tea.local().sockets_leave(["cup", "pot"]);
        assert_eq!(soon("rooms", tea.rooms()).await, Ok(Vec::new()));
        let asking = tea.local().timeout(Duration::from_millis(30)).emit_with_ack::<u8>("q", &());
        let missing = soon("acks", asking.all()).await.expect_err("the client does not answer");
        assert_eq!((missing.missing.len(), missing.missing_servers, missing.is_cut_off), (1, 0, false));
        assert!(peer.next().await.ends_with(r#"["q"]"#));
        tea.local().disconnect_sockets(false);
        assert_eq!(peer.next().await, "1/tea,");
    }
}
