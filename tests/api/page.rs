//! `GET /` is the demo page, with its files and nothing else.

use crate::helpers::TestServer;

async fn get(server: &TestServer, path: &str) -> (u16, String, String) {
    let url = format!("http://{}{path}", server.address);
    let mut response = awc::Client::new().get(url).no_decompress().send().await.expect("an answer");
    let head = format!("{:?}", response.headers());
    let body = response.body().await.expect("a body");
    (response.status().as_u16(), head, String::from_utf8_lossy(&body).into_owned())
}

#[actix_web::test]
async fn the_page_and_its_files_are_served() {
    let server = TestServer::start().await;
    let (status, head, page) = get(&server, "/").await;
    assert_eq!(status, 200);
    assert!(head.contains("text/html"), "{head}");
    assert!(head.contains("default-src 'none'"), "a content security policy: {head}");
    assert!(page.contains("<title>"), "{page}");
    let (status, head, _) = get(&server, "/main.js").await;
    assert_eq!(status, 200);
    assert!(head.contains("javascript"), "{head}");
    assert_eq!(get(&server, "/?room=red").await.0, 200, "the room in the page's address");
}

#[actix_web::test]
async fn nothing_outside_the_folder_is_served() {
    let server = TestServer::start().await;
    for path in ["/nothing.js", "/../Cargo.toml", "/..%2fCargo.toml", "/%2e%2e/Cargo.toml"] {
        let (status, _, body) = get(&server, path).await;
        assert!(status == 404 || status == 400, "{path}: {status}");
        assert!(!body.contains("[package]"), "{path}");
    }
}
