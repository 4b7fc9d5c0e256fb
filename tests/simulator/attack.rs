//! The push receiver against requests that are nearly genuine, nearly HTTP, or neither.
//!
//! `corpus/` holds recorded requests as they go over the wire, some of them genuine where [`FIRST`] is the
//! push key and a stranger's where another one is.
//! `PUSH_MUTATIONS=1000000 SEED=7` asks for so many changed ones, chosen by that seed.

use std::cell::Cell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Once;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::mutator::mutate;
use crate::receiver::{FIRST, Testbed};
use harness::SplitMix64;

/// Changed requests in a plain `cargo test`.
const MUTATIONS: usize = 4000;
/// Receivers at a time. Each has its own ledger, so that a write can be laid to one request.
const WORKERS: usize = 64;
/// How long an answer may take before the sender ends its side, as it must if its request is incomplete.
const HEARD_OUT: Duration = Duration::from_millis(15);
/// How long a connection may be held at all.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Stored,
    NotFound,
    Closed,
    TryAgain,
    Alive,
}

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    /// With a secret that no key of the receiver made.
    Stranger,
    /// With the right secret, and perhaps with mistakes.
    Provider,
}

impl Sender {
    /// A receiver that is to take the sender of the corpus for this one.
    async fn testbed(self) -> Testbed {
        let key = if self == Self::Provider { FIRST } else { "another-push-key-altogether" };
        Testbed::start(key, key).await
    }
}

/// Names and requests.
type Corpus = (Vec<String>, Vec<Vec<u8>>);

fn corpus() -> Corpus {
    let directory = harness::checkout("tests/simulator/corpus");
    let mut files: Vec<_> = std::fs::read_dir(directory).unwrap().map(|f| f.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "http"));
    files.sort();
    let name = |path: &PathBuf| path.file_stem().unwrap().to_string_lossy().into();
    (files.iter().map(name).collect(), files.iter().map(|path| std::fs::read(path).unwrap()).collect())
}

/// Sends a request in one to three pieces, and returns all that comes until the receiver closes.
async fn send(address: SocketAddr, request: &[u8], heard_out: Duration, rng: &mut SplitMix64) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut cuts = [rng.below(request.len() + 1), rng.below(request.len() + 1)];
    if rng.below(2) == 0 {
        cuts = [0, 0];
    }
    cuts.sort_unstable();
    for piece in [&request[..cuts[0]], &request[cuts[0]..cuts[1]], &request[cuts[1]..]] {
        // The receiver may have answered and closed already.
        let _ = stream.write_all(piece).await;
        tokio::task::yield_now().await;
    }
    let mut answer = Vec::new();
    if tokio::time::timeout(heard_out, stream.read_to_end(&mut answer)).await.is_err() {
        let _ = stream.shutdown().await;
        let rest = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        assert!(rest.is_ok(), "the connection is held; sent: {}", request.escape_ascii());
    }
    answer
}

/// What an answer is, if it is one of those that are allowed, byte for byte.
fn judge(request: &[u8], answer: &[u8]) -> Option<Answer> {
    let request = request.to_ascii_uppercase();
    let asked = |word: &str| request.windows(word.len()).any(|window| window == word.as_bytes());
    let text = std::str::from_utf8(answer).ok()?;
    let text = match text.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n") {
        Some(rest) if asked("100-CONTINUE") => rest,
        _ => text,
    };
    if text.is_empty() {
        return Some(Answer::Closed);
    }
    let (version, rest) = text.split_once(' ')?;
    let (head, body) = rest.split_once("\r\n\r\n")?;
    let (head, date) = head.split_once("\r\ndate: ")?;
    let (answer, expected) = match head {
        "404 Not Found\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: 21" => {
            (Answer::NotFound, "{\"error\":\"not found\"}")
        }
        "200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: 2" => {
            (Answer::Stored, "{}")
        }
        "503 Service Unavailable\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: 21" => {
            (Answer::TryAgain, "{\"error\":\"try again\"}")
        }
        "200 OK\r\nconnection: close\r\ncontent-length: 0" if asked("GET ") => (Answer::Alive, ""),
        "200 OK\r\nconnection: close" if asked("HEAD ") => (Answer::Alive, ""),
        _ => return None,
    };
    let spoken = version == "HTTP/1.1" || (version == "HTTP/1.0" && asked("HTTP/1.0"));
    let whole = body == expected || (body.is_empty() && asked("HEAD "));
    (spoken && whole && date.len() == 29).then_some(answer)
}

