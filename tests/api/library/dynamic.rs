//! Namespaces by pattern or predicate, and those that come and go while the server runs.

use std::sync::Arc;

use echoroom::socketio::{Ack, Handshake, Reason, Refusal, Server, Socket};
use tokio::sync::Semaphore;

use super::{By, EACH, Peer, Told, until};
use crate::sockets::serve;

const INVALID: &str = r#"{"message":"Invalid namespace"}"#;

#[actix_web::test]
async fn a_client_gets_the_namespace_of_its_name_then_the_first_pattern_or_predicate_that_fits() {
    for by in EACH {
        let io = Server::builder().build();
        let tells = |word: &'static str| async move |_: Socket, ack: Ack| ack.send(word);
        io.dynamic("/org-*").on("who", tells("pattern"));
        let accepts = |name: &str, handshake: &Handshake| name.len() > 4 && handshake.auth_json() != "{}";
        io.dynamic_if(accepts).on("who", tells("predicate"));
        io.dynamic("/*").on("who", tells("any"));
        io.namespace("org-named").on("who", tells("name"));
        let server = serve(&io, 2);
        let mut peer = Peer::open(&server, by).await;
        for (name, auth, who) in [
            ("/org-1", "", "pattern"),
            ("/org-named", "", "name"),
            ("/other", r#"{"a":1}"#, "predicate"),
            ("/others", "", "any"),
            ("/org", r#"{"a":1}"#, "any"),
        ] {
            peer.send(&format!("0{name},{auth}")).await;
            assert!(peer.next().await.starts_with(&format!(r#"0{name},{{"sid":""#)));
            peer.expect(&format!(r#"2{name},1["who"]"#), &format!(r#"3{name},1["{who}"]"#)).await;
        }
        // A star stands for no slash, and for one character at least.
        for name in ["/a/b", "/org-/", "/"] {
            let packet = format!("{}{}", name, if name == "/" { "" } else { "," });
            let packet = packet.trim_start_matches('/');
            let (sent, reply) = match name {
                "/" => ("0".to_owned(), format!("4{INVALID}")),
                _ => (format!("0/{packet}"), format!("4{name},{INVALID}")),
            };
            peer.expect(&sent, &reply).await;
        }
    }
}

#[actix_web::test]
async fn what_is_emitted_to_a_pattern_reaches_each_namespace_of_it_that_clients_are_in() {
    let (tell, told) = Told::new();
    let io = Server::builder().build();
    let tells = tell.clone();
    io.on_new_namespace(move |namespace| tells.tell(format!("new {}", namespace.name())));
    let orgs = io.dynamic("/org-*").connect(async |socket: Socket| drop(socket.join("tea")));
    let server = serve(&io, 2);
    let (mut one, mut two) =
        (Peer::open(&server, By::WebSocket).await, Peer::open(&server, By::Polling).await);
    one.join("/org-1,").await;
    two.join("/org-2,").await;
    two.join("/org-1,").await;
    told.expect(["new /org-1", "new /org-2"]).await;
    assert!(told.is_quiet().await, "each is new once");
    let mut names: Vec<_> = orgs.children().iter().map(|child| child.name().to_owned()).collect();
    names.sort();
    assert_eq!(names, ["/org-1", "/org-2"]);
    assert_eq!(io.namespaces(), ["/org-1", "/org-2"]);
    orgs.emit("all", &1);
    orgs.to("tea").emit("tea", &2);
    io.namespace("/org-2").emit("second", &3);
    for event in [r#"["all",1]"#, r#"["tea",2]"#] {
        assert_eq!(one.next().await, format!("2/org-1,{event}"));
    }
    let mut heard = Vec::new();
    for _ in 0..5 {
        heard.push(two.next().await);
    }
    heard.sort();
    let expected =
        [r#"1,["all",1]"#, r#"1,["tea",2]"#, r#"2,["all",1]"#, r#"2,["second",3]"#, r#"2,["tea",2]"#];
    assert_eq!(heard, expected.map(|event| format!("2/org-{event}")));
}

#[actix_web::test]
async fn an_empty_namespace_of_a_pattern_is_removed_unless_that_is_off() {
    for removes in [true, false] {
        for by in EACH {
            let (tell, told) = Told::new();
            let io = Server::builder().cleanup_empty_child_namespaces(removes).build();
            let orgs = io.dynamic("/org-*").disconnect(async move |_: Socket, _| tell.tell("left"));
            let server = serve(&io, 2);
            let (mut one, mut two) = (Peer::open(&server, by).await, Peer::open(&server, by).await);
            for _ in 0..3 {
                one.join("/org-1,").await;
                two.join("/org-1,").await;
                one.send("1/org-1,").await;
                told.expect(["left"]).await;
                assert_eq!(io.namespaces(), ["/org-1"], "one is left");
                two.send("1/org-1,").await;
                told.expect(["left"]).await;
                if removes {
                    until("no namespace", async || io.namespaces().is_empty()).await;
                } else {
                    assert!(orgs.fetch_sockets().await.expect("a reply").is_empty());
                    assert_eq!(io.namespaces(), ["/org-1"]);
                }
            }
        }
    }
}

#[actix_web::test]
async fn a_client_that_is_refused_or_gone_leaves_no_namespace_behind() {
    for by in EACH {
        let (tell, told) = Told::new();
        let io = Server::builder().max_child_namespaces(2).build();
        let gate = Arc::new(Semaphore::new(0));
        let at = Arc::clone(&gate);
        io.dynamic("/slow-*").admit(async move |_| {
            tell.tell("asked");
            at.acquire().await.map_err(|_| "closed")?.forget();
            Ok::<_, Refusal>(())
        });
        io.dynamic("/no-*").admit(async |_| -> Result<(), Refusal> { Err("go away".into()) });
        io.dynamic("/late-no-*").middleware(async |_: Socket| {
            actix_web::rt::task::yield_now().await;
            Err("go away".into())
        });
        let server = serve(&io, 2);
        let mut peer = Peer::open(&server, by).await;
        for number in 0..5 {
            for family in ["no", "late-no"] {
                let name = format!("/{family}-{number},");
                peer.expect(&format!("0{name}"), &format!(r#"4{name}{{"message":"go away"}}"#)).await;
                until("no namespace", async || io.namespaces().is_empty()).await;
            }
        }
        peer.send("0/slow-1,").await;
        told.expect(["asked"]).await;
        assert_eq!(io.namespaces(), ["/slow-1"]);
        peer.leave().await;
        until("no namespace", async || io.namespaces().is_empty()).await;
    }
}

#[actix_web::test]
async fn a_namespace_stays_known_while_a_client_is_on_its_way_into_it() {
    let (tell, told) = Told::new();
    let io = Server::builder().build();
    let gate = Arc::new(Semaphore::new(1));
    let (at, left) = (Arc::clone(&gate), tell.clone());
    let orgs = io.dynamic("/org-*").admit(async move |_| {
        tell.tell("asked");
        at.acquire().await.map_err(|_| "closed")?.forget();
        Ok::<_, Refusal>(())
    });
    let orgs = orgs.disconnect(async move |_, _| left.tell("left"));
    let server = serve(&io, 2);
    let (mut one, mut two) =
        (Peer::open(&server, By::WebSocket).await, Peer::open(&server, By::WebSocket).await);
    one.join("/org-1,").await;
    two.send("0/org-1,").await;
    told.expect(["asked", "asked"]).await;
    one.send("1/org-1,").await;
    told.expect(["left"]).await;
    // The room server has looked at what is left.
    assert!(orgs.fetch_sockets().await.expect("a reply").is_empty());
    gate.add_permits(1);
    assert!(two.next().await.starts_with("0/org-1,{"));
    orgs.emit("hello", &());
    assert_eq!(two.next().await, r#"2/org-1,["hello"]"#);
    two.send("1/org-1,").await;
    until("no namespace", async || io.namespaces().is_empty()).await;
}

#[actix_web::test]
async fn more_namespaces_of_patterns_than_the_bound_are_refused_and_known_ones_are_not() {
    let io = Server::builder().max_child_namespaces(2).build();
    io.dynamic("/org-*");
    let server = serve(&io, 2);
    let (mut one, mut two) =
        (Peer::open(&server, By::WebSocket).await, Peer::open(&server, By::WebSocket).await);
    one.join("/org-1,").await;
    one.join("/org-2,").await;
    two.expect("0/org-3,", r#"4/org-3,{"message":"Too many namespaces"}"#).await;
    two.join("/org-2,").await;
    one.send("1/org-1,").await;
    until("one namespace", async || io.namespaces() == ["/org-2"]).await;
    two.join("/org-3,").await;
}

#[actix_web::test]
async fn a_namespace_is_added_and_removed_at_run_time() {
    for by in EACH {
        let (tell, told) = Told::new();
        let io = Server::builder().build();
        io.namespace("/");
        let server = serve(&io, 2);
        let mut peer = Peer::connected(&server, by).await;
        for _ in 0..3 {
            peer.expect("0/news,", &format!("4/news,{INVALID}")).await;
            let left = tell.clone();
            let news = io.namespace("/news").disconnect(async move |_: Socket, reason: Reason| {
                left.tell(reason.as_str());
            });
            peer.join("/news,").await;
            io.remove(&news);
            assert_eq!(peer.next().await, "1/news,");
            told.expect(["server namespace disconnect"]).await;
            let orgs = io.dynamic("/org-*");
            peer.join("/org-1,").await;
            io.remove(&orgs);
            assert_eq!(peer.next().await, "1/org-1,");
            peer.expect("0/org-1,", &format!("4/org-1,{INVALID}")).await;
            assert_eq!(io.namespaces(), ["/"]);
        }
    }
}

#[actix_web::test]
async fn a_client_on_its_way_into_a_namespace_that_is_removed_is_refused() {
    for family in [false, true] {
        for by in EACH {
            let (tell, told) = Told::new();
            let io = Server::builder().build();
            let gate = Arc::new(Semaphore::new(0));
            let at = Arc::clone(&gate);
            let namespace = if family { io.dynamic("/org-*") } else { io.namespace("/org-1") };
            let tells = tell.clone();
            let namespace = namespace
                .middleware(async move |_: Socket| {
                    tells.tell("asked");
                    at.acquire().await.map_err(|_| "closed")?.forget();
                    Ok(())
                })
                .connect(async move |_: Socket| tell.tell("connected"));
            let server = serve(&io, 2);
            let mut peer = Peer::open(&server, by).await;
            peer.send("0/org-1,").await;
            told.expect(["asked"]).await;
            io.remove(&namespace);
            gate.add_permits(1);
            assert_eq!(peer.next().await, format!("4/org-1,{INVALID}"));
            assert!(told.is_quiet().await && io.namespaces().is_empty());
        }
    }
}

#[actix_web::test]
async fn one_client_cannot_take_more_namespaces_than_it_may() {
    for by in EACH {
        let io = Server::builder().max_namespaces_per_client(2).build();
        io.dynamic("/room-*");
        let server = serve(&io, 2);
        let mut peer = Peer::open(&server, by).await;
        for name in ["/room-1", "/room-2"] {
            peer.send(&format!("0{name},")).await;
            assert!(peer.next().await.starts_with(&format!(r#"0{name},{{"sid":""#)));
        }
        for _ in 0..3 {
            peer.expect("0/room-3,", r#"4/room-3,{"message":"Too many namespaces"}"#).await;
        }
        // One that it leaves makes room, and other clients have their own.
        peer.send("1/room-1,").await;
        peer.send("0/room-3,").await;
        assert!(peer.next().await.starts_with(r#"0/room-3,{"sid":""#));
        let mut other = Peer::open(&server, by).await;
        other.send("0/room-4,").await;
        assert!(other.next().await.starts_with(r#"0/room-4,{"sid":""#));
    }
}
