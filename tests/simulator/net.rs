//! Where it listens, and by which roots it trusts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use rstest::rstest;
use secrecy::SecretString;
use tenios_http_server::Server;
use tenios_net::{Listen, Roots};
use tenios_operator::controller::trim;
use tenios_provider::{Outcome, SendDeadline, Tenios};
use tenios_simulator::Options;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::client::order;
use crate::support::{KEY, Scratch, local, options, simulator_with};

fn serve(server: Server) -> DropGuard {
    let stop = CancellationToken::new();
    let answer = |_| std::future::ready(Response::new(Full::new(Bytes::from_static(b"here"))));
    tokio::spawn(server.run(answer, stop.clone()));
    stop.drop_guard()
}

async fn answer(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// A free port of both families.
async fn free() -> u16 {
    Server::bind((Ipv6Addr::UNSPECIFIED, 0).into()).await.unwrap().local_addr().port()
}

#[rstest]
#[case::by_default("")]
#[case::by_its_address("[::]")]
#[tokio::test]
async fn a_listener_answers_over_ipv4_and_ipv6(#[case] address: &str) {
    let listen: Listen = format!("{address}:{}", free().await).parse().unwrap();
    let _stop = serve(Server::on(listen.bind().unwrap()).unwrap());
    for local in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
        let said = answer((local, listen.port()).into()).await;
        assert!(said.ends_with("here"), "{local}: {said}");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_not_listened_at_by_half() {
    let port = free().await;
    let over = |address: IpAddr| std::net::TcpListener::bind((address, port));
    // Over IPv6 alone, where there is one.
    let _taken = over(Ipv6Addr::LOCALHOST.into()).or_else(|_| over(Ipv4Addr::LOCALHOST.into())).unwrap();
    assert_eq!(Listen::Everywhere(port).bind().unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
}

/// Whom the operator's client to the apiserver says that it is.
#[tokio::test]
async fn a_token_in_a_file_may_end_with_its_line_and_is_read_again_when_it_is_renewed() {
    let scratch = Scratch::new();
    let file = scratch.path("token");
    let server = Server::bind(local()).await.unwrap();
    let url = format!("http://{}", server.local_addr()).parse().unwrap();
    let stop = CancellationToken::new();
    let said = |request: http::Request<_>| {
        let said = request.headers().get(http::header::AUTHORIZATION).map(|value| value.as_bytes().to_vec());
        std::future::ready(Response::new(Full::new(Bytes::from(said.unwrap_or_default()))))
    };
    tokio::spawn(server.run(said, stop.clone()));
    let _stop = stop.drop_guard();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = || {
        let mut config = kube::Config::new(url);
        config.auth_info.token_file = Some(file.display().to_string());
        trim::client(config)
    };
    std::fs::write(&file, "first\n").unwrap();
    let client = client().unwrap();
    let said =
        async || client.request_text(http::Request::get("/version").body(vec![]).unwrap()).await.unwrap();
    for (content, token) in
        [("first\n", "first"), ("\u{feff}second\r\n", "second"), ("", "second"), ("third", "third")]
    {
        std::fs::write(&file, content).unwrap();
        assert_eq!(said().await, format!("Bearer {token}"), "{content:?}");
    }
    std::fs::remove_file(&file).unwrap();
    assert_eq!(said().await, "Bearer third");
}

/// A certificate in PEM and its key.
fn pair() -> (String, String) {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (pair.cert.pem(), pair.signing_key.serialize_pem())
}

#[test]
fn a_file_of_trust_roots_may_begin_with_a_mark_hold_several_and_end_as_on_windows() {
    let ((one, key), (other, _)) = (pair(), pair());
    for (content, expected) in [
        (one.clone(), 1),
        (format!("\u{feff}{one}"), 1),
        (format!("{one}\n# the next one\n{other}"), 2),
        (one.replace('\n', "\r\n"), 1),
        (format!("\n\n{one}\n\n"), 1),
        (format!("{key}{one}"), 1),
    ] {
        let scratch = Scratch::new();
        std::fs::write(scratch.path("ca"), &content).unwrap();
        assert_eq!(Roots::from_file(&scratch.path("ca")).unwrap().1.len(), expected, "{content:?}");
    }
}

#[test]
fn what_is_no_trust_root_is_refused_in_a_sentence() {
    let (certificate, key) = pair();
    let der = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.der().to_vec();
    let utf16: Vec<u8> = certificate.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let nothing = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (content, says) in [
        (Vec::new(), "is empty"),
        (b"\xef\xbb\xbf \n".to_vec(), "is empty"),
        (der, "openssl x509 -inform der"),
        (key.into_bytes(), "a private key and no certificate"),
        (b"hello".to_vec(), "no certificate in PEM"),
        (utf16, "no certificate in PEM"),
        (certificate[..certificate.len() / 2].into(), "damaged"),
        (nothing.into(), "certificate 1 in it"),
        (format!("{certificate}{nothing}").into(), "certificate 2 in it"),
        (vec![b'\n'; 1024 * 1024 + 1], "larger than"),
    ] {
        let scratch = Scratch::new();
        std::fs::write(scratch.path("ca"), &content).unwrap();
        let said = Roots::from_file(&scratch.path("ca")).unwrap_err().to_string();
        assert!(said.contains(says) && said.lines().count() == 1, "{says}: {said}");
    }
    let said = Roots::from_file(std::path::Path::new("/no/such/file")).unwrap_err().to_string();
    assert!(said.contains("/no/such/file: No such file"), "{said}");
}

#[test]
fn a_change_that_can_not_be_used_is_told_once() {
    let scratch = Scratch::new();
    let ((one, _), (other, _)) = (pair(), pair());
    let file = scratch.path("ca");
    std::fs::write(&file, &one).unwrap();
    let (mut roots, _) = Roots::from_file(&file).unwrap();
    assert!(roots.changed().is_none());
    for bad in [Some("hello"), None, Some("")] {
        match bad {
            Some(content) => std::fs::write(&file, content).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        assert!(roots.changed().unwrap().is_err(), "{bad:?}");
        assert!(roots.changed().is_none(), "{bad:?} is told twice");
    }
    std::fs::write(&file, other).unwrap();
    assert_eq!(roots.changed().unwrap().unwrap().len(), 1);
}

#[tokio::test]
async fn p04_a_provider_is_trusted_once_its_root_is_in_the_file() {
    let scratch = Scratch::new();
    let certificate = scratch.certify();
    let simulator = simulator_with(Options { tls: Some(scratch.tls()), ..options() }).await;
    let file = scratch.path("ca");
    std::fs::write(&file, pair().0).unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let roots = Roots::from_file(&file).unwrap();
    let url = simulator.url().parse().unwrap();
    let tenios = Tenios::new(url, Some(roots), Duration::from_secs(5)).unwrap();
    let send = async || {
        let send_by = SendDeadline::within(Duration::from_secs(5));
        tenios.send(&order(), &SecretString::from(KEY), send_by).await
    };
    assert!(matches!(send().await, Outcome::NotProcessed { .. }));
    std::fs::write(&file, certificate).unwrap();
    let trusted = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            match send().await {
                Outcome::NotProcessed { .. } => tokio::time::sleep(Duration::from_millis(50)).await,
                outcome => return outcome,
            }
        }
    });
    assert_eq!(trusted.await.unwrap(), Outcome::Accepted { id: "300000".into() });
    assert_eq!(simulator.requests("/number/order"), 1);
}
