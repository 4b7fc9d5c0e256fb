//! The command line.
fn main() {
    print!("{}", tenios_operator::api::crd::to_yaml().unwrap_or_default());
}
