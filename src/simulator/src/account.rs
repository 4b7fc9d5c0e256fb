//! The account: its documents, numbers and orders.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The first order's id, as in the provider's example.
const FIRST_ORDER: u64 = 300_000;
/// The first subscriber number that is handed out, behind an area code.
const FIRST_NUMBER: u64 = 10_000_000;

/// How far the provider's staff is with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentState {
    /// Not looked at yet.
    Pending,
    /// Numbers can be ordered with it.
    Approved,
    /// They can't.
    Rejected,
}

#[derive(Debug)]
pub(super) struct Document {
    state: DocumentState,
    approve_at: Option<Instant>,
    area_code: String,
}

impl Document {
    pub(super) fn state(&self) -> DocumentState {
        match (self.state, self.approve_at) {
            (DocumentState::Pending, Some(at)) if Instant::now() >= at => DocumentState::Approved,
            (state, _) => state,
        }
    }
}

/// A document as it is listed.
#[derive(Clone, Debug, Serialize)]
pub struct DocumentView {
    /// The id.
    pub verification_id: Uuid,
    /// The state now.
    pub state: DocumentState,
    /// Without the leading 0.
    pub area_code: String,
}

/// An order as it is listed.
#[derive(Clone, Debug, Serialize)]
pub struct Order {
    /// The id.
    pub order_id: String,
    /// The document's id.
    pub verification_id: Uuid,
    /// The number that it is linked to.
    pub link_to_number: Option<String>,
    /// Where its number is told.
    pub push_url: Option<String>,
    /// What the push proves itself with.
    #[serde(skip)]
    pub(super) push_secret: Option<SecretString>,
    /// Its number, once assigned.
    pub phone_number: Option<String>,
    /// From when the number is no longer the account's, once cancelled.
    pub cancellation_date: Option<jiff::civil::Date>,
}

#[derive(Debug)]
pub(super) struct NewOrder {
    pub(super) verification_id: Uuid,
    pub(super) link_to_number: Option<String>,
    pub(super) push_url: Option<String>,
    pub(super) push_secret: Option<SecretString>,
}

#[derive(Debug)]
pub(super) struct Account {
    documents: BTreeMap<Uuid, Document>,
    numbers: BTreeSet<String>,
    cancelled: BTreeMap<String, jiff::civil::Date>,
    orders: BTreeMap<u64, Order>,
    next_order: u64,
    next_number: u64,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            documents: BTreeMap::new(),
            numbers: BTreeSet::new(),
            cancelled: BTreeMap::new(),
            orders: BTreeMap::new(),
            next_order: FIRST_ORDER,
            next_number: FIRST_NUMBER,
        }
    }
}

impl Account {
    pub(super) fn add_document(&mut self, area_code: &str, approve_after: Option<Duration>) -> Uuid {
        let id = Uuid::new_v4();
        let approve_at = approve_after.and_then(|after| Instant::now().checked_add(after));
        let document = Document { state: DocumentState::Pending, approve_at, area_code: area_code.into() };
        self.documents.insert(id, document);
        id
    }

    /// Puts a document in, or changes the state of the one that is there.
    pub(super) fn set_document(&mut self, id: Uuid, state: DocumentState, area_code: Option<&str>) {
        let document = self.documents.entry(id).or_insert_with(|| Document {
            state,
            approve_at: None,
            area_code: "221".into(),
        });
        document.state = state;
        document.approve_at = None;
        if let Some(area_code) = area_code {
            document.area_code = area_code.into();
        }
    }

    pub(super) fn document(&self, id: Uuid) -> Option<&Document> {
        self.documents.get(&id)
    }

    pub(super) fn documents(&self) -> Vec<DocumentView> {
        let view = |(id, document): (&Uuid, &Document)| DocumentView {
            verification_id: *id,
            state: document.state(),
            area_code: document.area_code.clone(),
        };
        self.documents.iter().map(view).collect()
    }

    pub(super) fn add_number(&mut self, number: &str) {
        self.numbers.insert(number.into());
    }

    pub(super) fn has_number(&self, number: &str) -> bool {
        self.numbers.contains(number)
    }

    pub(super) fn numbers(&self) -> &BTreeSet<String> {
        &self.numbers
    }

    pub(super) fn add_order(&mut self, order: NewOrder) -> u64 {
        let id = self.next_order;
        self.next_order += 1;
        let NewOrder { verification_id, link_to_number, push_url, push_secret } = order;
        let order = Order {
            order_id: id.to_string(),
            verification_id,
            link_to_number,
            push_url,
            push_secret,
            phone_number: None,
            cancellation_date: None,
        };
        self.orders.insert(id, order);
        id
    }

    pub(super) fn order(&self, id: u64) -> Option<&Order> {
        self.orders.get(&id)
    }

    pub(super) fn orders(&self) -> Vec<Order> {
        self.orders.values().cloned().collect()
    }

    /// Gives an order its number, the same one each time.
    pub(super) fn assign(&mut self, id: u64) -> Option<String> {
        let order = self.orders.get_mut(&id)?;
        if let Some(number) = &order.phone_number {
            return Some(number.clone());
        }
        let area_code =
            self.documents.get(&order.verification_id).map_or("221", |document| &document.area_code);
        loop {
            let number = format!("+49{area_code}{}", self.next_number);
            self.next_number += 1;
            if self.numbers.insert(number.clone()) {
                order.phone_number = Some(number.clone());
                return Some(number);
            }
        }
    }

    /// When a number is or was cancelled.
    pub(super) fn cancellation(&self, number: &str) -> Option<jiff::civil::Date> {
        self.cancelled.get(number).copied()
    }

    pub(super) fn cancel(&mut self, number: &str, date: jiff::civil::Date) {
        self.cancelled.insert(number.into(), date);
        for order in self.orders.values_mut() {
            if order.phone_number.as_deref() == Some(number) {
                order.cancellation_date = Some(date);
            }
        }
    }
}
