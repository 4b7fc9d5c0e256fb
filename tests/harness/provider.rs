//! TENIOS, as most tests have it.

use std::time::Duration;

use tenios_simulator::{Options, Simulator};

/// The access key of an operator under test, unless it is told another one.
pub const ACCESS_KEY: &str = "test-key";

/// It takes this access key, approves every document at once, and pushes each number after this time.
pub async fn simulator(access_key: &str, assign_after: Duration) -> Simulator {
    let options = Options {
        approve_after: Some(Duration::ZERO),
        assign_after,
        plain_push: true,
        ..Options::new(access_key)
    };
    Simulator::start(([127, 0, 0, 1], 0).into(), options).await.expect("the simulator starts")
}
