//! One request to the store, with an end, and what its errors mean.

use std::time::Duration;

use object_store::Error;
use tenios_api::causes;

/// One request. An intent has to be stored and its request sent within 10 s.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);

/// What is shown of an error: some carry a page of XML.
const SHOWN: usize = 300;

/// Why the store did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It was not reached, or gave no answer that can be used: what was asked may have been done.
    #[error("the store can't be reached: {0}")]
    Unavailable(String),
    /// It refused, so that nothing was done.
    #[error("the store refuses: {0}")]
    Denied(String),
    /// What is there can't be read.
    #[error("what is stored can't be read: {0}")]
    Unreadable(String),
    /// It does not do what a ledger needs.
    #[error("the store can't hold a ledger: {0}")]
    Unfit(String),
}

/// Waits for an answer, but not for ever.
pub(crate) async fn timed<T>(asked: impl Future<Output = Result<T, Error>>) -> Result<T, Failed> {
    match tokio::time::timeout(REQUEST_TIMEOUT, asked).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Failed::of(&error)),
        Err(_) => Err(Failed::Other(StoreError::Unavailable("no answer in time".into()))),
    }
}

/// How a request failed.
#[derive(Debug)]
pub(crate) enum Failed {
    /// There is an object by that name already, or the store says so.
    Exists,
    /// There is none.
    NotFound(String),
    Other(StoreError),
}

impl Failed {
    fn of(error: &Error) -> Self {
        let why = shown(error);
        match error {
            Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::NotModified { .. } => {
                Self::Exists
            }
            Error::NotFound { .. } => Self::NotFound(why),
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                Self::Other(StoreError::Denied(why))
            }
            Error::NotSupported { .. } | Error::NotImplemented { .. } => Self::Other(StoreError::Unfit(why)),
            _ => Self::Other(StoreError::Unavailable(why)),
        }
    }

    /// For the metrics.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Exists => "exists",
            Self::NotFound(_) => "not_found",
            Self::Other(StoreError::Unavailable(_)) => "unavailable",
            Self::Other(_) => "refused",
        }
    }

    /// As an error where there is nothing that could exist.
    pub(crate) fn error(self) -> StoreError {
        match self {
            Self::Exists => StoreError::Unavailable("it says that an object exists already".into()),
            Self::NotFound(why) => StoreError::Denied(why),
            Self::Other(error) => error,
        }
    }
}

/// What the error says, in one line of bounded length.
pub(crate) fn shown(error: &(dyn std::error::Error + 'static)) -> String {
    let text = causes(error);
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(SHOWN).collect()
}
