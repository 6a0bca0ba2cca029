//! Only with the feature `poison`, which releases do not have: makes a shared part panic at its next step, or
//! keeps it from taking steps for a while, for tests of the consequences.

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpResponse,
    web::{self, ServiceConfig},
};
use serde::Deserialize;

use crate::parts::Parts;

/// For how long a part takes no steps.
#[derive(Deserialize)]
struct Pause {
    ms: u64,
}

/// Registers `POST /poison/PART` and `POST /stall/PART?ms=TIME`.
pub(crate) fn configure(cfg: &mut ServiceConfig, parts: Arc<Parts>) {
    let own = Arc::clone(&parts);
    let poison = move |part: web::Path<String>| {
        own.poison(&part);
        async { HttpResponse::NoContent().finish() }
    };
    let stall = move |part: web::Path<String>, pause: web::Query<Pause>| {
        parts.stall(&part, Duration::from_millis(pause.ms));
        async { HttpResponse::NoContent().finish() }
    };
    cfg.route("/poison/{part}", web::post().to(poison));
    cfg.route("/stall/{part}", web::post().to(stall));
}
