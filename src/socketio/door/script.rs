//! `GET /socket.io/socket.io.js`: the project's Socket.IO client, embedded in the program and so independent
//! of the page's folder.

use std::sync::LazyLock;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method,
        header::{ALLOW, CACHE_CONTROL, ETag, EntityTag, Header as _, IfNoneMatch, X_CONTENT_TYPE_OPTIONS},
    },
    web::{self, ServiceConfig},
};
use flate2::Crc;

use super::Door;
use crate::{
    config::Switch,
    web::{gzip, methods},
};

const METHODS: &str = "GET, HEAD, OPTIONS";

const NAME: &str = "socket.io.js";
const SCRIPT: &str = include_str!("../../../static/socket.io.js");

/// A checksum of the script and its length: servers of one version have equal tags.
static TAG: LazyLock<EntityTag> = LazyLock::new(|| {
    let mut crc = Crc::new();
    crc.update(SCRIPT.as_bytes());
    EntityTag::new_strong(format!("{:08x}-{:x}", crc.sum(), SCRIPT.len()))
});

/// Registers the script below `path`, and a 404 with a sentence for other names there. Below the root those are
/// left to the program.
pub(super) fn configure(cfg: &mut ServiceConfig, path: &str, door: web::Data<Door>) {
    let path = match path.trim_end_matches('/') {
        "" => format!("/{{name:{}}}", NAME.replace('.', r"\.")),
        path => format!("{path}/{{name}}"),
    };
    cfg.service(web::resource(path).app_data(door).to(answer));
}

async fn answer(req: HttpRequest, name: web::Path<String>, door: web::Data<Door>) -> HttpResponse {
    let reader = door.policy.reader(&req, &door.grants);
    let mut response = reader.preflight(&req).unwrap_or_else(|| serve(&req, &name));
    reader.mark(&mut response);
    response
}

fn serve(req: &HttpRequest, name: &str) -> HttpResponse {
    let nosniff = (X_CONTENT_TYPE_OPTIONS, "nosniff");
    if name != NAME {
        let words = format!("There is one file here, {NAME}: a small client that is its own source.\n");
        return HttpResponse::NotFound().insert_header(nosniff).content_type("text/plain").body(words);
    }
    match *req.method() {
        Method::GET | Method::HEAD => {}
        Method::OPTIONS => return methods::allowed(METHODS),
        _ => return HttpResponse::MethodNotAllowed().insert_header((ALLOW, METHODS)).finish(),
    }
    let is_known = is_known(req);
    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header(nosniff)
        // Browsers may cache it, but must revalidate each time.
        .insert_header((CACHE_CONTROL, "public, max-age=0"))
        .insert_header(ETag(TAG.clone()));
    if is_known {
        return response.finish();
    }
    response.content_type("application/javascript; charset=utf-8");
    gzip::answer(req, Switch::On, response, SCRIPT)
}

/// Whether the client already has the script.
fn is_known(req: &HttpRequest) -> bool {
    match IfNoneMatch::parse(req) {
        Ok(IfNoneMatch::Any) => true,
        // A compressing proxy makes the tag weak.
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|tag| tag.weak_eq(&TAG)),
        Err(_) => false,
    }
}
