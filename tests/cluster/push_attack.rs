//! The push receiver of a running operator against crowds of strangers.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::json;
use tenios_api::order::OrderState;
use tenios_simulator::PushTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::testbed::{ORDER, PATIENCE, Testbed};
use harness::wait;

/// Requests in each of the two halves: before and while an order is placed and gets its number.
const HALF: usize = 5000;
/// Strangers at a time that send requests, and that send nothing, or only a byte now and then.
const BUSY: usize = 100;
const IDLE: usize = 100;
/// Strangers whose body has no end, and how much each sends if nobody stops it.
const ENDLESS: usize = 8;
const ENDLESS_CHUNKS: usize = 512;
const CHUNK: usize = 64 * 1024;
/// How much the peak of resident memory may grow: about the strangers that are connected at a time, each with
/// the server's buffer of 64 KiB and the 16 KiB of a body. Measured: 8 MiB.
const GROWTH_KIB: u64 = 24 * 1024;
/// Of each kind, in a round of [`indistinguishable`].
const SAMPLES: usize = 600;
/// Between equal distributions, one comparison in 16,000 is further off than this (standard deviations).
const FAR_OFF: f64 = 4.0;

/// What strangers send to the path of an order that exists.
fn requests(path: &str) -> Vec<String> {
    let secret = "0".repeat(64);
    let body = json!({"phonenumber": "+4922112345", "order_id": "1", "push_secret": secret}).to_string();
    let post = |path: &str, body: &str| {
        format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    };
    let chunked = format!("POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
    let nested = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    vec![
        post(path, &body),
        post(&path.replace("/o/", "/x/"), &body),
        post("/", &body),
        post(path, &nested),
        post(path, &"x".repeat(20_000)),
        post(path, &body).repeat(20),
        format!("{chunked}{:x}\r\n{body}\r\n0\r\n\r\n", body.len()),
        format!("{chunked}{}", format!("400\r\n{}\r\n", "x".repeat(1024)).repeat(20)),
        format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n"),
        // From here on, what never becomes a request.
        format!("POST {path} HTTP/1.1\r\nhost: x\r\nlong: {}\r\n\r\n", "x".repeat(17_000)),
        format!("POST {path} HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{body}"),
        format!("POST {path}\r\n\r\n"),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
    ]
}
/// How many of [`requests`] are requests.
const ANSWERED: usize = 9;

/// The answer without its date, which moves with the clock; empty if there is none.
async fn ask(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    // An oversized request may be refused before it was read to its end.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = wait::within("an answer or a close", PATIENCE, stream.read_to_end(&mut answer)).await;
    let text = String::from_utf8(answer).unwrap();
    text.split_inclusive("\r\n").filter(|line| !line.starts_with("date: ")).collect()
}

/// Sends all kinds in turn, [`BUSY`] at a time. Counts the answers: to requests, and to what is none.
async fn flood(port: u16, path: &str) -> BTreeMap<(bool, String), usize> {
    let requests = std::sync::Arc::new(requests(path));
    let senders: Vec<_> = (0..BUSY)
        .map(|sender| {
            let requests = requests.clone();
            tokio::spawn(async move {
                let mut answers = BTreeMap::new();
                for n in (sender..HALF).step_by(BUSY) {
                    let kind = n % requests.len();
                    let answer = ask(port, &requests[kind]).await;
                    *answers.entry((kind < ANSWERED, answer)).or_insert(0) += 1;
                }
                answers
            })
        })
        .collect();
    let mut all = BTreeMap::new();
    for answers in futures::future::join_all(senders).await {
        for (answer, count) in answers.unwrap() {
            *all.entry(answer).or_insert(0) += count;
        }
    }
    all
}

/// Sends a body until it is refused. Returns whether it was.
async fn endless(port: u16, path: &str) -> bool {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("{CHUNK:x}\r\n{}\r\n", "x".repeat(CHUNK));
    for _ in 0..ENDLESS_CHUNKS {
        if stream.write_all(chunk.as_bytes()).await.is_err() {
            return true;
        }
    }
    false
}

/// Connections that are silent, or send a header's byte now and then, for as long as this is held.
async fn idlers(port: u16) -> Vec<tokio_util::task::AbortOnDropHandle<()>> {
    let mut idlers = Vec::new();
    for n in 0..IDLE {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        idlers.push(tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
            while n % 2 == 0 && stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            let _ = stream.read_u8().await;
        })));
    }
    idlers
}

fn peak_kib(w: &Testbed) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", w.operator.pid().unwrap())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// An order that waits for its number, and the path of its push.
async fn waiting(name: &str) -> (Testbed, String) {
    let w = Testbed::new(name).await;
    w.simulator.set(|s| s.push.when = PushTime::Never);
    w.plain_order("o").await;
    w.order_at("o", OrderState::AwaitingNumber).await;
    let url = w.simulator.orders()[0].push_url.clone().unwrap();
    let path = url[url.find("/push/v1/").unwrap()..].to_owned();
    (w, path)
}

