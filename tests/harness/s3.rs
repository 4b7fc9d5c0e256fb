//! A server of the S3 protocol that honours conditions: gofakes3, in memory.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use super::{checkout, ports, wait};

/// The bucket that it has.
pub const BUCKET: &str = "numbers";

/// A running server. It ends when dropped.
pub struct S3 {
    process: Child,
    port: u16,
}

impl S3 {
    /// Starts one with an empty bucket.
    pub async fn start() -> Self {
        let port = ports::free();
        let mut command = Command::new(directory().join("gofakes3"));
        command
            .args(["-backend", "memory", "-initialbucket", BUCKET])
            .arg("-host")
            .arg(format!("127.0.0.1:{port}"));
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let server = Self { process: process.expect("gofakes3 starts"), port };
        wait::until("gofakes3 to listen", Duration::from_secs(30), async || {
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok().map(drop)
        })
        .await;
        server
    }

    /// Its URL.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The variables with which it is found, as for Amazon's own tools.
    pub fn environment(&self) -> [(&'static str, String); 4] {
        Self::environment_at(self.endpoint())
    }

    /// The same for what stands in front of one.
    pub fn environment_at(endpoint: String) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL", endpoint),
            ("AWS_ACCESS_KEY_ID", "id".into()),
            ("AWS_SECRET_ACCESS_KEY", "secret".into()),
            ("AWS_REGION", "us-east-1".into()),
        ]
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn directory() -> &'static PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let mut build = Command::new(checkout("tests/s3/build"));
        let output =
            build.stdin(Stdio::null()).stderr(Stdio::inherit()).output().expect("tests/s3/build runs");
        assert!(output.status.success(), "tests/s3/build failed");
        PathBuf::from(String::from_utf8(output.stdout).expect("a path").trim_end())
    })
}
