//! The body of a request: encoded while it leaves, and revocable until its last byte is handed over.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::{Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// Raw bytes that are encoded at a time; a multiple of 3, so that only the last piece is padded.
const PIECE: usize = 24 * 1024;

const SENDING: u8 = 0;
const HANDED_OVER: u8 = 1;
const REVOKED: u8 = 2;

/// Until when a request may leave. Measured on both clocks, because the monotonic one stands still
/// while a virtual machine is suspended and the wall clock may be set back; either one ends it.
#[derive(Clone, Copy, Debug)]
pub struct SendDeadline {
    instant: Instant,
    wall: SystemTime,
}

impl SendDeadline {
    /// This long from now.
    #[must_use]
    pub fn within(limit: std::time::Duration) -> Self {
        Self { instant: Instant::now() + limit, wall: SystemTime::now() + limit }
    }

    fn has_passed(self) -> bool {
        Instant::now() >= self.instant || SystemTime::now() >= self.wall
    }
}

/// Whether the last byte was handed to the connection. Before that, the request can be revoked, and
/// then it was provably not processed: what arrived is not even complete JSON.
#[derive(Clone, Debug, Default)]
pub(super) struct Departure(Arc<AtomicU8>);

impl Departure {
    /// Forbids the last byte to leave. False where it was handed over already.
    pub(super) fn revoke(&self) -> bool {
        match self.0.compare_exchange(SENDING, REVOKED, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => true,
            Err(state) => state == REVOKED,
        }
    }

    fn hand_over(&self) -> bool {
        self.0.compare_exchange(SENDING, HANDED_OVER, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

enum Part {
    Plain(Bytes),
    Base64(Bytes),
}

impl Part {
    fn encoded_len(&self) -> u64 {
        match self {
            Self::Plain(bytes) => bytes.len() as u64,
            Self::Base64(bytes) => bytes.len().div_ceil(3) as u64 * 4,
        }
    }
}

/// See the module documentation.
pub(super) struct RequestBody {
    parts: VecDeque<Part>,
    send_by: SendDeadline,
    departure: Departure,
}

/// Why the body stopped.
#[derive(Debug, thiserror::Error)]
#[error("the time in which this request was allowed to leave has passed")]
pub(super) struct TooLate;

impl RequestBody {
    /// A body of `json`, an object, with one more field whose value is the document in base64
    /// (RFC 4648, padded, not wrapped).
    pub(super) fn new(
        json: Vec<u8>,
        document: Option<(&str, Bytes)>,
        send_by: SendDeadline,
        departure: Departure,
    ) -> Self {
        let mut parts = VecDeque::new();
        match document {
            None => parts.push_back(Part::Plain(json.into())),
            Some((field, document)) => {
                let mut head = json;
                head.pop();
                head.extend_from_slice(format!(",\"{field}\":\"").as_bytes());
                parts.push_back(Part::Plain(head.into()));
                parts.push_back(Part::Base64(document));
                parts.push_back(Part::Plain(Bytes::from_static(b"\"}")));
            }
        }
        Self { parts, send_by, departure }
    }

    fn next_piece(&mut self) -> Option<Bytes> {
        match self.parts.pop_front()? {
            Part::Plain(bytes) => Some(bytes),
            Part::Base64(mut bytes) => {
                let piece = bytes.split_to(PIECE.min(bytes.len()));
                if !bytes.is_empty() {
                    self.parts.push_front(Part::Base64(bytes));
                }
                Some(STANDARD.encode(piece).into())
            }
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = TooLate;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TooLate>>> {
        if self.parts.is_empty() {
            return Poll::Ready(None);
        }
        if self.send_by.has_passed() {
            self.departure.revoke();
            return Poll::Ready(Some(Err(TooLate)));
        }
        let piece = self.next_piece();
        if self.parts.is_empty() && !self.departure.hand_over() {
            return Poll::Ready(Some(Err(TooLate)));
        }
        Poll::Ready(piece.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.parts.iter().map(Part::encoded_len).sum())
    }
}
