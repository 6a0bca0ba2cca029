//! The avatar pictures of users, each at its own address.

use actix_web::{
    HttpResponse,
    http::header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH,
        X_CONTENT_TYPE_OPTIONS,
    },
    web,
};

use crate::{
    domain::{AVATARS_PATH, Picture, PictureId},
    session::Worker,
    web::methods,
};

/// The picture at an address never changes, so a client needs to request it only once.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// Registers the address of pictures.
pub(super) fn configure(cfg: &mut web::ServiceConfig) {
    let resource = web::resource(format!("{AVATARS_PATH}{{id}}"));
    cfg.service(methods::read(resource, picture));
}

/// `GET /avatars/ID`: the picture, from memory or from the journal; 404 if it is in neither.
async fn picture(
    worker: web::Data<Worker>,
    id: web::Path<String>,
    request: actix_web::HttpRequest,
) -> HttpResponse {
    let Ok(id) = id.parse::<PictureId>() else {
        return missing();
    };
    // The id is a hash of the picture, so the client's copy is current.
    let etag = format!("\"{id}\"");
    let names_it = |tag: &str| tag.trim().trim_start_matches("W/") == etag;
    let is_known = |tags: &HeaderValue| tags.to_str().is_ok_and(|tags| tags.split(',').any(names_it));
    if request.headers().get_all(IF_NONE_MATCH).any(is_known) {
        return HttpResponse::NotModified()
            .insert_header((ETAG, etag))
            .insert_header((CACHE_CONTROL, FOR_EVER))
            .finish();
    }
    if let Some(picture) = worker.avatars.find(&id) {
        return show(&picture, etag);
    }
    match worker.records.picture(id).await {
        Ok(Some(picture)) => {
            let answer = show(&picture, etag);
            // Cache it for later requests; without room in memory, they read the journal again.
            worker.avatars.keep_in_memory(picture);
            answer
        }
        Ok(None) => missing(),
        Err(_) => HttpResponse::ServiceUnavailable()
            .insert_header((CACHE_CONTROL, "no-store"))
            .body("The journal cannot be read now.\n"),
    }
}

fn show(picture: &Picture, etag: String) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, picture.media_type()))
        .insert_header((CACHE_CONTROL, FOR_EVER))
        .insert_header((ETAG, etag))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        // As a document it must not run scripts; pages of other origins may show it.
        .insert_header((CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"))
        .insert_header(("Cross-Origin-Resource-Policy", "cross-origin"))
        .body(picture.bytes().clone())
}

fn missing() -> HttpResponse {
    HttpResponse::NotFound()
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body("There is no such avatar.\n")
}
