//! Whom a server is believed by: TLS 1.2 at least, with the certificates that vouch for it.

use std::sync::Arc;

pub(super) use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ConfigBuilder, RootCertStore, WantsVerifier};
use rustls_platform_verifier::Verifier;

use super::transport::SetUp;

/// The certificates in `pem`.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, SetUp> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(SetUp::because)?;
    // Whether they are certificates inside.
    roots(&certificates)?;
    Ok(certificates)
}

/// With servers that `believed` vouch for.
pub(super) fn by(believed: &[CertificateDer<'static>]) -> Result<ClientConfig, SetUp> {
    let tls = builder()?.with_root_certificates(roots(believed)?);
    Ok(tls.with_no_client_auth())
}

/// With servers that the system or `believed` vouch for.
pub(super) fn by_system(believed: &[CertificateDer<'static>]) -> Result<ClientConfig, SetUp> {
    let builder = builder()?;
    let provider = Arc::clone(builder.crypto_provider());
    let verifier = Verifier::new_with_extra_roots(believed.to_vec(), provider);
    let verifier = Arc::new(verifier.map_err(SetUp::because)?);
    let tls = builder
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    Ok(tls.with_no_client_auth())
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, SetUp> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    builder
        .with_safe_default_protocol_versions()
        .map_err(SetUp::because)
}

fn roots(believed: &[CertificateDer<'static>]) -> Result<RootCertStore, SetUp> {
    let mut roots = RootCertStore::empty();
    for certificate in believed {
        roots.add(certificate.clone()).map_err(SetUp::because)?;
    }
    Ok(roots)
}
