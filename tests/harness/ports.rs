//! Free ports on loopback.

use std::collections::{HashSet, VecDeque};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex;

use super::watchdog::lock;

/// Below the range that the kernel takes outgoing ports from, so that nobody gets one of ours
/// while the process that owns it is stopped.
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

/// Ports that are not handed out again. A run of the faults takes more than there are, one after the other.
const REMEMBERED: usize = COUNT as usize / 2;

#[derive(Default)]
struct Taken {
    all: HashSet<u16>,
    oldest_first: VecDeque<u16>,
}

/// A port that nobody listens on and that this process has not handed out lately.
pub fn free() -> u16 {
    static TAKEN: Mutex<Option<Taken>> = Mutex::new(None);
    let mut taken = lock(&TAKEN);
    let taken = taken.get_or_insert_default();
    loop {
        let [high, low, ..] = *uuid::Uuid::new_v4().as_bytes();
        let port = FIRST + u16::from_be_bytes([high, low]) % COUNT;
        if !taken.all.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            taken.all.insert(port);
            taken.oldest_first.push_back(port);
            if taken.oldest_first.len() > REMEMBERED
                && let Some(oldest) = taken.oldest_first.pop_front()
            {
                taken.all.remove(&oldest);
            }
            return port;
        }
    }
}
