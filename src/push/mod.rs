//! The push.

mod address;

pub use address::{Address, PushKeys, PushKeysError};
