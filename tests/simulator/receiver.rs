//! The push receiver over real sockets, with a ledger in memory.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use rstest::rstest;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tenios_http_server::Server;
use tenios_ledger::{AttemptId, Budget, Budgets, Entry, Event, Key, Kind, LedgerCache, Terms, WriterId};
use tenios_operator::push::{PushKeys, PushSigner, Receiver};
use tenios_operator::telemetry::Metrics;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::in_memory_ledger::InMemoryLedger;
use crate::support::{Scratch, client, local};

const NUMBER: &str = "+4922112345678";

pub struct Testbed {
    pub ledger: Arc<InMemoryLedger>,
    metrics: Arc<Metrics>,
    address: PushSigner,
    pub server: SocketAddr,
    base: String,
    _stop: DropGuard,
}

fn key() -> Key {
    Key { kind: Kind::Order, namespace: "shop".into(), name: "main-line".into() }
}

fn attempt() -> AttemptId {
    AttemptId::parse("a1").unwrap()
}

fn keys(lines: &str) -> PushKeys {
    let scratch = Scratch::new();
    std::fs::write(scratch.path("keys"), lines).unwrap();
    PushKeys::from_file(&scratch.path("keys")).unwrap()
}

impl Testbed {
    pub async fn start(signing: &str, verifying: &str) -> Self {
        let ledger = Arc::new(InMemoryLedger::new(key()));
        let intended = Event::Intended { attempt: attempt(), at: Timestamp::now(), terms: Terms::new() };
        ledger.put(Some(Entry::empty(key()).with(&[intended], WriterId::random())));
        let metrics = Arc::new(Metrics::default());
        let budget = Budget { requests: 1, window: SignedDuration::from_hours(1) };
        let budgets = Budgets { operator: budget, namespace: budget, cancel: budget };
        let (cache, _) = LedgerCache::new(ledger.clone(), budgets);
        let receiver = Receiver::new(cache, keys(verifying), metrics.clone());
        let server = Server::bind(local()).await.unwrap();
        let bound = server.local_addr();
        let base = format!("http://{bound}");
        let stop = CancellationToken::new();
        tokio::spawn(
            server
                .with_limits(Receiver::limits())
                .run(move |request| receiver.clone().answer(request), stop.clone()),
        );
        let address = PushSigner::new(base.parse().unwrap(), keys(signing));
        Self { ledger, metrics, address, server: bound, base, _stop: stop.drop_guard() }
    }

    pub fn genuine(&self) -> (String, Value) {
        let target = self.address.target("shop", "main-line", &attempt());
        let secret = target.secret.expose_secret();
        (target.url, json!({"phonenumber": NUMBER, "order_id": "300000", "push_secret": secret}))
    }

