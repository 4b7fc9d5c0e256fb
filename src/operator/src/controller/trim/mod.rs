//! What is not needed of others' objects is dropped while it arrives, before anything is parsed or kept.
//!
//! Labels, managed fields and annotations of a tenant's objects may be a megabyte each, and a page of a list
//! holds a hundred objects: read as a whole, 60 such orders filled a pod of 128 MiB.

mod json;

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response, header};
use http_body::{Body, Frame};
use kube::client::{Body as RequestBody, ClientBuilder};
use tower::layer::layer_fn;
use tower::{BoxError, Service};

pub use json::{Bounds, Trim};

use super::NAMESPACE_LEASE;
use tenios_api::{Cause, GROUP};
use tenios_ledger::Kind;
use tenios_net::Bearer;

/// A client that drops what it does not need of the objects that tenants write.
///
/// # Errors
/// A configuration that can't be used.
pub fn client(mut config: kube::Config) -> Result<kube::Client, Cause> {
    let bearer = Bearer::take(&mut config.auth_info)?;
    let builder = ClientBuilder::try_from(config)?;
    Ok(builder.with_layer(&bearer).with_layer(&layer_fn(|inner| Trimming { inner })).build())
}

/// Spec or status: far above what the schemas take. Something longer came by a looser one and can't be read.
const RESOURCE: Bounds = Bounds { member: 256 * 1024, text: 64 * 1024, owners: false };
/// The apiserver takes 1 MiB, which base64 makes a third longer.
const SECRET: Bounds = Bounds { member: 2 * 1024 * 1024, text: 2 * 1024 * 1024, owners: false };
/// A Lease holds a name.
const LEASE: Bounds = Bounds { member: 2 * 1024, text: 2 * 1024, owners: false };
/// One with a number has some hundred bytes. What is longer is either not ours or to be replaced.
const CONFIG_MAP: Bounds = Bounds { member: 4 * 1024, text: 4 * 1024, owners: true };

/// How much is kept of an object that is answered under this path; none where it is not a tenant's, such as a
/// ledger entry, on which what others put has to survive a write.
fn bounds(path: &str) -> Option<Bounds> {
    let mut parts = path.trim_start_matches('/').split('/');
    let group = match parts.next()? {
        "api" => "",
        _ => parts.next()?,
    };
    let _version = parts.next()?;
    let mut resource = parts.next()?;
    if resource == "namespaces" {
        parts.next()?;
        resource = parts.next()?;
    }
    match (group, resource, parts.next()) {
        (GROUP, _, _) if Kind::RESOURCES.iter().any(|kind| kind.plural() == resource) => Some(RESOURCE),
        ("", "secrets", _) => Some(SECRET),
        ("", "configmaps", _) => Some(CONFIG_MAP),
        // The Lease of the leader election is written back whole.
        ("coordination.k8s.io", "leases", None | Some(NAMESPACE_LEASE)) => Some(LEASE),
        _ => None,
    }
}

struct Trimming<S> {
    inner: S,
}

impl<S, B> Service<Request<RequestBody>> for Trimming<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = Response<Trimmed<B>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let bounds = bounds(request.uri().path());
        let answer = self.inner.call(request);
        async move { Ok(trimmed(answer.await?, bounds)) }.boxed()
    }
}

fn trimmed<B>(response: Response<B>, bounds: Option<Bounds>) -> Response<Trimmed<B>> {
    let (mut parts, inner) = response.into_parts();
    let json = parts
        .headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|t| t.as_bytes().starts_with(b"application/json"));
    let trim = bounds.filter(|_| json).map(Trim::new);
    if trim.is_some() {
        parts.headers.remove(header::CONTENT_LENGTH);
    }
    Response::from_parts(parts, Trimmed { inner, trim })
}

/// A response as it arrives, without what is not needed.
struct Trimmed<B> {
    inner: B,
    trim: Option<Trim>,
}

impl<B> Body for Trimmed<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        loop {
            let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
            let (Some(trim), Some(Ok(frame))) = (&mut self.trim, &frame) else { return Poll::Ready(frame) };
            let Some(data) = frame.data_ref() else { continue };
            let kept = trim.push(data);
            if !kept.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(kept.into()))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CONFIG_MAP, LEASE, RESOURCE, SECRET, bounds};

    #[test]
    fn what_tenants_write_is_trimmed_and_what_is_written_back_whole_is_not() {
        for (path, expected) in [
            ("/apis/tenios.dev/v1alpha1/phonenumberorders", Some(RESOURCE)),
            ("/apis/tenios.dev/v1alpha1/namespaces/shop/phonenumberorders", Some(RESOURCE)),
            ("/apis/tenios.dev/v1alpha1/namespaces/shop/phoneverifications/v/status", Some(RESOURCE)),
            ("/apis/tenios.dev/v1alpha1/namespaces/tenios-system/ledgerentries", None),
            ("/api/v1/namespaces/shop/secrets/tenios", Some(SECRET)),
            ("/api/v1/namespaces/shop/configmaps/main-line", Some(CONFIG_MAP)),
            ("/api/v1/namespaces/shop/configmaps", Some(CONFIG_MAP)),
            ("/apis/coordination.k8s.io/v1/leases", Some(LEASE)),
            ("/apis/coordination.k8s.io/v1/namespaces/shop/leases/tenios-operator-ledger", Some(LEASE)),
            ("/apis/coordination.k8s.io/v1/namespaces/tenios-system/leases/tenios-operator", None),
            ("/apis/events.k8s.io/v1/namespaces/shop/events", None),
            ("/version", None),
        ] {
            assert_eq!(bounds(path), expected, "{path}");
        }
    }
}
