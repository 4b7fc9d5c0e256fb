//! Requests that are nearly the recorded ones, chosen by a seed.

use harness::SplitMix64;

/// Sequences that mean something to whoever parses HTTP or JSON.
const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b"/",
    b"%00",
    b"..",
    b"?",
    b"#",
    b"HTTP/1.0",
    b"HTTP/1.1",
    b"HTTP/2.0",
    b"HEAD ",
    b"CONNECT ",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Expect: 100-continue\r\n",
    b"Connection: keep-alive\r\n",
    b"Connection: close\r\n",
    b"Upgrade: websocket\r\n",
    b"0\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"{",
    b"}",
    b"[[[[[[[[",
    b"\"",
    b"\\u0000",
    b"\\ud800",
    b"null",
    b"1e999",
    b"\xff",
    b"\xc0\x80",
    b"\xf4\x90\x80\x80",
    b"/push/v1/",
    b"push_secret",
];
const NUMBERS: &[&[u8]] =
    &[b"0", b"-1", b"1", b"00", b"16384", b"16385", b"2147483648", b"18446744073709551616", b"+7", b"0x10"];
/// Longer requests only take longer.
const LONGEST: usize = 64 * 1024;

/// One of the first with one to eight changes, mostly few: what is still nearly right gets furthest. Pieces
/// of the second may get into it.
pub fn mutate(rng: &mut SplitMix64, bases: &[Vec<u8>], corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = bases[rng.below(bases.len())].clone();
    let most = rng.below(8);
    for _ in 0..=rng.below(most + 1) {
        change(rng, &mut bytes, corpus);
        bytes.truncate(LONGEST);
    }
    bytes
}

fn change(rng: &mut SplitMix64, bytes: &mut Vec<u8>, corpus: &[Vec<u8>]) {
    let at = rng.below(bytes.len() + 1);
    let range = rng.range(bytes.len());
    match rng.below(10) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << rng.below(8);
            }
        }
        1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = rng.byte();
            }
        }
        2 => bytes.insert(at, rng.byte()),
        3 => drop(bytes.drain(range)),
        4 => {
            let copy = bytes[range].to_vec();
            bytes.splice(at..at, copy);
        }
        5 if rng.below(4) == 0 => bytes.truncate(at),
        6 => replace_number(rng, bytes, at),
        7 => {
            let other = &corpus[rng.below(corpus.len())];
            let piece = other[rng.range(other.len())].to_vec();
            bytes.splice(range, piece);
        }
        8 => {
            let run = vec![rng.byte(); 1 << rng.below(14)];
            bytes.splice(at..at, run);
        }
        _ => {
            let word = rng.one_of(WORDS);
            bytes.splice(at..at, word.iter().copied());
        }
    }
}

/// Replaces the next run of digits, such as a length.
fn replace_number(rng: &mut SplitMix64, bytes: &mut Vec<u8>, from: usize) {
    let Some(start) = bytes[from..].iter().position(u8::is_ascii_digit).map(|n| from + n) else { return };
    let length = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = rng.one_of(NUMBERS);
    bytes.splice(start..start + length, number.iter().copied());
}
