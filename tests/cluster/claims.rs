//! Promise 15 between two tenants whose orders one operator serves, with its own access key unless a test says
//! otherwise. What each is told is read from status and events.

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde_json::{Value, json};
use tenios_api::order::OrderState;
use tenios_api::{PhoneNumberOrder, PhoneNumberOrderStatus};
use tenios_simulator::{Action, PushOverrides, PushTime};

use crate::tenants::FIRST_NUMBER;
use crate::testbed::{ORDER, PATIENCE, Testbed, message};
use harness::{OperatorOptions, TestNamespaces, wait};

const FIRST_ORDER: &str = "300000";
const NOBODYS_NUMBER: &str = "+4922119999999";

/// Two tenants.
struct Tenants {
    /// The first one.
    w: Testbed,
    /// The other one.
    stranger: TestNamespaces,
}

impl Tenants {
    async fn new(name: &str) -> Self {
        let simulator = crate::testbed::simulator().await;
        let namespaces = TestNamespaces::new(name).await;
        let stranger = TestNamespaces::new(&format!("{name}-b")).await;
        namespaces.let_operator_watch(&stranger.namespace).await;
        let watched = [&namespaces, &stranger].map(|s| format!("--watch-namespace={}", s.namespace));
        let operator = namespaces.operator(OperatorOptions::new(simulator.url()).args(watched)).await;
        Self { w: Testbed { namespaces, simulator, operator }, stranger }
    }

    fn theirs(&self) -> Api<PhoneNumberOrder> {
        self.stranger.api()
    }

    /// The other one orders or adopts.
    async fn stranger(&self, name: &str, spec: Value) {
        let object = json!({"apiVersion": "tenios.dev/v1alpha1", "kind": "PhoneNumberOrder",
            "metadata": {"name": name}, "spec": spec});
        let object = serde_json::from_value(object).unwrap();
        self.theirs().create(&PostParams::default(), &object).await.unwrap();
    }

    async fn strangers_at(&self, name: &str, state: OrderState) -> PhoneNumberOrder {
        wait::until_seen(
            &format!("{name} to be {state:?}\n{}", self.w.operator.log_tail()),
            PATIENCE,
            async || self.theirs().get(name).await.unwrap(),
            |order| order.status.as_ref().and_then(|s| s.state) == Some(state),
        )
        .await
    }

    /// What an event says of this order in either namespace.
    async fn told(&self, tenant: &TestNamespaces, order: &str, reason: &str) -> String {
        let events: Api<Event> = tenant.api();
        wait::until(&format!("event {reason} of {order}"), PATIENCE, async || {
            let events = events.list(&ListParams::default()).await.unwrap().items;
            events.into_iter().find_map(|event| {
                let of = event.regarding.as_ref().and_then(|regarding| regarding.name.as_deref());
                (event.reason.as_deref() == Some(reason) && of == Some(order)).then_some(event.note)?
            })
        })
        .await
    }

    /// No name of the one is in what the other reads.
    fn names_nobody(&self, text: &str, but: &str) {
        for name in [&self.w.namespaces.namespace, &self.stranger.namespace] {
            assert!(!text.contains(name.as_str()), "{text}");
        }
        assert!(!text.contains(but), "{text}");
    }
}

#[tokio::test]
async fn p15_p22_a_strangers_adoption_keeps_nobody_from_resolving_an_unknown_outcome() {
    let t = Tenants::new("resolve").await;
    t.w.simulator.set(|s| s.push.when = PushTime::Never);
    t.w.faults(ORDER, Action::DropAfter);
    let squat = json!({"orderId": FIRST_ORDER, "phoneNumber": FIRST_NUMBER});
    t.stranger("squatter", json!({"verificationId": "v", "adopt": squat})).await;
    t.strangers_at("squatter", OrderState::Assigned).await;
    t.w.plain_order("rightful").await;
    t.w.order_at("rightful", OrderState::OutcomeUnknown).await;
    t.w.patch_order("rightful", json!({"spec": {"adopt": {"orderId": FIRST_ORDER}}})).await.unwrap();
    t.w.order_at("rightful", OrderState::AwaitingNumber).await;
    let squatter = t.strangers_at("squatter", OrderState::Conflict).await;
    assert!(message(&squatter).contains("a resource in another namespace"), "{}", message(&squatter));
    t.names_nobody(&json!(squatter.status).to_string(), "rightful");
    assert_eq!(t.w.push(json!({})).await.status, Some(200));
    let status = t.w.order_at("rightful", OrderState::Assigned).await.status.unwrap();
    assert_eq!(status.phone_number.as_deref(), Some(FIRST_NUMBER));
    assert_eq!(t.w.requests(ORDER), 1);
}

#[tokio::test]
async fn p15_p22_adopting_before_and_after_takes_nothing_from_an_order_and_its_owner_is_told() {
    let t = Tenants::new("told").await;
    for (name, adopt) in [
        ("before-id", json!({"orderId": FIRST_ORDER})),
        ("before-number", json!({"phoneNumber": FIRST_NUMBER})),
    ] {
        t.stranger(name, json!({"verificationId": "v", "adopt": adopt})).await;
    }
    t.strangers_at("before-id", OrderState::AwaitingNumber).await;
    t.strangers_at("before-number", OrderState::Assigned).await;
    t.w.plain_order("rightful").await;
    t.w.order_at("rightful", OrderState::Assigned).await;
    for name in ["before-id", "before-number"] {
        let order = t.strangers_at(name, OrderState::Conflict).await;
        t.names_nobody(&json!(order.status).to_string(), "rightful");
    }
    let words = t.told(&t.w.namespaces, "rightful", "AlsoClaimed").await;
    assert!(words.contains("another resource also claims"), "{words}");
    t.names_nobody(&words, "before");
    t.w.order_at("rightful", OrderState::Assigned).await;

    // To a neighbour the neighbour is named.
    t.w.plain_order("second").await;
    let number = t.w.order_at("second", OrderState::Assigned).await.status.unwrap().phone_number;
    t.w.order("neighbour", json!({"verificationId": "v", "adopt": {"phoneNumber": number}})).await;
    let neighbour = t.w.order_at("neighbour", OrderState::Conflict).await;
    assert!(message(&neighbour).contains("PhoneNumberOrder second"), "{}", message(&neighbour));
    let words = t.told(&t.w.namespaces, "second", "AlsoClaimed").await;
    assert!(words.contains("PhoneNumberOrder neighbour also claims number"), "{words}");
}

