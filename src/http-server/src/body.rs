//! Bodies that tell their connection's slot: of a request, when it has arrived, and of an answer, when it is over.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::slots::{Slot, WaitingFor};

/// The body of a request, as it arrives.
pub struct RequestBody {
    incoming: Incoming,
    slot: Arc<Slot>,
    complete: bool,
}

impl RequestBody {
    pub(super) fn new(incoming: Incoming, slot: Arc<Slot>) -> Self {
        let complete = incoming.is_end_stream();
        slot.set(if complete { WaitingFor::Answer } else { WaitingFor::Body });
        Self { incoming, slot, complete }
    }
}

impl std::fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestBody").field("complete", &self.complete).finish_non_exhaustive()
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.incoming).poll_frame(context);
        if !self.complete && (matches!(polled, Poll::Ready(None)) || self.incoming.is_end_stream()) {
            self.complete = true;
            self.slot.set(WaitingFor::Answer);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if !self.complete {
            self.slot.leave_unread();
            self.slot.set(WaitingFor::Answer);
        }
    }
}

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It has more bytes than allowed, by its declared length or by what arrived.
    #[error("the body is too large")]
    TooLarge,
    /// The connection broke, or the framing is wrong.
    #[error("the body was cut off")]
    Broken,
}

/// Reads a whole body of at most `max_bytes`. One that declares more is not read at all.
///
/// # Errors
/// See [`BodyError`].
pub async fn read_body<B>(body: B, max_bytes: usize) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes, Error = hyper::Error>,
{
    if body.size_hint().lower() > max_bytes as u64 {
        return Err(BodyError::TooLarge);
    }
    match Limited::new(body, max_bytes).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge),
        Err(_) => Err(BodyError::Broken),
    }
}

/// Ends a connection in place of an answer.
#[derive(Debug, thiserror::Error)]
#[error("the handler did not answer in time")]
pub(super) struct Ended;

/// The body of an answer, which tells the slot of a connection that may go on to a next request when it is over.
pub(super) struct ReplyBody {
    data: Full<Bytes>,
    kept: Option<Arc<Slot>>,
}

impl ReplyBody {
    pub(super) fn new(data: Full<Bytes>, kept: Option<Arc<Slot>>) -> Self {
        Self { data, kept }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.data).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.data.size_hint()
    }
}

impl Drop for ReplyBody {
    fn drop(&mut self) {
        if let Some(slot) = self.kept.take() {
            slot.set(WaitingFor::Head);
        }
    }
}
