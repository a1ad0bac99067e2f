//! A client that is not the product's, to ask the simulator: hyper's own, over HTTP/1.1 or HTTP/2.

use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::TokioExecutor;

/// Asks one server.
#[derive(Clone)]
pub(crate) struct Asking(Client<HttpConnector, Full<Bytes>>);

/// What came back, whatever it says.
pub(crate) struct Heard {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Asking {
    /// In HTTP/1.1.
    pub(crate) fn http_1() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    /// In HTTP/2 from the first byte.
    pub(crate) fn http_2() -> Self {
        let mut builder = Client::builder(TokioExecutor::new());
        Self(builder.http2_only(true).build_http())
    }

    /// Sends one request and waits for the whole answer.
    pub(crate) async fn ask(
        &self,
        method: &Method,
        url: &str,
        headers: &[(String, String)],
        body: impl Into<Bytes>,
    ) -> Result<Heard, Error> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        let (head, body) = self.0.request(request).await?.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Ok(Heard {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
        })
    }
}
