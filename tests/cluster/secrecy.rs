//! Promise 21 over a whole run: no secret in any output.

use std::sync::{Arc, Mutex};

use ::http::{Response, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::Full;
use kube::api::{Api, DynamicObject, ListParams, PostParams};
use serde_json::{Value, json};
use tenios_api::order::OrderState;
use tenios_api::pdf::Document;
use tenios_api::verification::Address;
use tenios_api::{Endpoint, PhoneVerification, Reason, RequestField};
use tenios_http_server::{Limits, RequestBody, Server, read_body};
use tenios_lifecycle::Found;
use tenios_operator::push::PREFIX;
use tenios_provider::{PushTarget, Request};
use tenios_simulator::{Action, Fault, Millis, Options, PushSettings, PushTime, Simulator};
use tokio_util::sync::{CancellationToken, DropGuard};
use unicode_normalization::UnicodeNormalization;

use crate::schema_violations::{loosen, resource};
use crate::secret_forms::SecretForms;
use crate::testbed::{ORDER, PATIENCE, Testbed};
use crate::traces::Collector;
use harness::{ControlPlane, OperatorOptions, TestNamespaces, http, wait};

const OWN_KEY: &str = "4cc3ss-k3y-0f-the-0perator";
const TENANT_KEY: &str = "4cc3ss-k3y-0f-a-t3nant?>";
const PUSH_KEY: &str = "pu5h-k3y-0f-the-0perator";
const OLD_PUSH_KEY: &str = "0lder-pu5h-k3y-to-verify";
const GUESS: &str = "5ecret-that-was-guessed";
const DOCUMENT: &str =
    "%PDF-1.4 the register says that Alte Ziegelei 17b-Hinterhaus belongs to nobody (ÿÿ??>>) %%EOF";
const STREET: &str = "Alte Ziegelei am Süßbach";
const CITY: &str = "Großkrotzenburg";
const ZIP: &str = "63538";
const HOUSE: &str = "17b-Hinterhaus";
/// What the provider refuses, quoting the request.
const QUOTED_AREA: &str = "6186";
const QUOTED_ID: &str = "quote-me";

/// It loosens a CRD, so it needs a control plane of its own.
#[tokio::test]
async fn p21_no_log_event_metric_condition_ledger_entry_or_termination_message_carries_a_secret() {
    let plane = Arc::new(ControlPlane::start().await.unwrap());
    let options = Options {
        approve_after: Some(std::time::Duration::ZERO),
        assign_after: std::time::Duration::from_millis(50),
        plain_push: true,
        ..Options::new(OWN_KEY)
    };
    let simulator = Simulator::start("127.0.0.1:0".parse().unwrap(), options).await.unwrap();
    let provider = Provider::start(simulator.url().trim_end_matches('/')).await;
    let namespaces = TestNamespaces::on(plane.clone(), "secrecy").await;
    let termination = plane.directory().join("termination-log");
    let collector = Collector::default();
    let options = OperatorOptions::new(&provider.url)
        .hurried()
        .access_key(Some(OWN_KEY))
        .push_key(Some(&format!("{PUSH_KEY}\n{OLD_PUSH_KEY}")))
        .args([format!("--otlp-endpoint={}", collector.listen().await)])
        .args(["--log-format=json", "--drain-timeout=5s"])
        // What is kept quiet is asked for once more, and more precisely.
        .args(["--log=trace,kube_client::client=trace,hyper::proto=trace,hyper_util::client=trace,reqwest::connect=trace,rustls::client=trace"])
        .args([format!("--termination-log={}", termination.display())]);
    let operator = namespaces.operator(options).await;
    let w = Testbed { namespaces, simulator, operator };
    w.secret("trade-register", "extract.pdf", DOCUMENT.as_bytes()).await;
    w.secret("tenios", "access-key", TENANT_KEY.as_bytes()).await;

    number_is_ordered_and_pushed(&w).await;
    refusals_quote_the_request(&w).await;
    answer_is_lost(&w).await;
    pushes_with_wrong_secrets(&w, &provider).await;
    address_of_the_wrong_type(&w).await;
    let metrics = w.operator.metrics().await;
    stopped_before_the_answer_is_recorded(&w).await;

    let told = std::fs::read_to_string(&termination).unwrap();
    assert!(told.contains("TENIOS gave id"), "the termination message: {told:?}");
    assert!(collector.text().contains("provider_call"), "{}", collector.text());
    let secret_forms = secret_forms(&provider);
    let [shown, events, ledger] = written(&w).await;
    for (output, text) in [
        ("the log", w.operator.log()),
        ("the metrics", metrics),
        ("the traces", collector.text()),
        ("the resources' status", shown),
        ("the events", events),
        ("the ledger", ledger),
        ("the termination message", told),
    ] {
        let found = secret_forms.found_in(&text);
        assert!(found.is_empty(), "in {output} ({} bytes): {found:#?}", text.len());
    }
    println!("figure: secrets found in outputs | 0 | 0 of {} forms", secret_forms.len());
}

async fn number_is_ordered_and_pushed(w: &Testbed) {
    w.verification("v", json!({"approval": "Approved", "address": address(), "areaCode": "6186"})).await;
    w.order("o", json!({"verificationRef": {"name": "v"}})).await;
    w.order_at("o", OrderState::Assigned).await;
}

async fn refusals_quote_the_request(w: &Testbed) {
    let key = json!({"name": "tenios", "key": "access-key"});
    w.verification(
        "quoted",
        json!({"address": address(), "areaCode": QUOTED_AREA, "accessKeySecretRef": key}),
    )
    .await;
    w.order("quoted", json!({"verificationId": QUOTED_ID, "accessKeySecretRef": key})).await;
    w.verification_because("quoted", Reason::Refused).await;
    w.order_at("quoted", OrderState::Refused).await;
}

async fn answer_is_lost(w: &Testbed) {
    let never = PushSettings { when: PushTime::Never, ..PushSettings::default() };
    w.faults(ORDER, Action::Push(never));
    w.faults(ORDER, Action::DropAfter);
    w.plain_order("lost").await;
    w.order_at("lost", OrderState::OutcomeUnknown).await;
}

async fn pushes_with_wrong_secrets(w: &Testbed, provider: &Provider) {
    let (path, secret) = provider.pushes().swap_remove(0);
    for (path, secret) in [(path.clone(), GUESS.to_owned()), (format!("{path}0"), secret)] {
        let body = json!({"phonenumber": "+4922112345678", "order_id": "300000", "push_secret": secret});
        let answer = http::post(w.operator.push_port, &path, &body.to_string()).await.unwrap();
        assert_eq!(answer.status, 404);
    }
}

/// As an older or looser schema may have let it in.
async fn address_of_the_wrong_type(w: &Testbed) {
    loosen(&w.namespaces.client(), "phoneverifications").await;
    let api: Api<DynamicObject> = Api::namespaced_with(
        w.namespaces.client(),
        &w.namespaces.namespace,
        &resource("PhoneVerification", "phoneverifications"),
    );
    let spec = |address| json!({"areaCode": "6186", "address": address});
    for (name, spec) in [
        ("text", spec(json!(format!("{STREET} {HOUSE}, {ZIP} {CITY}")))),
        ("list", spec(json!([STREET, HOUSE, ZIP, CITY]))),
        ("map", spec(json!({"country": "Germany", "city": CITY, "zip": {ZIP: STREET}}))),
        ("document", json!({"areaCode": "6186", "address": address(), "document": DOCUMENT})),
    ] {
        let object = json!({"apiVersion": "tenios.dev/v1alpha1", "kind": "PhoneVerification",
            "metadata": {"name": name}, "spec": spec});
        let object = serde_json::from_value(object).unwrap();
        wait::until("the loosened schema to be served", PATIENCE, async || {
            api.create(&PostParams::default(), &object).await.ok()
        })
        .await;
        wait::until_seen(
            &format!("a report on {name}"),
            PATIENCE,
            async || api.get(name).await.unwrap().data["status"]["conditions"][0]["reason"].clone(),
            |reason| reason == "InvalidSpec",
        )
        .await;
    }
}

/// The last resort for an answer: the log and the termination message.
async fn stopped_before_the_answer_is_recorded(w: &Testbed) {
    let before = w.requests(ORDER);
    let id = w.approved_document();
    let late = Action::Delay { ms: Millis(3000) };
    w.simulator.fault(Fault::once(ORDER, late).when("verification_id", id.clone()));
    w.order("last", json!({"verificationId": id})).await;
    wait::until("the last order's request", PATIENCE, async || (w.requests(ORDER) > before).then_some(()))
        .await;
    w.order_at("last", OrderState::Ordering).await;
    let kubectl = w.namespaces.control_plane.kubectl().in_namespace(&w.namespaces.operator_namespace);
    kubectl.run(&["delete", "rolebindings", "--all"]).await.expect_success();
    w.operator.terminate();
    w.operator.exit_status(PATIENCE).await;
}

/// Statuses, events and ledger entries, whole.
async fn written(w: &Testbed) -> [String; 3] {
    let mut shown = Vec::new();
    for (kind, plural) in
        [("PhoneVerification", "phoneverifications"), ("PhoneNumberOrder", "phonenumberorders")]
    {
        let api: Api<DynamicObject> =
            Api::namespaced_with(w.namespaces.client(), &w.namespaces.namespace, &resource(kind, plural));
        let all = api.list(&ListParams::default()).await.unwrap();
        shown.extend(all.items.into_iter().map(|object| object.data["status"].clone()));
    }
    assert!(shown.iter().all(|status| status["conditions"].is_array()), "{shown:#?}");
    let (events, ledger) = (w.events().await, w.ledger().await);
    assert!(!events.is_empty() && ledger.len() >= 5, "{} events, {} entries", events.len(), ledger.len());
    [json!(shown).to_string(), json!(events).to_string(), json!(ledger).to_string()]
}

fn address() -> Value {
    json!({"country": "Germany", "city": CITY, "zip": ZIP, "street": STREET, "houseNumber": HOUSE})
}

fn secret_forms(provider: &Provider) -> SecretForms {
    let mut secret_forms = SecretForms::default();
    for (what, secret) in [
        ("the operator's access key", OWN_KEY),
        ("the tenant's access key", TENANT_KEY),
        ("the push key", PUSH_KEY),
        ("the second push key", OLD_PUSH_KEY),
        ("the guessed push secret", GUESS),
        ("the document", DOCUMENT),
        ("a piece of the document", &DOCUMENT[10..30]),
        ("a later piece of the document", &DOCUMENT[56..76]),
        ("the street", STREET),
        ("a word of the street", "Ziegelei"),
        ("the city", CITY),
        ("the postcode", ZIP),
        ("the house number", HOUSE),
        ("the street in ASCII", "Alte Ziegelei am Suessbach"),
        ("the street's last word in ASCII", "Suessbach"),
        ("the decomposed street's last word", "Su\u{308}ßbach"),
        ("the city in ASCII", "Grosskrotzenburg"),
        ("the city in capitals", "GROSSKROTZENBURG"),
        ("the city with entities", "Gro&#223;krotzenburg"),
        ("the street with entities", "&#65;&#108;&#116;&#101;&#32;&#90;&#105;&#101;&#103;&#101;&#108;"),
    ] {
        secret_forms.add(what, secret.as_bytes());
        // What is left of it where a text was cut.
        let head: String = secret.chars().take(12).collect();
        secret_forms.add(&format!("the beginning of {what}"), head.as_bytes());
    }
    let pushes = provider.pushes();
    assert!(pushes.len() >= 4, "requests with a push: {}", pushes.len());
    for (path, secret) in pushes {
        let key = Hmac::<sha2::Sha256>::new_from_slice(PUSH_KEY.as_bytes()).unwrap();
        let signature = key.chain_update(&path).finalize().into_bytes();
        let expected = signature.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        assert_eq!(secret, expected, "the push secret of {path}");
        secret_forms.add(&format!("the push secret of {path}"), secret.as_bytes());
        secret_forms.add(&format!("the beginning of the push secret of {path}"), &secret.as_bytes()[..12]);
        secret_forms.add(&format!("the signature of {path}"), &signature);
    }
    secret_forms
}

/// A provider that quotes a request when it refuses it; what it does not refuse it hands on to the simulator.
struct Provider {
    url: String,
    seen: Arc<Mutex<Vec<Value>>>,
    _stop: DropGuard,
}

impl Provider {
    async fn start(simulator: &str) -> Self {
        let server = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let url = format!("http://{}", server.local_addr());
        let (seen, stop) = (Arc::new(Mutex::new(Vec::new())), CancellationToken::new());
        let (simulator, received) = (simulator.to_owned(), seen.clone());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = move |request: ::http::Request<RequestBody>| {
            answer(client.clone(), simulator.clone(), received.clone(), request)
        };
        tokio::spawn(server.with_limits(Limits::default()).run(answer, stop.clone()));
        Self { url, seen, _stop: stop.drop_guard() }
    }

    /// The signed path and the secret of each request that had a push.
    fn pushes(&self) -> Vec<(String, String)> {
        let seen = self.seen.lock().unwrap();
        let of = |body: &Value| {
            let url = body["push_url"].as_str()?;
            Some((url[url.find(PREFIX)?..].to_owned(), body["push_secret"].as_str()?.to_owned()))
        };
        seen.iter().filter_map(of).collect()
    }
}

async fn answer(
    client: reqwest::Client,
    simulator: String,
    seen: Arc<Mutex<Vec<Value>>>,
    request: ::http::Request<RequestBody>,
) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    let Ok(bytes) = read_body(request.into_body(), 2_000_000).await else { return bad_gateway() };
    let body: Value = serde_json::from_slice(&bytes).unwrap();
    seen.lock().unwrap().push(body.clone());
    let quoted = body["verification_id"] == QUOTED_ID
        || body["area_code"] == QUOTED_AREA && body["access_key"] == TENANT_KEY;
    let (status, body) = if quoted {
        (StatusCode::BAD_REQUEST, refusal(&body))
    } else {
        let sent = client
            .post(format!("{simulator}{path}"))
            .header("content-type", "application/json")
            .body(bytes)
            .send()
            .await;
        let Ok(answer) = sent else { return bad_gateway() };
        let status = answer.status();
        let Ok(body) = answer.bytes().await else { return bad_gateway() };
        (status, body)
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response
}

/// Quotes everything: as it came, where texts are cut, and with a character in between that is not shown.
fn refusal(request: &Value) -> Bytes {
    let secrets = ["access_key", "push_secret", "street", "city", "zip", "house_number", "document_data"];
    let mut fields = Vec::new();
    for secret in secrets.iter().filter_map(|name| request[*name].as_str()) {
        // A document as long as a real one would not come whole, either.
        let quote: String = secret.chars().take(60).collect();
        let (half, rest) = quote.split_at(quote.char_indices().nth(3).map_or(0, |(at, _)| at));
        fields.extend([format!("{} {quote}", "-".repeat(43)), format!("{half}\u{7}{rest}")]);
    }
    let message = format!("{} {request}", encoded(request).join(" "));
    let body = json!({"error_code": "BAD_CREDENTIALS", "error_message": message, "fields": fields});
    body.to_string().into()
}

/// As a framework, a proxy or another system writes them.
fn encoded(request: &Value) -> Vec<String> {
    let of = |name: &str| request[name].as_str().unwrap_or_default();
    let key = of("access_key");
    let percent = key.bytes().fold(String::new(), |text, byte| format!("{text}%{byte:02X}"));
    let entities = of("street").chars().fold(String::new(), |text, c| format!("{text}&#{};", u32::from(c)));
    let german = |text: &str| {
        [("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("ß", "ss")]
            .iter()
            .fold(text.to_owned(), |t, (a, b)| t.replace(a, b))
    };
    let cut = |text: &str| text.chars().take(9).collect::<String>();
    vec![
        STANDARD.encode(key),
        STANDARD.encode(format!("a{key}")),
        STANDARD.encode(format!("ab{key}")),
        percent,
        entities,
        cut(key),
        cut(of("push_secret")),
        cut(of("street")),
        german(of("street")),
        german(of("city")),
        of("street").nfd().collect(),
        of("city").nfd().collect(),
        of("city").to_uppercase(),
    ]
}

#[test]
fn p21_no_debug_output_shows_a_secret() {
    let verification: PhoneVerification = serde_json::from_value(json!({
        "apiVersion": "tenios.dev/v1alpha1", "kind": "PhoneVerification", "metadata": {"name": "v"},
        "spec": {"address": address(), "areaCode": "6186", "document": {"type": "CONTRACT",
            "secretRef": {"name": "trade-register", "key": "extract.pdf"}}},
        "status": {"state": "Approved", "conditions": []}
    }))
    .unwrap();
    let document = Document::new(DOCUMENT.as_bytes().to_vec()).unwrap();
    let address: Address = verification.spec.address.clone();
    let push =
        PushTarget { url: "https://push.example/push/v1/a/b/c".into(), secret: GUESS.to_owned().into() };
    let order = Request {
        endpoint: Endpoint::OrderNumber,
        fields: vec![
            (RequestField::NumberType, "GEOGRAPHICAL".into()),
            (RequestField::VerificationId, "v".into()),
        ],
        document: None,
        push: Some(push),
    };
    let submission = Request {
        endpoint: Endpoint::CreateVerification,
        fields: vec![
            (RequestField::City, address.city),
            (RequestField::Zip, address.zip),
            (RequestField::Street, address.street),
            (RequestField::HouseNumber, address.house_number),
            (RequestField::AreaCode, "6186".into()),
        ],
        document: Some((RequestField::DocumentData, document.clone())),
        push: None,
    };
    let key = Found::Usable(secrecy::SecretString::from(TENANT_KEY.to_owned()));
    let mut secret_forms = SecretForms::default();
    for secret in [TENANT_KEY, GUESS, DOCUMENT, &DOCUMENT[10..30], STREET, CITY, ZIP, HOUSE] {
        secret_forms.add(secret, secret.as_bytes());
    }
    let encoded = STANDARD.encode(DOCUMENT);
    secret_forms.add("the encoded document", encoded.as_bytes());
    for shown in [
        format!("{verification:?} {document:?} {order:?} {submission:?} {key:?}"),
        format!("{verification:#?} {document:#?} {order:#?} {submission:#?} {key:#?}"),
    ] {
        assert!(shown.len() > 300, "{shown}");
        assert_eq!(secret_forms.found_in(&shown), Vec::<String>::new());
    }
}

fn bad_gateway() -> Response<Full<Bytes>> {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
}
