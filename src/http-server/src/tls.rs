//! TLS from two PEM files, which are read again when they change.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// How often the files are looked at, at most. They are compared by content, because a mounted Secret
/// changes by a symbolic link.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why a certificate and its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file holds no PEM of the kind that is needed.
    #[error("{path} contains no {what} in PEM", path = path.display())]
    NotPem {
        /// Which.
        path: PathBuf,
        /// `certificate` or `private key`.
        what: &'static str,
    },
    /// The certificate and the key do not belong together, or are of no supported kind.
    #[error("the certificate in {path} cannot be used with its key: {source}", path = path.display())]
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

/// A certificate chain and its private key, in files. Cheap to clone.
#[derive(Clone)]
pub struct Tls(Arc<Files>);

struct Files {
    certificate: PathBuf,
    key: PathBuf,
    current: Mutex<Current>,
}

struct Current {
    contents: Contents,
    config: Arc<ServerConfig>,
    looked: Instant,
}

#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Tls {
    /// Reads both files now, and later again whenever they have changed. A change that cannot be used
    /// (say, one of the two is still the old one) leaves the former pair in use.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let contents = read(certificate, key)?;
        let config = configure(certificate, key, &contents)?;
        let current = Mutex::new(Current { contents, config, looked: Instant::now() });
        Ok(Self(Arc::new(Files { certificate: certificate.into(), key: key.into(), current })))
    }

    /// For one handshake, with the newest pair that can be used.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        let Files { certificate, key, current } = &*self.0;
        let mut current = current.lock();
        if current.looked.elapsed() >= LOOK_EVERY {
            current.looked = Instant::now();
            if let Err(error) = renew(certificate, key, &mut current) {
                tracing::warn!(%error, "the new certificate can't be used; the previous one stays in use");
            }
        }
        TlsAcceptor::from(current.config.clone())
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.0.certificate).finish()
    }
}

fn renew(certificate: &Path, key: &Path, current: &mut Current) -> Result<(), TlsError> {
    let contents = read(certificate, key)?;
    if contents != current.contents {
        current.config = configure(certificate, key, &contents)?;
        current.contents = contents;
    }
    Ok(())
}

fn read(certificate: &Path, key: &Path) -> Result<Contents, TlsError> {
    let file = |path: &Path| {
        std::fs::read(path).map_err(|source| TlsError::Unreadable { path: path.into(), source })
    };
    Ok(Contents { certificate: file(certificate)?, key: file(key)? })
}

fn configure(certificate: &Path, key: &Path, contents: &Contents) -> Result<Arc<ServerConfig>, TlsError> {
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(&contents.certificate).filter_map(Result::ok).collect();
    if chain.is_empty() {
        return Err(TlsError::NotPem { path: certificate.into(), what: "certificate" });
    }
    let private = PrivateKeyDer::from_pem_slice(&contents.key)
        .map_err(|_| TlsError::NotPem { path: key.into(), what: "private key" })?;
    let unusable = |source| TlsError::Unusable { path: certificate.into(), source };
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
