//! `GET /metrics`: the metrics of the process in Prometheus' text format.

use std::sync::Arc;

use actix_web::{Error, HttpRequest, HttpResponse, error::ErrorInternalServerError, web};

use crate::{
    config::Switch,
    metrics::Metrics,
    session::Worker,
    web::{gzip, in_words, peer},
};

/// All metrics for every client, at the address of `--metrics-bind`.
///
/// # Errors
/// A metric cannot be encoded, which is a bug.
pub(crate) async fn metrics(
    req: HttpRequest,
    metrics: web::Data<Arc<Metrics>>,
    compression: web::Data<Switch>,
) -> Result<HttpResponse, Error> {
    render(&req, **compression, &metrics)
}

/// All metrics at the server's main address: for programs on this machine, unless `--public-metrics` is on.
///
/// # Errors
/// A metric cannot be encoded, which is a bug.
pub(crate) async fn of_server(req: HttpRequest, worker: web::Data<Worker>) -> Result<HttpResponse, Error> {
    let settings = &worker.settings;
    if settings.operation.public_metrics == Switch::On
        || peer::is_of_this_machine(&req, &settings.admission.trusted_proxy)
    {
        return render(&req, settings.connections.http_compression, &worker.metrics);
    }
    let sentence = "metrics are for programs on this machine: --metrics-bind (ECHOROOM_METRICS_BIND) gives them an \
                    address of their own, --public-metrics on (ECHOROOM_PUBLIC_METRICS) opens them to all";
    Ok(in_words(HttpResponse::Forbidden(), sentence))
}

fn render(req: &HttpRequest, compression: Switch, metrics: &Metrics) -> Result<HttpResponse, Error> {
    let text = metrics.render().map_err(ErrorInternalServerError)?;
    let mut response = HttpResponse::Ok();
    response.content_type("text/plain; version=0.0.4; charset=utf-8");
    Ok(gzip::answer(req, compression, response, text))
}
