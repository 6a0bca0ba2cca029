//! A proxy may write the client's port behind the client's address: the client is still told from others.

use echoroom::config::PerAddress;

use crate::helpers::{TestServer, settings};

#[actix_web::test]
async fn clients_behind_a_proxy_that_writes_ports_are_counted_each_by_its_address() {
    let trusting = settings().with(|s| {
        s.admission.max_sessions_per_address = PerAddress::for_all(1);
        s.admission.trusted_proxy = vec!["127.0.0.1".parse().expect("an address")];
    });
    let server = TestServer::with(trusting).await;
    let mut held = Vec::new();
    for (hop, again) in [
        ("192.0.2.1:5678", "192.0.2.1:9"),
        ("192.0.2.2", "192.0.2.2:80"),
        ("[2001:db8:1::1]:443", "2001:db8:1::1"),
        ("\"[2001:db8:2::1]:443\"", "[2001:db8:2::1]"),
        ("192.0.2.9, 192.0.2.3:1", "192.0.2.3"),
    ] {
        let mut client = server.connect_tcp().await;
        let from = |hop: &str| format!("X-Forwarded-For: {hop}\r\nUpgrade: w");
        let request = client.upgrade_request("/ws").replace("Upgrade: w", &from(hop));
        client.send(request.as_bytes()).await;
        let head = client.read_head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{hop}: {head}");
        held.push(client);
        let refused =
            server.connect_tcp().await.handshake_with("/ws", &format!("X-Forwarded-For: {again}\r\n")).await;
        assert!(refused.starts_with("HTTP/1.1 503 "), "{again} is {hop}: {refused}");
    }
}
