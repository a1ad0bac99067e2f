//! Temporary keys that the cloud gives to a server of its own.
//!
//! Source: the vendor's SDK (`MetadataAccessor`): a token first, where the metadata service knows
//! tokens, then the key.

use std::time::Duration;

use futures::future::LocalBoxFuture;
use http::Method;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use url::Url;

use crate::model::id::Id;

use super::super::transport::{Parcel, Received, SetUp, Transport};
use super::printed;
use super::supply::{Supplied, Supply, SupplyError};

/// Where the metadata service is on every server of the cloud: a link-local address.
pub const ADDRESS: &str = "http://169.254.169.254";

const TIMEOUT: Duration = Duration::from_secs(3);
const LIFE: HeaderName = HeaderName::from_static("x-metadata-token-ttl-seconds");
const TOKEN: HeaderName = HeaderName::from_static("x-metadata-token");

/// The metadata service of this server.
#[derive(Debug)]
pub struct Metadata {
    transport: Transport,
    address: Url,
}

impl Metadata {
    /// The service at `address`.
    ///
    /// # Errors
    /// The HTTP client could not be set up.
    pub fn new(address: Url) -> Result<Self, SetUp> {
        Ok(Self {
            transport: Transport::plain()?,
            address,
        })
    }

    /// A key, as new as it can be had.
    ///
    /// # Errors
    /// There is no metadata service here, or this server was given no agency.
    pub async fn key(&self) -> Result<Supplied, SupplyError> {
        let life = HeaderValue::from_static("21600");
        let given = self
            .ask(
                Method::PUT,
                "/meta-data/latest/api/token",
                HeaderMap::from_iter([(LIFE, life)]),
            )
            .await?;
        let mut headers = HeaderMap::new();
        if given.status == 200 {
            let token = given.body.unwrap_or_default();
            if let Ok(mut token) = HeaderValue::from_bytes(token.trim_ascii()) {
                token.set_sensitive(true);
                headers.insert(TOKEN, token);
            }
        }
        let answer = self
            .ask(Method::GET, "/openstack/latest/securitykey", headers)
            .await?;
        match answer.status {
            200 => {}
            404 => {
                let text = "the metadata service has no key: this server has no agency";
                return Err(SupplyError::Refused(text.to_owned()));
            }
            status => {
                let text = format!("the metadata service gives no key: HTTP {status}");
                return Err(SupplyError::Unavailable(text));
            }
        }
        printed::read(&answer.body.unwrap_or_default()).map_err(|fault| {
            SupplyError::Unavailable(format!("the metadata service gave no usable key: {fault}"))
        })
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
    ) -> Result<Received, SupplyError> {
        let mut url = self.address.clone();
        url.set_path(path);
        let unavailable = |why: &str| {
            SupplyError::Unavailable(format!(
                "no metadata service at {}: {why}",
                self.address.host_str().unwrap_or_default(),
            ))
        };
        let parcel = Parcel {
            method,
            url,
            headers,
            body: Vec::new(),
        };
        let sent = self.transport.send(parcel, TIMEOUT).await;
        sent.map_err(|silence| unavailable(&silence.detail))
    }
}

impl Supply for Metadata {
    fn supply<'a>(
        &'a self,
        _: &'a Id,
        _: Timestamp,
    ) -> LocalBoxFuture<'a, Result<Supplied, SupplyError>> {
        Box::pin(self.key())
    }
}
