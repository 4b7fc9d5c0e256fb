//! Assigning a number to an order, and telling it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::journal::PushEntry;
use super::settings::{PushSettings, PushTime};
use super::shared::Shared;

/// Bytes of a receiver's answer that are kept.
const ANSWER_LIMIT: usize = 16 * 1024;

/// What a push on command says instead of the truth.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushOverrides {
    /// Instead of the order's number.
    #[serde(default, deserialize_with = "said")]
    pub phonenumber: Option<Value>,
    /// Instead of the order's id.
    #[serde(default, deserialize_with = "said")]
    pub order_id: Option<Value>,
    /// Instead of the order's secret.
    #[serde(default, deserialize_with = "said")]
    pub push_secret: Option<Value>,
    /// Instead of the order's `push_url`.
    #[serde(default)]
    pub url: Option<String>,
}

/// A null that is there is told as null.
fn said<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

/// What a receiver said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PushAnswer {
    /// None: it did not answer.
    pub status: Option<u16>,
    /// At most 16 KiB of its answer.
    pub body: String,
}

struct Push {
    url: String,
    body: Value,
}

/// An order's push as the contract has it, with the number assigned. None: no order, or no URL.
fn push_of(shared: &Shared, era: u64, id: u64, overrides: &PushOverrides) -> Option<Push> {
    let mut state = shared.state();
    if state.era != era {
        return None;
    }
    let number = state.account.assign(id)?;
    let order = state.account.order(id)?;
    let secret = order.push_secret.as_ref().map(ExposeSecret::expose_secret);
    let url = overrides.url.clone().or_else(|| order.push_url.clone())?;
    let or = |said: &Option<Value>, truth: Value| said.clone().unwrap_or(truth);
    let body = json!({
        "phonenumber": or(&overrides.phonenumber, json!(number)),
        "order_id": or(&overrides.order_id, json!(order.order_id)),
        "push_secret": or(&overrides.push_secret, json!(secret)),
    });
    Some(Push { url, body })
}

/// Completes an order in the way that was asked for. Returns when the answer to the order may leave.
pub(super) async fn complete(shared: &Arc<Shared>, era: u64, id: u64, settings: PushSettings) {
    let none = PushOverrides::default();
    if settings.when == PushTime::BeforeAnswer {
        if let Some(push) = push_of(shared, era, id, &none) {
            deliver(shared, era, &push, &settings).await;
        }
        return;
    }
    let shared_too = shared.clone();
    shared.spawn(async move {
        let assign_after: Duration = shared_too.state().settings.assign_after_ms.into();
        sleep(assign_after).await;
        let push = push_of(&shared_too, era, id, &none);
        if let Some(push) = push
            && settings.when == PushTime::AfterAnswer
        {
            deliver(&shared_too, era, &push, &settings).await;
        }
    });
}

/// One push on command, whatever the settings say. None: no such order, or it has no URL.
pub(super) async fn command(shared: &Shared, id: u64, overrides: &PushOverrides) -> Option<PushAnswer> {
    let (era, settings) = {
        let state = shared.state();
        (state.era, state.settings.push.clone())
    };
    let push = push_of(shared, era, id, overrides)?;
    Some(send(shared, era, &push, &settings).await)
}

async fn deliver(shared: &Shared, era: u64, push: &Push, settings: &PushSettings) {
    sleep(settings.delay_ms.into()).await;
    for _ in 0..settings.copies {
        let mut wait: Duration = settings.retry_ms.into();
        for attempt in 0..=settings.retries {
            let answer = send(shared, era, push, settings).await;
            if answer.status.is_some_and(|status| (200..300).contains(&status)) || attempt == settings.retries
            {
                break;
            }
            sleep(wait).await;
            wait = wait.saturating_mul(2);
        }
    }
}

async fn send(shared: &Shared, era: u64, push: &Push, settings: &PushSettings) -> PushAnswer {
    let time = Timestamp::now();
    let mut request =
        shared.client.post(&push.url).timeout(settings.timeout_ms.into()).body(push.body.to_string());
    if !settings.content_type.is_empty() {
        request = request.header(http::header::CONTENT_TYPE, &settings.content_type);
    }
    let answer = match request.send().await {
        Ok(response) => PushAnswer { status: Some(response.status().as_u16()), body: text(response).await },
        Err(error) => {
            tracing::debug!(error = %error.without_url(), "a push was not answered");
            PushAnswer { status: None, body: String::new() }
        }
    };
    let mut state = shared.state();
    if state.era == era {
        state.pushes.push(PushEntry {
            time,
            url: push.url.clone(),
            order_id: push.body["order_id"].clone(),
            phonenumber: push.body["phonenumber"].clone(),
            status: answer.status,
        });
    }
    answer
}

async fn text(mut response: reqwest::Response) -> String {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() >= ANSWER_LIMIT {
            bytes.truncate(ANSWER_LIMIT);
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