    /// Status and body of the answer to a POST.
    pub async fn post(&self, url: &str, body: &Value) -> (u16, String) {
        let response = client().post(url).body(body.to_string()).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    fn number(&self) -> Option<String> {
        self.ledger.get().state().number.map(|n| n.number.to_string())
    }

    fn counted(&self, result: &str) -> bool {
        self.metrics.encode().contains(&format!("tenios_pushes_total{{result=\"{result}\"}} 1\n"))
    }
}

pub const FIRST: &str = "the-first-push-key-of-all";

#[rstest]
#[case::alone(FIRST, FIRST)]
#[case::with_a_blank_line(FIRST, "\n  the-first-push-key-of-all \n\n")]
#[case::as_windows_writes_it(FIRST, "\u{feff}the-first-push-key-of-all\r\nanother-push-key-altogether\r\n")]
#[case::before_another(FIRST, "the-first-push-key-of-all\nanother-push-key-altogether\n")]
#[case::after_another(FIRST, "another-push-key-altogether\nthe-first-push-key-of-all\n")]
#[tokio::test]
async fn p17_a_genuine_push_is_stored_before_it_is_acknowledged(
    #[case] signing: &str,
    #[case] verifying: &str,
) {
    let w = Testbed::start(signing, verifying).await;
    let (url, body) = w.genuine();
    assert_eq!(w.post(&url, &body).await, (200, "{}".into()));
    assert_eq!(w.number().as_deref(), Some(NUMBER));
    assert!(w.counted("stored"), "{}", w.metrics.encode());
}

#[tokio::test]
async fn p18_a_second_push_is_acknowledged_and_writes_nothing() {
    let w = Testbed::start(FIRST, FIRST).await;
    let (url, body) = w.genuine();
    w.post(&url, &body).await;
    let writes = w.ledger.writes();
    assert_eq!(w.post(&url, &body).await.0, 200);
    assert_eq!(w.ledger.writes(), writes);
}

#[tokio::test]
async fn p18_a_push_of_another_order_is_kept_beside_and_takes_the_place_of_nothing() {
    let w = Testbed::start(FIRST, FIRST).await;
    let (url, mut body) = w.genuine();
    assert_eq!(w.post(&url, &body).await.0, 200);
    (body["order_id"], body["phonenumber"]) = (json!("300001"), json!("+4922187654321"));
    assert_eq!(w.post(&url, &body).await.0, 200);
    let state = w.ledger.get().state();
    assert_eq!((w.number().as_deref(), state.id()), (Some(NUMBER), Some("300000")));
    assert_eq!(state.strays.len(), 1, "{state:?}");
}

#[tokio::test]
async fn p17_a_push_is_not_acknowledged_while_it_can_not_be_stored() {
    let w = Testbed::start(FIRST, FIRST).await;
    let (url, body) = w.genuine();
    w.ledger.set_broken(true);
    assert_eq!(w.post(&url, &body).await.0, 503);
    assert!(w.counted("not_stored"), "{}", w.metrics.encode());
    w.ledger.set_broken(false);
    assert_eq!(w.post(&url, &body).await.0, 200);
    w.ledger.set_broken(true);
    assert_eq!(w.post(&url, &body).await.0, 503, "only what is stored counts, not what is remembered");
}

#[tokio::test]
async fn p17_a_push_that_is_only_remembered_is_stored_again() {
    let w = Testbed::start(FIRST, FIRST).await;
    let (url, body) = w.genuine();
    let backup = w.ledger.get();
    w.post(&url, &body).await;
    w.ledger.put(Some(backup));
    assert_eq!(w.post(&url, &body).await.0, 200);
    assert_eq!(w.number().as_deref(), Some(NUMBER));
}

#[rstest]
#[case::order_id_as_a_number(json!({"order_id": 300_000}))]
#[case::more_fields(json!({"more": {"of": ["them"]}}))]
#[case::long_order_id(json!({"order_id": "1".repeat(300)}))]
#[tokio::test]
async fn a_push_may_look_a_little_different(#[case] changes: Value) {
    let w = Testbed::start(FIRST, FIRST).await;
    let (url, mut body) = w.genuine();
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    assert_eq!(w.post(&url, &body).await.0, 200);
    let id = w.ledger.get().state().id().unwrap().to_owned();
    assert!(id == "300000" || id.len() == 128, "{id}");
}

#[rstest]
#[case::no_secret(json!({"push_secret": null}))]
#[case::empty_secret(json!({"push_secret": ""}))]
#[case::short_secret(json!({"push_secret": "ab"}))]
#[case::zeros(json!({"push_secret": "0".repeat(64)}))]
#[case::no_hex(json!({"push_secret": "z".repeat(64)}))]
#[case::a_number(json!({"push_secret": 7}))]
#[tokio::test]
async fn p19_what_is_not_genuine_is_not_found(#[case] changes: Value) {
    let w = Testbed::start(FIRST, FIRST).await;
    let (url, mut body) = w.genuine();
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    assert_eq!(w.post(&url, &body).await, (404, "{\"error\":\"not found\"}".into()));
    assert_eq!((w.number(), w.ledger.writes()), (None, 1));
}

/// An alert on what may be TENIOS must not sound for everybody who passes by.
#[rstest]
#[case::wrong_secret("/push/v1/shop/main-line/a1", json!({"push_secret": "0".repeat(64)}), "unauthenticated")]
#[case::no_push("/push/v1/shop/main-line/a1", json!({"push_secret": null}), "malformed")]
#[case::part_of_a_path("/push/v1/shop/main-line", json!({"push_secret": null}), "misdirected")]
#[case::only_the_prefix("/push/v1/", json!({"push_secret": null}), "misdirected")]
#[case::escaped("/push/v1/shop%2Fmain-line/a1", json!({}), "misdirected")]
#[case::a_secret_elsewhere("/shop/main-line/a1", json!({}), "misdirected")]
#[case::a_secret_nowhere("/", json!({}), "misdirected")]
#[case::passing_by("/wp-login.php", json!({"push_secret": "hunter2"}), "unrelated")]
#[case::passing_by_without_a_path("/", json!({"push_secret": null}), "unrelated")]
#[tokio::test]
async fn what_is_refused_is_counted_by_what_it_may_have_been(
    #[case] path: &str,
    #[case] changes: Value,
    #[case] result: &str,
) {
    let w = Testbed::start(FIRST, FIRST).await;
    let (_, mut body) = w.genuine();
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    assert_eq!(w.post(&format!("{}{path}", w.base), &body).await.0, 404);
    assert!(w.counted(result), "{}", w.metrics.encode());
}

/// The number is nowhere but in the portal then, and whoever looks for it there needs the order's id.
#[tokio::test]
async fn a_genuine_push_without_a_usable_number_is_logged_with_its_order_id() {
    let w = Testbed::start(FIRST, FIRST).await;
    let (url, mut body) = w.genuine();
    body["phonenumber"] = "0221 123".into();
    body["order_id"] = format!("4 2\n{}", "x".repeat(300)).into();
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
    // The server runs on this thread, too.
    let guard = tracing::subscriber::set_default(subscriber);
    assert_eq!(w.post(&url, &body).await.0, 503);
    drop(guard);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let line = log.lines().find(|line| line.contains("no E.164 number")).expect(&log);
    assert!(line.contains(" ERROR "), "{line}");
    assert!(line.contains("attempt=a1 "), "{line}");
    assert!(line.contains("shop/main-line"), "{line}");
    assert!(line.contains(&format!("order_id=\"42{}\"", "x".repeat(126))), "{line}");
    assert!(line.contains("phonenumber=\"0221 123\""), "{line}");
    assert!(!log.contains(body["push_secret"].as_str().unwrap()), "{log}");
    assert!(w.counted("unusable"), "{}", w.metrics.encode());
}

fn changed(mut body: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        match value.as_str() {
            Some("(missing)") => drop(body.as_object_mut().unwrap().remove(name)),
            _ => body[name] = value.clone(),
        }
    }
    body
}

