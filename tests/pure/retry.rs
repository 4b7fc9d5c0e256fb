use std::time::Duration;

use tenios_lifecycle::RetryPolicy;

#[test]
fn the_back_off_doubles_up_to_its_maximum() {
    let retry_policy = RetryPolicy::default();
    let seconds: Vec<u64> = (1..=8).map(|n| retry_policy.retry(n).as_secs()).collect();
    assert_eq!(seconds, [5, 10, 20, 40, 80, 160, 300, 300]);
    assert_eq!(retry_policy.retry(u32::MAX), Duration::from_secs(300));
}
