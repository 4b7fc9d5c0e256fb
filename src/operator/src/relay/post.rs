//! One delivery: one POST on a connection of its own, with nothing that follows or repeats it, as to TENIOS. Of the answer
//! only the status counts, and nothing after its head is read.

use std::time::Duration;

use rustls::pki_types::CertificateDer;

use super::cloud_event::{CONTENT_TYPE, CloudEvent};
use super::signing_key::SigningKeyFile;
use tenios_api::causes;
use tenios_net::{BaseUrl, Roots};
use tenios_provider::Transport;

/// Why the client can't be made.
#[derive(Debug, thiserror::Error)]
#[error("no TLS roots can be loaded")]
pub struct SetUpError(#[source] reqwest::Error);

/// See the module documentation.
#[derive(Debug)]
pub struct Post {
    transport: Transport,
    key: SigningKeyFile,
    timeout: Duration,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The receiver has it: 2xx.
    Taken,
    /// The receiver does not want this one: 4xx that no wait helps.
    Refused(String),
    /// It may be taken later; it may have arrived, too.
    Unavailable(String),
}

impl Post {
    /// A client that trusts these certificates, too.
    ///
    /// # Errors
    /// [`SetUpError`]
    pub fn new(
        key: SigningKeyFile,
        roots: Option<(Roots, Vec<CertificateDer<'static>>)>,
        timeout: Duration,
    ) -> Result<Self, SetUpError> {
        let transport = Transport::new(roots, timeout, "--relay-ca-file").map_err(SetUpError)?;
        Ok(Self { transport, key, timeout })
    }

    pub(super) async fn send(&self, url: &BaseUrl, event: &CloudEvent) -> Answer {
        let key = match self.key.read() {
            Ok(key) => key,
            Err(error) => return Answer::Unavailable(format!("--relay-key-file: {}", causes(&error))),
        };
        let post = self
            .transport
            .client()
            .post(url.to_string())
            .header(http::header::CONTENT_TYPE, CONTENT_TYPE)
            .header(http::header::CONNECTION, "close")
            .header("X-Signature", key.sign(event.body()))
            .body(event.body().to_vec());
        match tokio::time::timeout(self.timeout, post.send()).await {
            Ok(Ok(response)) => answer(response.status().as_u16()),
            // Without its URL: a path of it may be all that keeps strangers away.
            Ok(Err(error)) => Answer::Unavailable(causes(&error.without_url())),
            Err(_) => Answer::Unavailable(format!("no answer within {} s", self.timeout.as_secs_f32())),
        }
    }
}

fn answer(status: u16) -> Answer {
    match status {
        200..300 => Answer::Taken,
        300..400 => Answer::Unavailable(format!("HTTP {status}, and a redirect is not followed")),
        // Its credentials, its URL and its load are the receiver's, not the event's.
        401 | 403 | 404 | 405 | 407 | 408 | 410 | 425 | 429 => Answer::Unavailable(format!("HTTP {status}")),
        400..500 => Answer::Refused(format!("HTTP {status}")),
        _ => Answer::Unavailable(format!("HTTP {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, answer};

    #[test]
    fn only_success_is_taken_and_only_what_is_about_the_event_is_refused() {
        for status in [200, 202, 204] {
            assert_eq!(answer(status), Answer::Taken, "{status}");
        }
        for status in [400, 409, 413, 415, 422] {
            assert!(matches!(answer(status), Answer::Refused(_)), "{status}");
        }
        for status in [100, 301, 302, 307, 308, 401, 403, 404, 429, 500, 503, 599] {
            assert!(matches!(answer(status), Answer::Unavailable(_)), "{status}");
        }
    }
}
