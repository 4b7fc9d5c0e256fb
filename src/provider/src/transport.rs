//! The HTTP client below, made anew when the trust roots change.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use reqwest::{Certificate, Client};
use rustls::pki_types::CertificateDer;

use tenios_api::{Cause, causes};
use tenios_net::Roots;

/// How often the file of the roots is looked at, at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// See the module documentation.
#[derive(Debug)]
pub struct Transport {
    timeout: Duration,
    /// The flag of the file with the roots.
    flag: &'static str,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    client: Client,
    roots: Option<Roots>,
    looked: Instant,
}

impl Transport {
    /// One that trusts these certificates, too.
    ///
    /// # Errors
    /// When no TLS roots can be loaded.
    pub fn new(
        roots: Option<(Roots, Vec<CertificateDer<'static>>)>,
        timeout: Duration,
        flag: &'static str,
    ) -> Result<Self, reqwest::Error> {
        let (roots, certificates) = roots.unzip();
        let client = client(&certificates.unwrap_or_default(), timeout)?;
        Ok(Self { timeout, flag, current: Mutex::new(Current { client, roots, looked: Instant::now() }) })
    }

    /// A client that trusts what the file holds by now. A change that can't be used leaves the former roots in
    /// use.
    pub fn client(&self) -> Client {
        let mut current = self.current.lock();
        if current.looked.elapsed() >= LOOK_EVERY {
            current.looked = Instant::now();
            current.renew(self.timeout, self.flag);
        }
        current.client.clone()
    }
}

impl Current {
    fn renew(&mut self, timeout: Duration, flag: &str) {
        let Some(changed) = self.roots.as_mut().and_then(Roots::changed) else { return };
        let renewed = changed
            .map_err(Cause::from)
            .and_then(|certificates| client(&certificates, timeout).map_err(Cause::from));
        match renewed {
            Ok(client) => {
                self.client = client;
                tracing::info!("the file of {flag} changed and was read again");
            }
            Err(error) => {
                tracing::warn!(
                    error = causes(&*error),
                    "the file of {flag} can't be used; the previous roots stay in use"
                );
            }
        }
    }
}

fn client(roots: &[CertificateDer<'_>], timeout: Duration) -> Result<Client, reqwest::Error> {
    let roots = roots.iter().map(|root| Certificate::from_der(root)).collect::<Result<Vec<_>, _>>()?;
    Client::builder()
        .http1_only()
        .pool_max_idle_per_host(0)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(timeout)
        .tls_certs_merge(roots)
        .user_agent(concat!("tenios-operator/", env!("CARGO_PKG_VERSION")))
        .build()
}
