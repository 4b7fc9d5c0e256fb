//! Where the bare client is told numbers.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;

use super::{Bare, or_end};
use harness::Result;

/// Listens at once, and answers from then on.
pub(super) async fn listen(bare: Arc<Bare>, port: u16) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let bare = bare.clone();
            let answers = service_fn(move |request| answer(bare.clone(), request));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answers));
        }
    });
    Ok(())
}

async fn answer(
    bare: Arc<Bare>,
    request: Request<Incoming>,
) -> std::result::Result<Response<Empty<Bytes>>, Infallible> {
    let name = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
    // Whether it is there yet is asked without a name.
    if !name.is_empty() {
        match take(&bare, &name, request).await {
            Ok(status) => {
                tokio::spawn(async move { or_end(bare.shows(&name, &status).await) });
            }
            Err(failure) => or_end(Err(failure)),
        }
    }
    Ok(Response::new(Empty::new()))
}

async fn take(bare: &Bare, name: &str, request: Request<Incoming>) -> Result<Value> {
    let body = request.into_body().collect().await?.to_bytes();
    bare.is_told(name, &serde_json::from_slice(&body)?).await
}
