//! The page's content security policy.

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue},
    middleware::Next,
    web,
};

use crate::{
    config::Switch,
    session::Worker,
    web::host::{self, Authority},
};

/// Middleware: adds the policy to responses that a browser may show as a page. Scripts and styles are under
/// the policy of their page.
///
/// # Errors
/// The error of the service.
pub(crate) async fn add(
    req: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let host = host::of(req.head()).ok().flatten();
    let has_lessons = req
        .app_data::<web::Data<Worker>>()
        .is_some_and(|worker| worker.settings.lessons.switch == Switch::On);
    let mut response = next.call(req).await?;
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if kind.is_some_and(is_part) {
        return Ok(response);
    }
    if let Ok(policy) = HeaderValue::from_str(&policy(host.as_ref(), has_lessons)) {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    Ok(response)
}

/// Whether a response of this type can only be a part of a page.
fn is_part(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    ["text/javascript", "text/css"].iter().any(|part| kind.eq_ignore_ascii_case(part))
}

/// The policy of a page at a host: its own files, and WebSockets to that host with both schemes: http here
/// may be https at a proxy. With lessons also other ports of that host: one lesson connects to a port without
/// a listener.
fn policy(host: Option<&Authority>, has_lessons: bool) -> String {
    let mut sockets = String::new();
    // The grammar of policies has no IPv6 addresses: there current browsers let 'self' include WebSockets.
    if let Some(Authority { host, port }) = host.filter(|authority| !authority.host.is_ipv6()) {
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let any = if has_lessons { format!(" ws://{host}:* wss://{host}:*") } else { String::new() };
        sockets = format!(" ws://{host}{port} wss://{host}{port}{any}");
    } else if has_lessons && host.is_some_and(|authority| authority.host.to_string() == "[::1]") {
        // The loopback address has a name that fits the grammar.
        sockets = " ws://localhost:* wss://localhost:*".to_owned();
    }
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
         connect-src 'self'{sockets}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect_src(host: &str, port: Option<u16>, has_lessons: bool) -> String {
        let authority = Authority { host: host.parse().expect("a host"), port };
        let policy = policy(Some(&authority), has_lessons);
        let directive = policy.split("; ").find_map(|directive| directive.strip_prefix("connect-src "));
        directive.expect("connect-src").to_owned()
    }

    #[test]
    fn the_host_of_the_request_is_named_and_no_other() {
        for (host, port, expected) in [
            ("chat.example", None, "'self' ws://chat.example wss://chat.example"),
            ("localhost", Some(3000), "'self' ws://localhost:3000 wss://localhost:3000"),
            ("192.0.2.1", Some(80), "'self' ws://192.0.2.1:80 wss://192.0.2.1:80"),
            ("[::1]", Some(3000), "'self'"),
        ] {
            assert_eq!(connect_src(host, port, false), expected);
        }
        assert!(policy(None, true).contains("connect-src 'self';"));
    }

    #[test]
    fn scripts_and_styles_have_no_policy_of_their_own() {
        for part in
            ["text/javascript", "text/javascript; charset=utf-8", "text/css;charset=utf-8", "TEXT/CSS"]
        {
            assert!(is_part(part), "{part}");
        }
        for page in ["text/html; charset=utf-8", "image/svg+xml", "text/plain", "", "text/css+html"] {
            assert!(!is_part(page), "{page}");
        }
    }

    #[test]
    fn the_lessons_may_try_other_ports_of_the_host() {
        assert_eq!(
            connect_src("localhost", Some(3000), true),
            "'self' ws://localhost:3000 wss://localhost:3000 ws://localhost:* wss://localhost:*"
        );
        assert_eq!(connect_src("[::1]", Some(3000), true), "'self' ws://localhost:* wss://localhost:*");
        assert_eq!(connect_src("[2001:db8::1]", None, true), "'self'");
    }
}