#[rstest]
#[case::a_json_number(json!({"phonenumber": 4_922_112_345_678_u64}), Some("300000"))]
#[case::without_plus(json!({"phonenumber": "4922112345678"}), Some("300000"))]
#[case::with_blanks(json!({"phonenumber": " +49 221 12345678 "}), Some("300000"))]
#[case::order_id_null(json!({"order_id": null}), None)]
#[case::order_id_missing(json!({"order_id": "(missing)"}), None)]
#[case::order_id_empty(json!({"order_id": ""}), None)]
#[tokio::test]
async fn p17_a_number_is_stored_however_it_is_written_and_whether_or_not_its_order_is_named(
    #[case] changes: Value,
    #[case] id: Option<&str>,
) {
    let w = Testbed::start(FIRST, FIRST).await;
    let (url, body) = w.genuine();
    let body = changed(body, &changes);
    assert_eq!(w.post(&url, &body).await, (200, "{}".into()));
    assert_eq!((w.number().as_deref(), w.ledger.get().state().id()), (Some(NUMBER), id));
    let writes = w.ledger.writes();
    assert_eq!(w.post(&url, &body).await.0, 200, "the second time");
    assert_eq!(w.ledger.writes(), writes);
    assert!(w.metrics.encode().contains("tenios_pushes_total{result=\"stored\"} 2\n"));
}

#[rstest]
#[case::null(json!({"phonenumber": null}))]
#[case::missing(json!({"phonenumber": "(missing)"}))]
#[case::national(json!({"phonenumber": "0221 123"}))]
#[case::national_as_a_number(json!({"phonenumber": 22_112_345_678_u64}))]
#[case::an_object(json!({"phonenumber": {"e164": null}}))]
#[tokio::test]
async fn p17_without_a_usable_number_the_order_id_is_stored_and_the_push_is_asked_for_again(
    #[case] changes: Value,
) {
    let w = Testbed::start(FIRST, FIRST).await;
    let (url, body) = w.genuine();
    assert_eq!(
        w.post(&url, &changed(body.clone(), &changes)).await,
        (503, "{\"error\":\"try again\"}".into())
    );
    assert_eq!((w.number(), w.ledger.get().state().id()), (None, Some("300000")));
    assert!(w.counted("unusable"), "{}", w.metrics.encode());
    let writes = w.ledger.writes();
    assert_eq!(w.post(&url, &changed(body.clone(), &changes)).await.0, 503);
    assert_eq!(w.ledger.writes(), writes, "what is known already is not written again");
    assert_eq!(w.post(&url, &body).await.0, 200, "one that has the number");
    assert_eq!(w.number().as_deref(), Some(NUMBER));
}

