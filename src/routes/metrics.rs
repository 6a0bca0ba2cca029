//! `GET /metrics`: what the process counts, in Prometheus' text format.

use std::sync::Arc;

use actix_web::{Error, HttpResponse, error::ErrorInternalServerError, web};

use crate::metrics::Metrics;

/// Everything counted so far.
///
/// # Errors
/// A metric that cannot be encoded.
pub async fn metrics(metrics: web::Data<Arc<Metrics>>) -> Result<HttpResponse, Error> {
    let text = metrics.render().map_err(ErrorInternalServerError)?;
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text))
}
