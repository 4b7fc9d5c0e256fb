//! `adopt`: an id or number that exists already.

use clap::Args;
use serde_json::{Map, Value, json};

use super::cluster::Cluster;
use super::target::Target;
use super::{Failure, git, out, phone_number};
use tenios_api::valid::{ID_EXPECTED, is_id};
use tenios_ledger::Kind;

#[derive(Debug, Args)]
pub(super) struct AdoptOptions {
    /// pver/NAME or pno/NAME.
    target: Target,
    /// The id that TENIOS gave to the verification.
    #[arg(long, value_parser = id)]
    verification_id: Option<String>,
    /// The id that TENIOS gave to the order.
    #[arg(long, value_parser = id)]
    order_id: Option<String>,
    /// The assigned number; may be given without an order id.
    #[arg(long, value_parser = phone_number)]
    phone_number: Option<String>,
}

fn id(text: &str) -> Result<String, String> {
    is_id(text).then(|| text.to_owned()).ok_or_else(|| ID_EXPECTED.to_owned())
}

pub(super) async fn run(options: &AdoptOptions, cluster: &Cluster) -> Result<(), Failure> {
    let adopt = adopted(options)?;
    let target = &options.target;
    let before = target.read(cluster).await?;
    let after = target.patch(cluster, json!({"spec": {"adopt": adopt}})).await?;
    let git = git::advice(target, git::Field::Adopt, &before, &after)?;
    out::print(&format!("{target}: adopted; nothing is sent for it\n\n{git}"))
}

fn adopted(options: &AdoptOptions) -> Result<Value, Failure> {
    let mut adopt = Map::new();
    let of_verification = [("verificationId", &options.verification_id)];
    let of_order = [("orderId", &options.order_id), ("phoneNumber", &options.phone_number)];
    let (fits, strange, flags): (&[_], &[_], _) = match options.target.kind {
        Kind::Verification => (&of_verification, &of_order, "--verification-id"),
        Kind::Order | Kind::Cancellation => {
            (&of_order, &of_verification, "--order-id, --phone-number or both")
        }
    };
    for (name, value) in fits {
        adopt.extend(value.iter().map(|value| ((*name).to_owned(), json!(value))));
    }
    if adopt.is_empty() || strange.iter().any(|(_, value)| value.is_some()) {
        return Err(Failure::usage(format!("adopting {} takes {flags}", options.target)));
    }
    Ok(Value::Object(adopt))
}
