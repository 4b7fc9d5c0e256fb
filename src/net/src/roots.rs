//! Trust roots in a file, which is read again when it changes.

use std::io::Read;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{PemObject, SectionKind};

/// The public roots of a distribution have a quarter of this.
const LIMIT: u64 = 1024 * 1024;

/// The mark of UTF-8 that some editors begin a file with.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Why there are no trust roots.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {flaw}", path = path.display())]
pub struct RootsError {
    path: PathBuf,
    #[source]
    flaw: Flaw,
}

#[derive(Debug, thiserror::Error)]
enum Flaw {
    #[error(transparent)]
    Unreadable(std::io::Error),
    #[error("is larger than 1 MiB")]
    TooLarge,
    #[error("is empty")]
    Empty,
    #[error("is not PEM but DER: convert it with `openssl x509 -inform der -in FILE -out ca.pem`")]
    Der,
    #[error("contains a private key and no certificate")]
    Key,
    #[error("contains no certificate in PEM (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    #[error("is damaged PEM")]
    Damaged,
    #[error("certificate {0} in it can't be read")]
    Certificate(usize),
}

/// Certificates to trust beside the public ones, in a file. They are compared by content, because a mounted
/// Secret changes by a symbolic link.
#[derive(Debug)]
pub struct Roots {
    path: PathBuf,
    /// None where it could not be read the last time.
    contents: Option<Vec<u8>>,
}

impl Roots {
    /// Reads the file.
    ///
    /// # Errors
    /// See [`RootsError`].
    pub fn from_file(path: &Path) -> Result<(Self, Vec<CertificateDer<'static>>), RootsError> {
        let mut roots = Self { path: path.to_owned(), contents: Some(Vec::new()) };
        match roots.changed() {
            Some(certificates) => Ok((roots, certificates?)),
            None => Err(roots.wrong(Flaw::Empty)),
        }
    }

    /// Reads it again: what is in it, where that is not what was there the last time.
    ///
    /// # Errors
    /// See [`RootsError`]. Each content is complained about once.
    pub fn changed(&mut self) -> Option<Result<Vec<CertificateDer<'static>>, RootsError>> {
        match read(&self.path) {
            Ok(contents) if self.contents.as_ref() == Some(&contents) => None,
            Ok(contents) => {
                let certificates = certificates(&contents).map_err(|flaw| self.wrong(flaw));
                self.contents = Some(contents);
                Some(certificates)
            }
            Err(flaw) => self.contents.take().map(|_| Err(self.wrong(flaw))),
        }
    }

    fn wrong(&self, flaw: Flaw) -> RootsError {
        RootsError { path: self.path.clone(), flaw }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Flaw> {
    let mut contents = Vec::new();
    let file = std::fs::File::open(path).map_err(Flaw::Unreadable)?;
    file.take(LIMIT + 1).read_to_end(&mut contents).map_err(Flaw::Unreadable)?;
    if contents.len() as u64 > LIMIT { Err(Flaw::TooLarge) } else { Ok(contents) }
}

fn certificates(contents: &[u8]) -> Result<Vec<CertificateDer<'static>>, Flaw> {
    let contents = contents.strip_prefix(MARK).unwrap_or(contents);
    if contents.trim_ascii().is_empty() {
        return Err(Flaw::Empty);
    }
    // DER begins with a sequence of two or more bytes of length.
    if matches!(contents, [0x30, 0x81..=0x84, ..]) {
        return Err(Flaw::Der);
    }
    let (mut certificates, mut key) = (Vec::new(), false);
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(contents) {
        match section.map_err(|_| Flaw::Damaged)? {
            (SectionKind::Certificate, der) => certificates.push(CertificateDer::from(der)),
            (SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey, _) => {
                key = true;
            }
            _ => {}
        }
    }
    for (n, certificate) in certificates.iter().enumerate() {
        let readable = RootCertStore::empty().add(certificate.clone());
        readable.map_err(|_| Flaw::Certificate(n + 1))?;
    }
    match (certificates.is_empty(), key) {
        (false, _) => Ok(certificates),
        (true, true) => Err(Flaw::Key),
        (true, false) => Err(Flaw::NoCertificate),
    }
}
