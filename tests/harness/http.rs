//! Just enough of an HTTP client to ask a process on loopback something.

use std::io::{Error, Result};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Status and body of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body, as text.
    pub body: String,
}

/// GET `http://127.0.0.1:{port}{path}`.
pub async fn get(port: u16, path: &str) -> Result<Answer> {
    request(port, "GET", path, "").await
}

/// POST of JSON to `http://127.0.0.1:{port}{path}`.
pub async fn post(port: u16, path: &str, json: &str) -> Result<Answer> {
    request(port, "POST", path, json).await
}

async fn request(port: u16, method: &str, path: &str, body: &str) -> Result<Answer> {
    // HTTP/1.0: no chunks in the answer, and its end is the connection's end.
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let exchange = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        parse(&answer).ok_or_else(|| Error::other("not an HTTP answer"))
    };
    tokio::time::timeout(Duration::from_secs(30), exchange).await?
}

fn parse(answer: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, body: body.to_owned() })
}
