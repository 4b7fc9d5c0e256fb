//! The manifests on the pages are valid: a reader begins by copying one.

use kubectl_tenios::validate;

use super::markdown::{Content, pages, parts};

#[test]
fn every_manifest_on_a_page_is_valid() {
    let (mut wrong, mut read) = (Vec::new(), 0);
    for (name, path) in pages() {
        let page = std::fs::read_to_string(path).unwrap();
        for part in parts(&page) {
            let Content::Block { language, text } = part.content else { continue };
            if language != "yaml" || !text.contains("apiVersion: tenios.dev/") {
                continue;
            }
            read += 1;
            let findings = validate::text_of(&text).findings;
            wrong.extend(findings.iter().map(|finding| format!("{name}:{}: {finding}", part.line)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(read >= 5, "{read} manifests were read");
}
