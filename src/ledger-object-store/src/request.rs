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
        let why = shown(of_any_request(error));
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

/// The part of the error that is the same for every such request. The client's own words have the milliseconds that it took,
/// and what is shown in a status must not change with each retry: two replicas would correct each other's words for ever.
fn of_any_request(error: &Error) -> &(dyn std::error::Error + 'static) {
    let error: &(dyn std::error::Error + 'static) = error;
    let chain = std::iter::successors(Some(error), |error| error.source());
    let timed = chain.filter(|error| error.to_string().starts_with("Error performing ")).last();
    timed.and_then(std::error::Error::source).unwrap_or(error)
}

/// What a store says in XML, without the ids and the time of this one answer: its code, and the first line of its message.
fn without_ids(text: &str) -> String {
    let Some((before, answer)) = text.split_once('<') else { return text.to_owned() };
    let within = |name: &str| {
        let (_, begun) = answer.split_once(&format!("{name}>"))?;
        begun.split_once("</").and_then(|(content, _)| content.lines().next())
    };
    match (within("Code"), within("Message")) {
        (None, None) => text.to_owned(),
        (Some(code), Some(message)) => format!("{before}{code}: {message}"),
        (Some(only), None) | (None, Some(only)) => format!("{before}{only}"),
    }
}

/// What the error says, in one line of bounded length.
pub(crate) fn shown(error: &(dyn std::error::Error + 'static)) -> String {
    let text = without_ids(&causes(error));
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(SHOWN).collect()
}
