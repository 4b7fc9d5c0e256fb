//! Names as the apiserver takes them.

/// Bytes of a DNS label, such as a namespace's name.
pub const LABEL_LIMIT: usize = 63;

/// Bytes of a DNS subdomain, such as the name of most resources.
pub const SUBDOMAIN_LIMIT: usize = 253;

/// Whether it is a DNS label (RFC 1123): what a namespace can be called. Nothing in it has to be escaped anywhere.
#[must_use]
pub fn is_dns_label(text: &str) -> bool {
    text.len() <= LABEL_LIMIT && is_part(text)
}

/// Whether it is a DNS subdomain (RFC 1123, without its limit for each label, as the apiserver has it): what most
/// resources can be called. Nothing in it has to be escaped in the path of a request.
#[must_use]
pub fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= SUBDOMAIN_LIMIT && text.split('.').all(is_part)
}

fn is_part(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty() && !text.starts_with('-') && !text.ends_with('-') && text.bytes().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_the_apiserver_takes() {
        let long = "a".repeat(LABEL_LIMIT);
        for label in ["a", "0", "a-b", "a--b", &long] {
            assert!(is_dns_label(label) && is_dns_subdomain(label), "{label}");
        }
        let longest = format!("{}b", "a.".repeat(SUBDOMAIN_LIMIT / 2));
        for subdomain in ["a.b", "0.1-2.c", &format!("{long}a"), &longest] {
            assert!(!is_dns_label(subdomain) && is_dns_subdomain(subdomain), "{subdomain}");
        }
        let too_long = format!("{longest}c");
        for neither in [
            "", "-a", "a-", ".a", "a.", "a..b", "a.-b", "a/b", "a?b", "a b", "A", "ä", "a_b", "a\n",
            &too_long,
        ] {
            assert!(!is_dns_label(neither) && !is_dns_subdomain(neither), "{neither:?}");
        }
    }
}
