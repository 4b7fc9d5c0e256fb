//! Where the ledger is: `s3://bucket/prefix`, `gs://…`, `az://…`, `file:///…`. Credentials are found as each cloud's
//! own tools find them: in variables, in a mounted token, or from the machine.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ClientConfigKey, ObjectStore, RetryConfig};

use crate::layout::Layout;
use crate::objects::Objects;
use crate::request::{REQUEST_TIMEOUT, shown};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    S3,
    Gs,
    Az,
    File,
}

/// The URL of a ledger. It holds no secret, so that it can be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerUrl {
    text: String,
    scheme: Scheme,
    /// Empty for a directory.
    bucket: String,
    /// The prefix in the bucket, or the directory.
    path: String,
}

impl FromStr for LedgerUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = text.split_once("://").ok_or("expected s3://, gs://, az:// or file:///")?;
        let scheme = match scheme {
            "s3" => Scheme::S3,
            "gs" => Scheme::Gs,
            "az" => Scheme::Az,
            "file" => Scheme::File,
            _ => return Err("expected s3://, gs://, az:// or file:///".into()),
        };
        if let Some(wrong) =
            rest.chars().find(|c| matches!(c, '?' | '#' | '%' | '\\') || c.is_whitespace() || c.is_control())
        {
            return Err(format!(
                "must not contain {wrong:?}; credentials and the region are given by variables"
            ));
        }
        let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.contains(['@', ':']) {
            return Err("must not contain credentials or a port; both are given by variables".into());
        }
        match (scheme, bucket.is_empty()) {
            (Scheme::File, false) => return Err("a directory needs three slashes: file:///directory".into()),
            (Scheme::S3 | Scheme::Gs | Scheme::Az, true) => return Err("names no bucket".into()),
            _ => {}
        }
        let path = path.strip_suffix('/').unwrap_or(path);
        if path.split('/').any(|part| matches!(part, "." | "..") || (part.is_empty() && !path.is_empty())) {
            return Err("must not contain empty parts, . or .. in its path".into());
        }
        if scheme == Scheme::File && path.is_empty() {
            return Err("names no directory".into());
        }
        let text = text.strip_suffix('/').unwrap_or(text).to_owned();
        Ok(Self { text, scheme, bucket: bucket.to_owned(), path: path.to_owned() })
    }
}

impl fmt::Display for LedgerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl LedgerUrl {
    /// The ledger there. Nothing is asked yet.
    ///
    /// # Errors
    /// Where a variable makes no sense, or a directory does not exist.
    pub fn open(&self, allow_http: bool) -> Result<Objects, String> {
        let store = self.store(allow_http).map_err(|error| shown(&error))?;
        let prefix = if self.scheme == Scheme::File { "" } else { &self.path };
        let prefix = Path::parse(prefix).map_err(|error| shown(&error))?;
        Ok(Objects::new(store, Layout::new(prefix)))
    }

    fn store(&self, allow_http: bool) -> object_store::Result<Arc<dyn ObjectStore>> {
        // What is sent again by itself comes back as "already exists", though it is our own success.
        let never = RetryConfig { max_retries: 0, ..RetryConfig::default() };
        let timeout = format!("{}s", REQUEST_TIMEOUT.as_secs());
        let client = [
            Some((ClientConfigKey::Timeout, timeout.clone())),
            Some((ClientConfigKey::ConnectTimeout, timeout)),
            Some((ClientConfigKey::UserAgent, concat!("tenios/", env!("CARGO_PKG_VERSION")).to_owned())),
            allow_http.then(|| (ClientConfigKey::AllowHttp, "true".to_owned())),
        ];
        let client = client.into_iter().flatten();
        Ok(match self.scheme {
            Scheme::S3 => {
                let builder = AmazonS3Builder::from_env()
                    .with_bucket_name(&self.bucket)
                    .with_conditional_put(S3ConditionalPut::ETagMatch)
                    .with_retry(never);
                let with =
                    |b: AmazonS3Builder, (key, value)| b.with_config(AmazonS3ConfigKey::Client(key), value);
                Arc::new(client.fold(builder, with).build()?)
            }
            Scheme::Gs => {
                let builder =
                    GoogleCloudStorageBuilder::from_env().with_bucket_name(&self.bucket).with_retry(never);
                let with = |b: GoogleCloudStorageBuilder, (key, value)| {
                    b.with_config(GoogleConfigKey::Client(key), value)
                };
                Arc::new(client.fold(builder, with).build()?)
            }
            Scheme::Az => {
                let builder =
                    MicrosoftAzureBuilder::from_env().with_container_name(&self.bucket).with_retry(never);
                let with = |b: MicrosoftAzureBuilder, (key, value)| {
                    b.with_config(AzureConfigKey::Client(key), value)
                };
                Arc::new(client.fold(builder, with).build()?)
            }
            // Without it, what is said to be stored may not survive a crash of the machine.
            Scheme::File => {
                Arc::new(LocalFileSystem::new_with_prefix(format!("/{}", self.path))?.with_fsync(true))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_a_ledger_names_a_bucket_or_a_directory() {
        for url in [
            "s3://numbers",
            "s3://numbers/prod/ledger",
            "gs://n/x",
            "az://container/x",
            "file:///var/lib/ledger",
        ] {
            assert!(url.parse::<LedgerUrl>().is_ok(), "{url}");
            assert_eq!(format!("{url}/").parse::<LedgerUrl>().map(|url| url.to_string()), Ok(url.to_owned()));
        }
        for url in [
            "kubernetes",
            "s3:numbers",
            "s3://",
            "s3:///x",
            "file://x",
            "file:///",
            "file:///a/../b",
            "s3://n//x",
            "s3://key:secret@n/x",
            "s3://n/x?versionId=1",
            "s3://n/%2e%2e",
            "https://n.s3.amazonaws.com/x",
            "s3://n/x y",
        ] {
            assert!(url.parse::<LedgerUrl>().is_err(), "{url}");
        }
    }
}