#[tokio::test]
async fn p17_a_genuine_push_with_nothing_in_it_is_counted_and_asked_for_again() {
    let w = Testbed::start(FIRST, FIRST).await;
    let (url, body) = w.genuine();
    let empty = json!({"push_secret": body["push_secret"]});
    assert_eq!(w.post(&url, &empty).await.0, 503);
    assert!(w.counted("unusable"), "{}", w.metrics.encode());
    assert_eq!(w.ledger.writes(), 1);
}

/// A field whose name broke on the way is no field. What can be read is stored, for whoever knows the secret.
#[tokio::test]
async fn p17_p19_of_a_genuine_push_with_a_broken_field_the_rest_is_stored_and_a_stranger_s_leaves_nothing() {
    let w = Testbed::start(FIRST, FIRST).await;
    let (url, mut body) = w.genuine();
    let send = async |body: &Value| {
        let text = body.to_string().replace("phonenumber", "ph\u{1}nenumber");
        let bytes: Vec<u8> = text.bytes().map(|byte| if byte == 1 { 0xa9 } else { byte }).collect();
        client().post(&url).body(bytes).send().await.unwrap().status().as_u16()
    };
    assert_eq!(send(&body).await, 503);
    let state = w.ledger.get().state();
    assert_eq!((state.id(), w.ledger.writes()), (Some("300000"), 2));
    assert!(w.counted("unusable"), "{}", w.metrics.encode());
    body["push_secret"] = "0".repeat(64).into();
    assert_eq!(send(&body).await, 404);
    assert_eq!((w.ledger.reads(), w.ledger.writes()), (0, 2));
    assert!(w.counted("unauthenticated"), "{}", w.metrics.encode());
}

#[rstest]
#[case::at_the_end("/push/v1/shop/main-line/a1/")]
#[case::in_front("//push/v1/shop/main-line/a1")]
#[case::within("/push//v1/shop/main-line/a1")]
#[case::between_the_names("/push/v1/shop//main-line///a1//")]
#[case::behind_a_prefix("/tenios//push/v1/shop/main-line/a1/")]
#[tokio::test]
async fn a_slash_too_many_is_no_other_path(#[case] path: &str) {
    let w = Testbed::start(FIRST, FIRST).await;
    let (_, mut body) = w.genuine();
    assert_eq!(w.post(&format!("{}{path}", w.base), &body).await.0, 200);
    body["push_secret"] = "0".repeat(64).into();
    assert_eq!(w.post(&format!("{}{path}", w.base), &body).await.0, 404);
    assert!(w.counted("stored") && w.counted("unauthenticated"), "{}", w.metrics.encode());
}

#[tokio::test]
async fn p17_a_push_beyond_what_can_be_kept_is_not_acknowledged() {
    let w = Testbed::start(FIRST, FIRST).await;
    let (url, mut body) = w.genuine();
    for n in 0..17 {
        (body["order_id"], body["phonenumber"]) = (json!(300_000 + n), json!(format!("+4922112345{n:03}")));
        assert_eq!(w.post(&url, &body).await.0, 200, "{n}");
    }
    let writes = w.ledger.writes();
    (body["order_id"], body["phonenumber"]) = (json!("400000"), json!("+4922199999999"));
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    assert_eq!(w.post(&url, &body).await.0, 503);
    drop(guard);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let line = log.lines().find(|line| line.contains(" ERROR ")).expect(&log);
    assert!(line.contains("400000") && line.contains("+4922199999999"), "{line}");
    assert!(w.counted("not_stored"), "{}", w.metrics.encode());
    assert_eq!(w.ledger.writes(), writes);
    (body["order_id"], body["phonenumber"]) = (json!("300000"), json!("+4922112345000"));
    assert_eq!(w.post(&url, &body).await.0, 200, "what is known stays acknowledged");
}