/// Sends it, and checks the answer and what it did to the ledger. A receiver that stored something makes room for a
/// new one: what it remembers would decide what the next request does, and no seed could replay that.
async fn attack(
    testbed: &mut Testbed,
    sender: Sender,
    request: &[u8],
    heard_out: Duration,
    rng: &mut SplitMix64,
) -> Result<Answer, String> {
    let before = (testbed.ledger.reads(), testbed.ledger.writes());
    let bytes = send(testbed.server, request, heard_out, rng).await;
    let after = (testbed.ledger.reads(), testbed.ledger.writes());
    let failed =
        |what: &str| format!("{what}\nsent: {}\ngot: {}", request.escape_ascii(), bytes.escape_ascii());
    let answer = judge(request, &bytes).ok_or_else(|| failed("neither the one answer nor a close"))?;
    if PANICS.get() > 0 {
        return Err(failed("the receiver panicked"));
    }
    let allowed = match (sender, answer) {
        (Sender::Stranger, Answer::Stored | Answer::TryAgain) => false,
        (Sender::Stranger, _) | (_, Answer::NotFound | Answer::Alive) => before == after,
        (Sender::Provider, Answer::Stored) => before.1 + 1 == after.1,
        // Its own end of the connection may have come before the answer.
        (Sender::Provider, Answer::Closed) => true,
        // Without a usable number it is asked for again, and its order id, where that can be read, is kept.
        (Sender::Provider, Answer::TryAgain) => before.1 + 1 >= after.1,
    };
    if after.1 != before.1 {
        *testbed = sender.testbed().await;
    }
    if allowed { Ok(answer) } else { Err(failed(&format!("{answer:?}; ledger {before:?}, then {after:?}"))) }
}

thread_local! {
    // The receiver runs on the test's own thread. A panic of one of its tasks ends nothing but that task.
    static PANICS: Cell<usize> = const { Cell::new(0) };
}

fn count_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let former = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.set(PANICS.get() + 1);
            former(info);
        }));
    });
}

#[tokio::test]
async fn p19_every_recorded_request_meets_the_one_answer_or_a_close() {
    count_panics();
    let (names, requests) = corpus();
    for sender in [Sender::Stranger, Sender::Provider] {
        let mut testbed = sender.testbed().await;
        for (name, request) in names.iter().zip(&requests) {
            let genuine = sender == Sender::Provider && name.starts_with("genuine");
            let heard_out = if genuine { PATIENCE } else { HEARD_OUT };
            let answer =
                attack(&mut testbed, sender, request, heard_out, &mut SplitMix64::new(0)).await.expect(name);
            assert_eq!(answer == Answer::Stored, genuine, "{name} from the {sender:?}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn p19_p20_no_changed_request_is_stored_or_answered_otherwise() {
    count_panics();
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seed = number("SEED").unwrap_or_else(|| u64::from(uuid::Uuid::new_v4().as_fields().0));
    let mutations = number("PUSH_MUTATIONS").map_or(MUTATIONS, |n| usize::try_from(n).unwrap());
    println!("seed {seed} (replay with SEED=)");
    let (sent, corpus) = (Cell::new(0), &corpus());
    let workers = (0..WORKERS)
        .map(|_| work(seed, corpus, || Some(sent.replace(sent.get() + 1)).filter(|n| *n < mutations)));
    let counted = futures::future::join_all(workers).await;
    let [stored, not_found, closed, again, alive] =
        [0, 1, 2, 3, 4].map(|n| counted.iter().map(|counts| counts[n]).sum::<usize>());
    println!(
        "figure: changed pushes | none stored that is not genuine | {stored} genuine ones stored, {not_found} \
         answered 404, {again} genuine ones without a number 503, {alive} health checks, {closed} closed; seed {seed}"
    );
    assert!(mutations < MUTATIONS || (stored > 0 && not_found > 0 && closed > 0), "seed {seed}: {counted:?}");
}

/// Sends changed requests as long as there is a next one; returns how many got each answer.
async fn work(seed: u64, (names, corpus): &Corpus, next: impl Fn() -> Option<usize>) -> [usize; 5] {
    let genuine = names.iter().zip(corpus).filter(|(name, _)| name.starts_with("genuine"));
    let genuine: Vec<_> = genuine.map(|(_, request)| request.clone()).collect();
    let mut testbeds = [Sender::Stranger.testbed().await, Sender::Provider.testbed().await];
    let mut counted = [0; 5];
    while let Some(case) = next() {
        let mut rng = SplitMix64::new(seed ^ u64::try_from(case).unwrap().rotate_left(32));
        let [strangers, providers] = &mut testbeds;
        let (sender, testbed, bases) = match rng.below(4) {
            0 => (Sender::Provider, providers, &genuine),
            _ => (Sender::Stranger, strangers, corpus),
        };
        let request = mutate(&mut rng, bases, corpus);
        let answer = attack(testbed, sender, &request, HEARD_OUT, &mut rng).await;
        let answer = answer.unwrap_or_else(|why| panic!("seed {seed}, case {case}, {sender:?}: {why}"));
        counted[answer as usize] += 1;
    }
    for testbed in testbeds {
        let (url, body) = testbed.genuine();
        assert_eq!(testbed.post(&url, &body).await.0, 200, "seed {seed}: the genuine push after all others");
    }
    counted
}
