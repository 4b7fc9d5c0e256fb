//! The cluster's DNS, as far as the operator asks it.

use std::net::Ipv4Addr;

use tokio::net::UdpSocket;

/// Where it listens: port 53 is the only one that `/etc/resolv.conf` knows.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 53, 53);

/// Answers for these names with 127.0.0.1 until the test ends, and that there are no others; `None` where
/// the user may not listen on port 53.
pub async fn serve(names: &'static [&'static str]) -> Option<()> {
    let socket = UdpSocket::bind((ADDRESS, 53)).await.ok()?;
    tokio::spawn(async move {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query).await {
            let _ = socket.send_to(&answer(&query[..length], names), from).await;
        }
    });
    Some(())
}

fn answer(query: &[u8], names: &[&str]) -> Vec<u8> {
    const HEADER: usize = 12;
    let mut labels = Vec::new();
    let mut at = HEADER;
    while query[at] != 0 {
        let label = &query[at + 1..=at + usize::from(query[at])];
        labels.push(String::from_utf8_lossy(label).to_lowercase());
        at += 1 + label.len();
    }
    let question = &query[HEADER..at + 5];
    let known = names.contains(&labels.join(".").as_str());
    // Of the type A; for AAAA the name exists without an address.
    let addressed = known && query[at + 1..at + 3] == [0, 1];
    let mut answer = query[..2].to_vec();
    answer.extend([0x81, if known { 0x80 } else { 0x83 }]);
    answer.extend([0, 1, 0, u8::from(addressed), 0, 0, 0, 0]);
    answer.extend(question);
    if addressed {
        let name_of_the_question = [0xc0, 12];
        answer.extend(name_of_the_question);
        answer.extend([0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    }
    answer
}
