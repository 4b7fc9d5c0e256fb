//! Orders that are finished, as many as are asked for: copies of one that the operator ordered. That it writes nothing
//! when it finds them says that they are good ones.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tenios_api::{LedgerEntry, PhoneNumberOrder};

use crate::{Result, TestNamespaces, wait};

/// Copies that are made at a time.
const AT_ONCE: usize = 32;

/// The order that all others are copies of.
pub struct Seedling {
    name: String,
    order: String,
    entry: String,
    attempt: String,
    id: String,
    number: String,
}

impl Seedling {
    /// Of the only order in the namespaces, once it has its number and the operator is quiet.
    pub async fn of(namespaces: &TestNamespaces) -> Result<Self> {
        let orders: Api<PhoneNumberOrder> = namespaces.api();
        let entries: Api<LedgerEntry> = Api::namespaced(namespaces.client(), &namespaces.operator_namespace);
        wait::until("the only order to have its number", Duration::from_secs(60), async || {
            let all = orders.list(&ListParams::default()).await.ok()?.items;
            all.first()?.status.as_ref()?.phone_number.is_some().then_some(())
        })
        .await;
        namespaces.quiet().await;
        let (all, entries) = (
            orders.list(&ListParams::default()).await?.items,
            entries.list(&ListParams::default()).await?.items,
        );
        let ([order], [entry]) = (all.as_slice(), entries.as_slice()) else {
            return Err("there is not one order and one entry".into());
        };
        let status = order.status.clone().unwrap_or_default();
        Ok(Self {
            name: order.name_any(),
            order: plain(serde_json::to_value(order)?).to_string(),
            entry: plain(serde_json::to_value(entry)?).to_string(),
            attempt: status.attempt.ok_or("no attempt")?,
            id: status.order_id.ok_or("no order id")?,
            number: status.phone_number.ok_or("no number")?,
        })
    }

    /// Makes the copies with these numbers. No operator may run meanwhile.
    pub async fn copy(&self, namespaces: &TestNamespaces, which: std::ops::Range<usize>) -> Result<()> {
        let orders: Api<PhoneNumberOrder> = namespaces.api();
        let entries: Api<LedgerEntry> = Api::namespaced(namespaces.client(), &namespaces.operator_namespace);
        let copies = which.map(|n| {
            let (orders, entries) = (orders.clone(), entries.clone());
            async move {
                let (order, entry) = self.made(n)?;
                let status = json!({"status": order.status});
                entries.create(&PostParams::default(), &entry).await?;
                orders.create(&PostParams::default(), &order).await?;
                orders
                    .patch_status(&order.name_any(), &PatchParams::default(), &Patch::Merge(status))
                    .await?;
                Ok(())
            }
        });
        stream::iter(copies).buffer_unordered(AT_ONCE).try_for_each(async |()| Ok(())).await
    }

    fn made(&self, n: usize) -> Result<(PhoneNumberOrder, LedgerEntry)> {
        let copied = |text: &str| {
            text.replace(&self.name, &format!("{}-{n}", self.name))
                .replace(&self.attempt, &format!("{n:032x}"))
                .replace(&self.number, &format!("+49221{}", 50_000_000 + n))
                .replace(&format!("\"{}\"", self.id), &format!("\"{}\"", 7_000_000 + n))
        };
        Ok((serde_json::from_str(&copied(&self.order))?, serde_json::from_str(&copied(&self.entry))?))
    }
}

/// Without what the apiserver sets.
fn plain(mut object: Value) -> Value {
    object["metadata"] = json!({"name": object["metadata"]["name"]});
    object
}
