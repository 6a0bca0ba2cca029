//! Only with the feature `poison`, which releases do not have: makes a shared part panic at its next step,
//! for tests of the consequences.

use std::sync::Arc;

use actix_web::{
    HttpResponse,
    web::{self, ServiceConfig},
};

use crate::parts::Parts;

/// Registers `POST /poison/PART`.
pub(crate) fn configure(cfg: &mut ServiceConfig, parts: Arc<Parts>) {
    let poison = move |part: web::Path<String>| {
        parts.poison(&part);
        async { HttpResponse::NoContent().finish() }
    };
    cfg.route("/poison/{part}", web::post().to(poison));
}
