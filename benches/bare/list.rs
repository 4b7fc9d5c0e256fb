//! The least that a start takes: all orders and all entries, read once.

use std::fmt::Debug;

use kube::api::{Api, ListParams};
use serde::de::DeserializeOwned;
use tenios_api::{LedgerEntry, PhoneNumberOrder};

use super::client;
use harness::Result;

/// As kubectl reads lists.
const PAGE: u32 = 500;

/// `list NAMESPACE LEDGER`: reads both and prints how many there were.
pub async fn list(mut arguments: impl Iterator<Item = String>) -> Result<()> {
    let mut next = || arguments.next().ok_or("an argument is missing");
    let (namespace, ledger) = (next()?, next()?);
    let client = client().await?;
    let (orders, entries) = tokio::try_join!(
        read(Api::<PhoneNumberOrder>::namespaced(client.clone(), &namespace)),
        read(Api::<LedgerEntry>::namespaced(client, &ledger)),
    )?;
    println!("{orders} orders, {entries} entries");
    Ok(())
}

async fn read<K: Clone + Debug + DeserializeOwned>(api: Api<K>) -> Result<usize> {
    let (mut count, mut params) = (0, ListParams::default().limit(PAGE));
    loop {
        let page = api.list(&params).await?;
        count += page.items.len();
        match page.metadata.continue_ {
            Some(next) if !next.is_empty() => params.continue_token = Some(next),
            _ => return Ok(count),
        }
    }
}
