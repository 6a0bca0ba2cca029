//! `GET /` is the demo page, with its files and nothing else.

use echoroom::protocol::close;

use crate::helpers::{TestServer, settings};

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

#[test]
fn the_page_knows_every_close_code_of_the_server() {
    let source =
        std::fs::read_to_string(settings().static_dir.join("protocol.js")).expect("the page's protocol");
    for row in close::ALL {
        let start = format!("[{}, {{", row.code);
        let line = source.lines().find(|line| line.trim_start().starts_with(&start));
        let line = line.unwrap_or_else(|| panic!("{} is not in the page's table", row.code));
        assert!(line.contains(&format!("reconnect: {}", row.reconnect)), "{line}");
    }
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
