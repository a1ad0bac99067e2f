//! Where the metadata service of this server is.

use url::Url;

use crate::error::Error;
use crate::secmaster::auth::metadata::{ADDRESS, Metadata};

use super::environment;

/// The variable that puts it elsewhere on this machine, or says `off`.
const VARIABLE: &str = "FLOWBATCH_METADATA";

/// The metadata service, unless it is not to be asked; for a service on this machine (`is_local`) only the one
/// that the variable names.
pub(super) fn service(is_local: bool) -> Option<Result<Metadata, Error>> {
    let address = environment(VARIABLE).filter(|address| !address.is_empty());
    match address.as_deref() {
        Some("off") => None,
        None if is_local => None,
        address => Some(at(address.unwrap_or(ADDRESS))),
    }
}

fn at(address: &str) -> Result<Metadata, Error> {
    let wrong = || Error::Usage {
        what: format!("{VARIABLE} is neither off nor an http:// address of this machine"),
        hint: format!("write http://127.0.0.1:PORT, or unset it to ask {ADDRESS}"),
    };
    let url = Url::parse(address).map_err(|_| wrong())?;
    let here = match url.host() {
        Some(url::Host::Ipv4(v4)) => v4.is_loopback() || address == ADDRESS,
        Some(url::Host::Ipv6(v6)) => v6.is_loopback(),
        Some(url::Host::Domain(_)) | None => false,
    };
    if url.scheme() != "http" || !here {
        return Err(wrong());
    }
    Metadata::new(url).map_err(Error::machine("cannot ask the metadata service"))
}
