//! A provider that throttles: how much of what it allows is used, and what it turns away.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::burst::{as_f64, create};
use crate::stage::{Stage, Who};
use harness::Result;

/// Requests that it takes within a second.
const ALLOWED: u32 = 5;

/// After this long it is over, however many wait still.
const SPAN: Duration = Duration::from_secs(60);

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Throttled {
    /// Orders.
    pub orders: usize,
    /// Those that were taken, as a share of what was allowed until all were, or until it was over.
    pub share: f64,
    /// Requests turned away for each that was taken.
    pub turned_away: f64,
}

/// Lets the operator work off so many orders, as far as it comes.
pub async fn run(stage: &Stage, orders: usize) -> Result<Throttled> {
    let answer = Duration::from_millis(20);
    let contender = stage.contender(Who::Operator, 16).await?;
    let document = stage.provider.reset(answer, answer).await?;
    stage.provider.set(&json!({"most_per_second": ALLOWED})).await?;
    create(&contender.namespaces, orders, &json!({"verificationId": document})).await?;
    let began = Instant::now();
    let journal = loop {
        let journal = stage.provider.journal().await?;
        if began.elapsed() > SPAN || journal.iter().filter(|entry| is_taken(entry)).count() >= orders {
            break journal;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    stage.provider.set(&json!({"most_per_second": null})).await?;
    contender.stop().await;
    of(&journal, orders)
}

fn is_taken(entry: &Value) -> bool {
    entry["processed"] == json!(true)
}

fn of(journal: &[Value], orders: usize) -> Result<Throttled> {
    let times = |entries: Vec<&Value>| -> Result<Vec<Timestamp>> {
        entries.iter().map(|entry| Ok(entry["time"].as_str().ok_or("no time")?.parse()?)).collect()
    };
    let taken = times(journal.iter().filter(|entry| is_taken(entry)).collect())?;
    let (Some(first), Some(last)) = (taken.iter().min(), taken.iter().max()) else {
        return Err("no request was taken".into());
    };
    // The last second counts whole, as the first one does.
    let seconds = if taken.len() < orders {
        SPAN.as_secs_f64()
    } else {
        last.duration_since(*first).as_secs_f64() + 1.0
    };
    let count = as_f64(taken.len());
    Ok(Throttled {
        orders,
        share: count / (f64::from(ALLOWED) * seconds),
        turned_away: as_f64(journal.len()) / count - 1.0,
    })
}