/// GKE and ALB ask so where nobody told them otherwise.
#[tokio::test]
async fn p19_a_load_balancer_learns_that_somebody_listens_and_nothing_else() {
    let w = Testbed::start(FIRST, FIRST).await;
    for method in [reqwest::Method::GET, reqwest::Method::HEAD] {
        let answer = client().request(method, format!("{}/", w.base)).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let names: Vec<&str> = answer.headers().keys().map(http::HeaderName::as_str).collect();
        assert!(
            names.iter().all(|name| ["connection", "content-length", "date"].contains(name)),
            "{names:?}"
        );
        assert_eq!(answer.text().await.unwrap(), "");
    }
    for result in ["unrelated", "misdirected", "malformed"] {
        assert!(w.metrics.encode().contains(&format!("tenios_pushes_total{{result=\"{result}\"}} 0\n")));
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// A secret with one digit changed, too long, too short, or in capitals.
#[tokio::test]
async fn p19_no_secret_but_the_one_opens() {
    let w = Testbed::start(FIRST, FIRST).await;
    let (url, body) = w.genuine();
    let secret = body["push_secret"].as_str().unwrap().to_owned();
    let mut wrong: Vec<String> = (0..64)
        .map(|at| {
            let digit = if &secret[at..=at] == "0" { "1" } else { "0" };
            format!("{}{digit}{}", &secret[..at], &secret[at + 1..])
        })
        .collect();
    wrong.extend([
        format!("{secret}0"),
        secret[..63].to_owned(),
        secret.to_uppercase(),
        format!("{secret}{secret}"),
    ]);
    for secret in wrong {
        let mut body = body.clone();
        body["push_secret"] = secret.clone().into();
        assert_eq!(w.post(&url, &body).await.0, 404, "{secret}");
    }
    assert_eq!(w.ledger.writes(), 1);
}

#[tokio::test]
async fn p19_a_secret_opens_its_own_path_only() {
    let w = Testbed::start(FIRST, FIRST).await;
    let (url, body) = w.genuine();
    for other in [
        "/push/v1/shop/main-line/a2",
        "/push/v1/shop/other/a1",
        "/push/v1/ship/main-line/a1",
        "/push/v1/shop/main-line",
        "/push/v2/shop/main-line/a1",
        "/",
    ] {
        let answer = w.post(&format!("{}{other}", w.base), &body).await;
        assert_eq!(answer, (404, "{\"error\":\"not found\"}".into()), "{other}");
    }
    let got = client().get(&url).body(body.to_string()).send().await.unwrap();
    assert_eq!(got.status(), 404, "only a POST is a push");
    let behind_a_prefix = url.replace("/push/v1/", "/any/prefix/push/v1/");
    assert_eq!(w.post(&behind_a_prefix, &body).await.0, 200);
}

/// Whoever holds a push key can sign any path; what names no resource is still not taken.
#[rstest]
#[case("shop/main-line/A1")]
#[case("shop/main-line/")]
#[case("SHOP/main-line/a1")]
#[case("shop/main_line/a1")]
#[case("shop//a1")]
#[case("/main-line/a1")]
#[case("shop/main-line/a1/more")]
#[tokio::test]
async fn a_signed_path_that_names_nothing_is_not_found(#[case] path: &str) {
    let w = Testbed::start(FIRST, FIRST).await;
    let parts: Vec<&str> = path.splitn(2, '/').collect();
    // The attempt is appended by the signer, so it stands for the path's last part.
    let signed = w.address.target(parts[0], parts[1].trim_end_matches("/a1"), &attempt());
    let body = json!({"phonenumber": NUMBER, "order_id": "1", "push_secret": signed.secret.expose_secret()});
    let answer = w.post(&signed.url, &body).await;
    assert_eq!(answer.0, 404, "{}", signed.url);
}

#[rstest]
#[case::empty("")]
#[case::short("fifteen-letters")]
#[case::one_of_two("the-first-push-key-of-all\nshort")]
fn a_push_key_that_can_be_guessed_is_none(#[case] lines: &str) {
    let scratch = Scratch::new();
    std::fs::write(scratch.path("keys"), lines).unwrap();
    let error = PushKeys::from_file(&scratch.path("keys")).err().unwrap().to_string();
    assert!(error.contains("at least 16 characters"), "{error}");
}

#[test]
fn a_push_target_is_what_the_contract_says() {
    let address =
        PushSigner::new("https://push.example.com/tenios/".parse().unwrap(), keys("sixteen-letters!"));
    let target = address.target("shop", "main-line", &attempt());
    assert_eq!(target.url, "https://push.example.com/tenios/push/v1/shop/main-line/a1");
    // printf /push/v1/shop/main-line/a1 | openssl dgst -sha256 -hmac 'sixteen-letters!'
    let expected = "7584bebc25874501e2681723f9e40da72663d884d8d211744deb86e1446dce8a";
    assert_eq!(target.secret.expose_secret(), expected);
}
