//! Keys and certificates of one control plane.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::Result;

/// Where the files are.
pub struct Certificates {
    /// The authority that signed the serving certificate.
    pub authority: PathBuf,
    /// The apiserver's certificate.
    pub serving: PathBuf,
    /// Its key.
    pub serving_key: PathBuf,
    /// Signs the tokens of `ServiceAccount`s.
    pub service_account_key: PathBuf,
    /// Verifies them.
    pub service_account_public_key: PathBuf,
}

impl Certificates {
    /// Makes new ones in a directory.
    pub fn create(directory: &Path) -> Result<Self> {
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, "control plane for tests");
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;

        let names = ["127.0.0.1", "localhost", "kubernetes.default.svc"].map(str::to_owned);
        let (key, service_account_key) = (KeyPair::generate()?, KeyPair::generate()?);
        let serving = CertificateParams::new(names)?.signed_by(&key, &authority)?;

        let write = |name: &str, text: String| -> Result<PathBuf> {
            let path = directory.join(name);
            std::fs::write(&path, text)?;
            Ok(path)
        };
        Ok(Self {
            authority: write("ca.crt", authority.pem())?,
            serving: write("apiserver.crt", serving.pem())?,
            serving_key: write("apiserver.key", key.serialize_pem())?,
            service_account_key: write("service-account.key", service_account_key.serialize_pem())?,
            service_account_public_key: write("service-account.pub", service_account_key.public_key_pem())?,
        })
    }
}
