//! `/health` says how the server is.

use crate::helpers::TestServer;

#[actix_web::test]
async fn health_counts_sessions_at_every_door_and_rooms() {
    let server = TestServer::start().await;
    let health = server.health().await;
    assert_eq!(health["status"], "ok");
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
    assert!(health["uptime_seconds"].is_u64());
    let _plain = server.connect("/ws?room=a").await;
    let _echo = server.connect("/echo").await;
    server.until_health_shows(2, 1).await;
}
