use std::collections::BTreeSet;

use kubectl_tenios::area_codes::{german, is_german};

#[test]
fn every_packed_code_is_found_and_there_are_as_many_as_the_source_has() {
    let codes: Vec<String> = german().collect();
    assert_eq!(codes.len(), 5_207);
    assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), 5_207, "each stands there once");
    for code in &codes {
        assert!(is_german(code), "{code}");
        let shape = (2..=5).contains(&code.len()) && code.starts_with(|c: char| ('2'..='9').contains(&c));
        assert!(shape && code.bytes().all(|b| b.is_ascii_digit()), "{code} does not pass the CRD's own rule");
    }
}

#[test]
fn cities_are_there_and_what_is_no_area_code_is_not() {
    for code in ["30", "40", "69", "89", "221", "212", "2129", "35204", "39954", "9999"] {
        assert_eq!(is_german(code), code != "9999", "{code}");
    }
    // A mobile prefix, a service number, a part of a code, a code with the 0, a number, nothing.
    for code in ["151", "800", "22", "0221", "2211", "221 ", "", "ü", "é0"] {
        assert!(!is_german(code), "{code:?}");
    }
}
