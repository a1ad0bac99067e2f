//! The proxy on the way to a service.

use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use url::Url;

use crate::model::endpoint::Endpoint;

use super::transport::SetUp;

/// The proxy to `endpoint`, if there is one: `named`, else the environment's.
///
/// # Errors
/// It is to be reached by something else than HTTP.
pub(super) fn of(endpoint: &Endpoint, named: Option<&Url>) -> Result<Option<Intercept>, SetUp> {
    let uri: Uri = endpoint.as_str().parse().map_err(SetUp::because)?;
    let matcher = match named {
        Some(proxy) => Matcher::builder().all(proxy.as_str()).build(),
        None => Matcher::from_env(),
    };
    let proxy = matcher.intercept(&uri);
    match proxy.as_ref().and_then(|proxy| proxy.uri().scheme_str()) {
        Some("http" | "https") | None => Ok(proxy),
        Some(scheme) => Err(SetUp(format!(
            "the proxy is to be reached by {scheme}, which is neither http nor https"
        ))),
    }
}

/// Host and port of `proxy`.
pub(super) fn place(proxy: &Uri) -> String {
    let host = proxy.host().unwrap_or_default();
    match (proxy.port_u16(), proxy.scheme_str()) {
        (Some(port), _) => format!("{host}:{port}"),
        (None, Some("https")) => format!("{host}:443"),
        (None, _) => format!("{host}:80"),
    }
}
