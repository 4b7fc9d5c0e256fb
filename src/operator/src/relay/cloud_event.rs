//! The events as they are sent: `CloudEvents` 1.0 in structured mode, as JSON.

use serde_json::{Value, json};

use tenios_api::digest::sha256_hex;
use tenios_ledger::{Announcement, Happening, Key, State};

/// What the body is, for `Content-Type`.
pub(super) const CONTENT_TYPE: &str = "application/cloudevents+json; charset=utf-8";

/// One event, ready to be signed and sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CloudEvent {
    id: String,
    body: Vec<u8>,
}

impl CloudEvent {
    /// What is announced of the resource with this key. The id is a digest of all the rest, so that the same event has the
    /// same id whoever sends it, and however often.
    pub(super) fn new(key: &Key, announcement: &Announcement, order: &State) -> Self {
        let Announcement { happening, at, attempt, id, number } = announcement;
        let mut data = json!({"namespace": key.namespace, "name": key.name, "phoneNumber": number});
        let (attempt, order_id) = match happening {
            Happening::Assigned | Happening::Adopted => (attempt.as_ref(), id.as_deref()),
            Happening::Cancelled => {
                data["cancellationDate"] = json!(id);
                (order.accepted.as_ref().and_then(|placed| placed.attempt.as_ref()), order.id())
            }
        };
        data["attempt"] = json!(attempt);
        data["orderId"] = json!(order_id);
        let mut event = json!({
            "specversion": "1.0",
            "type": type_of(*happening),
            "source": format!("/apis/tenios.dev/v1alpha1/namespaces/{}/phonenumberorders/{}", key.namespace, key.name),
            "time": at.to_string(),
            "datacontenttype": "application/json",
            "data": data,
        });
        // Its fields come in one order, so that this is the same text each time.
        let id = sha256_hex(event.to_string())[..32].to_owned();
        event["id"] = Value::from(id.clone());
        Self { id, body: event.to_string().into_bytes() }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }
}

fn type_of(happening: Happening) -> &'static str {
    match happening {
        Happening::Assigned => "dev.tenios.number.assigned",
        Happening::Adopted => "dev.tenios.number.adopted",
        Happening::Cancelled => "dev.tenios.number.cancelled",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use tenios_ledger::{Event, Kind};

    fn key(kind: Kind) -> Key {
        Key { kind, namespace: "shop".into(), name: "main-line".into() }
    }

    fn state(events: Value) -> State {
        let events: Vec<Event> = serde_json::from_value(events).unwrap();
        events.iter().fold(State::default(), State::then)
    }

    fn told(kind: Kind, state: &State, order: &State) -> (String, Value) {
        let event = CloudEvent::new(&key(kind), &Announcement::of(kind, state).unwrap(), order);
        (event.id().to_owned(), serde_json::from_slice(event.body()).unwrap())
    }

    fn ordered() -> State {
        state(json!([
            {"type": "Intended", "attempt": "0c77", "at": "2026-11-27T08:00:00Z", "terms": {}},
            {"type": "Assigned", "attempt": "0c77", "at": "2026-11-27T08:00:02Z", "orderId": "300000", "number": "+4922112345678"},
        ]))
    }

    #[test]
    fn p28_an_event_says_what_happened_to_which_number_and_its_id_stands_for_all_of_that() {
        let (id, event) = told(Kind::Order, &ordered(), &ordered());
        let source = "/apis/tenios.dev/v1alpha1/namespaces/shop/phonenumberorders/main-line";
        let expected = json!({
            "specversion": "1.0", "id": id, "type": "dev.tenios.number.assigned", "source": source,
            "time": "2026-11-27T08:00:02Z", "datacontenttype": "application/json",
            "data": {
                "namespace": "shop", "name": "main-line", "attempt": "0c77", "orderId": "300000",
                "phoneNumber": "+4922112345678",
            },
        });
        assert_eq!(event, expected);
        assert_eq!(told(Kind::Order, &ordered(), &ordered()).0, id, "the same once more");

        let corrected =
            json!([{"type": "Adopted", "at": "2026-11-27T09:00:00Z", "number": "+4922112345678"}]);
        let (other, event) = told(Kind::Order, &state(corrected), &State::default());
        assert_eq!(
            (&event["type"], &event["data"]["orderId"]),
            (&json!("dev.tenios.number.adopted"), &Value::Null)
        );
        assert_ne!(other, id);
    }

    #[test]
    fn p28_a_cancellation_names_the_order_and_its_date() {
        let cancelled = state(json!([
            {"type": "Intended", "attempt": "ca11", "at": "2026-11-27T10:00:00Z", "terms": {"spec.cancel.phoneNumber": "+4922112345678"}},
            {"type": "Accepted", "attempt": "ca11", "at": "2026-11-27T10:00:01Z", "id": "2026-12-31"},
        ]));
        let (_, event) = told(Kind::Cancellation, &cancelled, &ordered());
        assert_eq!(event["type"], "dev.tenios.number.cancelled");
        let expected = json!({
            "namespace": "shop", "name": "main-line", "attempt": "0c77", "orderId": "300000",
            "phoneNumber": "+4922112345678", "cancellationDate": "2026-12-31",
        });
        assert_eq!(event["data"], expected);
    }
}