#[tokio::test]
async fn p19_p20_ten_thousand_strangers_learn_nothing_and_keep_nobody_out() {
    let (w, path) = waiting("crowd").await;
    let port = w.operator.push_port;
    let peak = peak_kib(&w);
    let mark = w.namespaces.quiet().await;
    let _idlers = idlers(port).await;
    let bodies = futures::future::join_all((0..ENDLESS).map(|_| endless(port, &path)));
    let (first, refused) = futures::future::join(flood(port, &path), bodies).await;
    let made =
        w.namespaces.control_plane.requests_since(mark).await.by(&w.namespaces.operator_identity().user());
    let for_strangers = made.only(|r| !r.is_by_the_clock());
    assert!(for_strangers.is_empty(), "asked of the apiserver while only strangers came: {for_strangers}");

    let (second, ()) = futures::future::join(flood(port, &path), async {
        w.simulator.set(|s| s.push.when = PushTime::AfterAnswer);
        w.plain_order("meanwhile").await;
        w.order_at("meanwhile", OrderState::Assigned).await;
        assert_eq!(w.push(json!({})).await.status, Some(200));
        w.order_at("o", OrderState::Assigned).await;
    })
    .await;
    assert_eq!(w.requests(ORDER), 2);
    for answers in [first, second] {
        let kinds: Vec<_> = answers.keys().filter(|(_, answer)| !answer.is_empty()).collect();
        assert_eq!(kinds.len(), 1, "all answers are the same, byte for byte: {answers:#?}");
        assert!(kinds[0].1.starts_with("HTTP/1.1 404 ") && kinds[0].0, "{answers:#?}");
        assert!(!answers.contains_key(&(true, String::new())), "a request got no answer: {answers:#?}");
    }
    let growth = peak_kib(&w) - peak;
    println!(
        "figure: strangers' requests to the push receiver | one and the same answer | {}; the peak of resident \
         memory grew by {growth} KiB",
        2 * HALF
    );
    assert!(growth < GROWTH_KIB, "the peak of resident memory grew by {growth} KiB");
    assert!(!refused.contains(&false), "a body without end was read: {refused:?}");
}

/// How far the ranks of the first are from what they would be by chance (Mann and Whitney's U, as
/// standard deviations). Ties get their order from the sort; at nanoseconds there are hardly any.
#[allow(clippy::cast_precision_loss, reason = "small counts")]
fn distance(first: &[Duration], second: &[Duration]) -> f64 {
    let both = first.iter().map(|t| (t, 1)).chain(second.iter().map(|t| (t, 0)));
    let mut both: Vec<_> = both.collect();
    both.sort_unstable();
    let ranks: usize = both.iter().enumerate().map(|(rank, (_, own))| (rank + 1) * own).sum();
    let (n, m) = (first.len() as f64, second.len() as f64);
    let u = ranks as f64 - n * (n + 1.0) / 2.0;
    (u - n * m / 2.0) / (n * m * (n + m + 1.0) / 12.0).sqrt()
}

/// How long the answer to this request takes, on a connection that stands already.
async fn timed(port: u16, request: &str) -> Duration {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let began = Instant::now();
    stream.write_all(request.as_bytes()).await.unwrap();
    let first = wait::within("an answer", PATIENCE, stream.read_u8()).await;
    let took = began.elapsed();
    assert_eq!(first.unwrap(), b'H');
    took
}

#[tokio::test]
async fn p19_the_time_of_an_answer_does_not_tell_an_order_from_none() {
    let (w, path) = waiting("times").await;
    let kinds = requests(&path);
    let (existing, unknown) = (&kinds[0], &kinds[1]);
    assert_eq!(existing.len(), unknown.len());
    let mut seen = Vec::new();
    // Chance fails one round in many, a difference fails all of them.
    for round in 0..4_u32 {
        let (mut known, mut strange) = (Vec::new(), Vec::new());
        for n in 0..SAMPLES << round {
            // Whoever comes second finds warmer caches.
            if n % 2 == 0 {
                known.push(timed(w.operator.push_port, existing).await);
                strange.push(timed(w.operator.push_port, unknown).await);
            } else {
                strange.push(timed(w.operator.push_port, unknown).await);
                known.push(timed(w.operator.push_port, existing).await);
            }
        }
        seen.push(distance(&known, &strange));
        println!("{} samples of each: {:+.2} standard deviations apart", known.len(), seen[seen.len() - 1]);
        if seen[seen.len() - 1].abs() < FAR_OFF {
            return;
        }
    }
    panic!("answers for an order that exists take another time: {seen:?} standard deviations");
}

#[test]
fn the_rank_test_tells_distributions_apart() {
    let times =
        |from: u64| (0..200).map(|n| Duration::from_micros(from + n * 7919 % 200)).collect::<Vec<_>>();
    assert!(distance(&times(100), &times(100)).abs() < FAR_OFF);
    assert!(distance(&times(100), &times(150)) < -FAR_OFF);
    assert!(distance(&times(150), &times(100)) > FAR_OFF);
}