/// What a resource shows, without what it says of itself and the time.
fn shown(order: &PhoneNumberOrder, number: &str) -> Value {
    let status: PhoneNumberOrderStatus = order.status.clone().unwrap();
    let mut shown: Value = json!(status);
    for time in ["orderedTime", "assignedTime"] {
        shown.as_object_mut().unwrap().remove(time);
    }
    for condition in shown["conditions"].as_array_mut().unwrap() {
        condition.as_object_mut().unwrap().remove("lastTransitionTime");
    }
    let text = shown.to_string().replace(number, "NUMBER");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn p15_p22_two_accounts_may_have_the_same_id_and_number_and_a_stranger_learns_nothing() {
    let t = Tenants::new("accounts").await;
    t.w.plain_order("rightful").await;
    t.w.order_at("rightful", OrderState::Assigned).await;
    let secrets: Api<Secret> = t.stranger.api();
    let secret = json!({"metadata": {"name": "tenios"}, "stringData": {"key": "a-key-of-their-own"}});
    let secret = serde_json::from_value(secret).unwrap();
    secrets.create(&PostParams::default(), &secret).await.unwrap();
    for (n, reference) in
        [json!({"name": "tenios", "key": "key"}), json!({"name": "nothing", "key": "key"})].iter().enumerate()
    {
        let mut looks = Vec::new();
        for (name, number) in [("there", FIRST_NUMBER), ("nowhere", NOBODYS_NUMBER)] {
            let name = format!("{name}-{n}");
            let adopt = json!({"phoneNumber": number});
            let spec = json!({"verificationId": "v", "accessKeySecretRef": reference, "adopt": adopt});
            t.stranger(&name, spec).await;
            looks.push(shown(&t.strangers_at(&name, OrderState::Assigned).await, number));
            t.theirs().delete(&name, &DeleteParams::default()).await.unwrap();
        }
        assert_eq!(looks[0], looks[1], "whether the number is another's shows nowhere");
    }
    let both = json!({"orderId": FIRST_ORDER, "phoneNumber": FIRST_NUMBER});
    let reference = json!({"name": "tenios", "key": "key"});
    t.stranger("same", json!({"verificationId": "v", "accessKeySecretRef": reference, "adopt": both})).await;
    t.strangers_at("same", OrderState::Assigned).await;
    t.w.namespaces.quiet().await;
    t.w.order_at("rightful", OrderState::Assigned).await;
    t.strangers_at("same", OrderState::Assigned).await;
}

#[tokio::test]
async fn p15_a_number_that_tenios_gives_out_again_puts_neither_order_into_conflict() {
    let t = Tenants::new("again").await;
    t.w.plain_order("old").await;
    t.w.order_at("old", OrderState::Assigned).await;
    t.w.simulator.set(|s| s.push.when = PushTime::Never);
    t.stranger("new", json!({"verificationId": t.w.approved_document()})).await;
    t.strangers_at("new", OrderState::AwaitingNumber).await;
    let again: PushOverrides = serde_json::from_value(json!({"phonenumber": FIRST_NUMBER})).unwrap();
    assert_eq!(t.w.simulator.push(300_001, again).await.unwrap().status, Some(200));
    let status = t.strangers_at("new", OrderState::Assigned).await.status.unwrap();
    assert_eq!(status.phone_number.as_deref(), Some(FIRST_NUMBER));
    let words = t.told(&t.w.namespaces, "old", "GivenTwice").await;
    assert!(words.contains(FIRST_NUMBER) && words.contains("a resource in another namespace"), "{words}");
    t.names_nobody(&words, "PhoneNumberOrder new");
    t.w.namespaces.quiet().await;
    t.w.order_at("old", OrderState::Assigned).await;
    t.strangers_at("new", OrderState::Assigned).await;
}

#[tokio::test]
async fn p15_p26_a_claim_without_a_request_ends_with_its_resource_and_who_waits_goes_on() {
    let t = Tenants::new("ends").await;
    let adopt = json!({"verificationId": "v", "adopt": {"orderId": "42", "phoneNumber": "+492211"}});
    t.stranger("squatter", adopt.clone()).await;
    t.strangers_at("squatter", OrderState::Assigned).await;
    t.w.order("rightful", adopt).await;
    let order = t.w.order_at("rightful", OrderState::Conflict).await;
    assert!(message(&order).contains("a resource in another namespace"), "{}", message(&order));
    t.names_nobody(&json!(order.status).to_string(), "squatter");
    t.theirs().delete("squatter", &DeleteParams::default()).await.unwrap();
    let status = t.w.order_at("rightful", OrderState::Assigned).await.status.unwrap();
    assert_eq!((status.order_id.as_deref(), status.phone_number.as_deref()), (Some("42"), Some("+492211")));
    assert_eq!(t.w.requests(ORDER), 0);
}
