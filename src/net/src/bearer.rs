//! The token in a file, for requests to the apiserver. kube-rs sends what is in the file, and a line end, which most
//! files have, fits into no header.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderValue, Request, header};
use kube::config::AuthInfo;
use parking_lot::Mutex;
use tower::{Layer, Service};

use super::trimmed;

/// The header by the file that the kubeconfig names, or of the pod's service account; none where there is none.
#[derive(Clone, Debug)]
pub struct Bearer(Option<Arc<File>>);

#[derive(Debug)]
struct File {
    path: PathBuf,
    last: Mutex<HeaderValue>,
}

impl Bearer {
    /// Takes the file over from kube-rs, unless that would not read it either.
    ///
    /// # Errors
    /// A file that can't be read or holds no token.
    pub fn take(user: &mut AuthInfo) -> Result<Self, String> {
        let has_password = user.username.is_some() && user.password.is_some();
        if user.token.is_some() || user.auth_provider.is_some() || has_password {
            return Ok(Self(None));
        }
        let Some(path) = user.token_file.take() else { return Ok(Self(None)) };
        user.exec = None;
        let path = PathBuf::from(path);
        let last = Mutex::new(read(&path)?);
        Ok(Self(Some(Arc::new(File { path, last }))))
    }
}

impl File {
    /// Read for each request, because tokens are renewed. While the file is not there, the last one is used: kubectl
    /// does so for files that are removed after the start (kubernetes/kubernetes#68164).
    fn header(&self) -> HeaderValue {
        let mut last = self.last.lock();
        if let Ok(header) = read(&self.path) {
            *last = header;
        }
        last.clone()
    }
}

fn read(path: &Path) -> Result<HeaderValue, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let token = trimmed(&text);
    let header = HeaderValue::try_from(format!("Bearer {token}")).ok().filter(|_| !token.is_empty());
    let mut header = header.ok_or_else(|| format!("{}: contains no token", path.display()))?;
    header.set_sensitive(true);
    Ok(header)
}

impl<S> Layer<S> for Bearer {
    type Service = WithBearer<S>;

    fn layer(&self, inner: S) -> WithBearer<S> {
        WithBearer { inner, bearer: self.clone() }
    }
}

/// A service whose requests carry the header.
#[derive(Clone, Debug)]
pub struct WithBearer<S> {
    inner: S,
    bearer: Bearer,
}

impl<S, B> Service<Request<B>> for WithBearer<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        if let Some(file) = &self.bearer.0 {
            request.headers_mut().insert(header::AUTHORIZATION, file.header());
        }
        self.inner.call(request)
    }
}
