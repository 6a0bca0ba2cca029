//! The methods of an address. GET always comes with HEAD (RFC 9110, section 9.1), OPTIONS is always answered,
//! and a rejection names the allowed methods.

use actix_web::{
    Error, FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder, Route,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    guard::{Any, Method as Is},
    http::{
        Method,
        header::{ALLOW, CACHE_CONTROL},
    },
    middleware::Next,
    web,
};

use super::in_words;

/// Methods of a read-only address.
const OF_READING: &str = "GET, HEAD, OPTIONS";

/// Methods of a WebSocket door.
const OF_DOOR: &str = "GET, OPTIONS";

/// An address, with and without a trailing slash.
pub(crate) fn at(path: &str) -> Resource {
    web::resource(vec![path.to_owned(), format!("{path}/")])
}

/// A read-only address: HEAD gets the head of the response to GET.
pub(crate) fn read<F, Args>(resource: Resource, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let reading = web::route().guard(Any(Is(Method::GET)).or(Is(Method::HEAD)));
    resource.route(reading.to(handler)).default_service(others(OF_READING))
}

/// A WebSocket door, whose handler rejects other methods itself.
pub(crate) fn door<F, Args>(resource: Resource, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let asks = web::method(Method::OPTIONS).to(|| async { allowed(OF_DOOR) });
    resource.route(asks).route(web::route().to(handler))
}

/// The route for methods that an address does not have.
pub(crate) fn others(methods: &'static str) -> Route {
    web::route().to(move |req: HttpRequest| async move { answer(req.method(), methods) })
}

/// The response to OPTIONS.
pub(crate) fn allowed(methods: &'static str) -> HttpResponse {
    HttpResponse::NoContent().insert_header((ALLOW, methods)).finish()
}

fn answer(method: &Method, methods: &'static str) -> HttpResponse {
    if *method == Method::OPTIONS {
        return allowed(methods);
    }
    let mut response = HttpResponse::MethodNotAllowed();
    response.insert_header((ALLOW, methods)).insert_header((CACHE_CONTROL, "no-store"));
    in_words(response, format_args!("this address takes {methods}"))
}

/// Middleware of the page's files: rejects methods other than GET and HEAD, and answers OPTIONS.
///
/// # Errors
/// The error of the service.
pub(crate) async fn of_files(
    req: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    if matches!(*req.method(), Method::GET | Method::HEAD) {
        return Ok(next.call(req).await?.map_into_left_body());
    }
    let response = answer(req.method(), OF_READING);
    Ok(req.into_response(response).map_into_right_body())
}
