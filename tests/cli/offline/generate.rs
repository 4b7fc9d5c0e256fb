use serde_json::Value;
use tenios_operator::cli::validate;
use tenios_operator::tenios::Document;

use super::{Directory, plugin};

const HEADER: &str = "name,city,zip,street,houseNumber,areaCode,documentType,document\n";
const PDF: &[u8] = b"%PDF-1.4\n%%EOF\n";

fn manifests(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

fn office(name: &str) -> String {
    format!("{name},Köln,50667,Domkloster,4,221,CONTRACT,contract.pdf\n")
}

#[test]
fn each_row_becomes_a_secret_a_verification_and_an_order_linked_to_the_main_line() {
    let directory = Directory::new();
    directory.write("contract.pdf", PDF);
    directory.write("branches.csv", format!("{HEADER}{}{}", office("main-line"), office("bonn")));
    let arguments = ["generate", "-f", "branches.csv", "--link-to", "main-line", "-n", "shop"];
    let said = plugin(directory.path(), &arguments, "");
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let made = manifests(&said.stdout);
    let kinds: Vec<&str> = made.iter().map(|m| m["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["Secret", "PhoneVerification", "PhoneNumberOrder"].repeat(2));
    assert!(made.iter().all(|m| m["metadata"]["namespace"] == "shop"));
    assert_eq!(made[3]["data"]["document.pdf"], "JVBERi0xLjQKJSVFT0YK");
    assert_eq!(made[4]["spec"]["document"]["secretRef"]["name"], made[3]["metadata"]["name"]);
    assert_eq!(made[5]["spec"]["linkTo"]["orderRef"]["name"], "main-line");
    assert_eq!(made[2]["spec"]["linkTo"], Value::Null, "the main line is not linked to itself");
    assert!(validate::text_of(&said.stdout).findings.is_empty());
}

#[test]
fn a_bad_row_is_reported_with_line_and_column_and_the_others_are_made() {
    let directory = Directory::new();
    directory.write("contract.pdf", PDF);
    directory.write("letter.doc", "no PDF");
    directory.write("large.pdf", [PDF, &vec![b' '; Document::LIMIT]].concat());
    directory.write("limit.pdf", [PDF, &vec![b' '; Document::LIMIT - PDF.len()]].concat());
    let rows = [
        office("good"),
        "Bad Name,Köln,50667,Domkloster,4,221,CONTRACT,contract.pdf\n".into(),
        "zip,Dresden,1067,Altmarkt,1,351,CONTRACT,contract.pdf\n".into(),
        "code,Köln,50667,Domkloster,4,2211,PASSPORT,contract.pdf\n".into(),
        "empty,,50667,Domkloster,4,221,CONTRACT,contract.pdf\n".into(),
        "no-pdf,Köln,50667,Domkloster,4,221,CONTRACT,letter.doc\n".into(),
        "gone,Köln,50667,Domkloster,4,221,CONTRACT,gone.pdf\n".into(),
        "large,Köln,50667,Domkloster,4,221,CONTRACT,large.pdf\n".into(),
        "limit,Köln,50667,Domkloster,4,221,CONTRACT,limit.pdf\n".into(),
        office("good"),
        "short,Köln\n".into(),
        // With -document behind it.
        office(&"n".repeat(250)),
        ",,,,,,,\n".into(),
        "\"last\",Köln,50667,\"Domkloster, hinten\",4,221,CONTRACT,contract.pdf\n".into(),
    ];
    directory.write("branches.csv", format!("{HEADER}{}", rows.concat()));
    let said = plugin(directory.path(), &["generate", "-f", "branches.csv"], "");
    assert_eq!(said.code, Some(1));
    for expected in [
        "branches.csv:3: column name: \"Bad Name\" is no name",
        "branches.csv:4: column zip: a German postcode has 5 digits; a spreadsheet may have cut a leading zero",
        "branches.csv:5: column areaCode: 2211 is no German area code",
        "branches.csv:5: column documentType: \"PASSPORT\" is none of",
        "branches.csv:6: column city: is empty",
        "branches.csv:7: column document: letter.doc is no PDF",
        "branches.csv:8: column document: gone.pdf",
        "branches.csv:9: column document: large.pdf has",
        "branches.csv:11: column name: \"good\" stands in line 2, too",
        "branches.csv:12: has 2 columns, and the header 8",
        "branches.csv:13: column name: is longer than 253 characters",
        "3 branches done",
    ] {
        assert!(said.stderr.contains(expected), "{expected}\n{}", said.stderr);
    }
    let made = manifests(&said.stdout);
    let orders: Vec<&Value> = made.iter().filter(|m| m["kind"] == "PhoneNumberOrder").collect();
    let names: Vec<&Value> = orders.iter().map(|order| &order["metadata"]["name"]).collect();
    assert_eq!(names, ["good", "limit", "last"]);
    assert!(validate::text_of(&said.stdout).findings.is_empty());
}

#[test]
fn what_a_spreadsheet_writes_is_read() {
    let directory = Directory::new();
    directory.write("contract.pdf", PDF);
    let table = format!("\u{feff}{HEADER}{}", office("office")).replace(',', ";").replace('\n', "\r\n");
    directory.write("branches.csv", &table);
    let arguments = ["generate", "-f", "branches.csv", "--link-to", "+492219999999"];
    let said = plugin(directory.path(), &arguments, "");
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let made = manifests(&said.stdout);
    assert_eq!(made[1]["spec"]["address"]["city"], "Köln");
    assert_eq!(made[2]["spec"]["linkTo"]["phoneNumber"], "+492219999999");
    let latin1: Vec<u8> =
        table.chars().filter(|c| *c != '\u{feff}').map(|c| u8::try_from(c).unwrap()).collect();
    directory.write("branches.csv", latin1);
    let said = plugin(directory.path(), &["generate", "-f", "branches.csv"], "");
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("branches.csv:2: column city: is not UTF-8"), "{}", said.stderr);
}

#[test]
fn what_yaml_takes_for_a_number_stays_text_to_kubectl_too() {
    let directory = Directory::new();
    directory.write("contract.pdf", PDF);
    let rows =
        ["01067,NO,1_2", "08096,on,0x1f", "01234,y,1e3", "00000,~,.5", "10115,12:30,+4", "10115,true,1."];
    let rows = rows.iter().enumerate().map(|(index, row)| {
        let [zip, street, number] = row.split(',').collect::<Vec<_>>()[..] else { panic!("{row}") };
        format!("{index},0123,{zip},{street},{number},30,CONTRACT,contract.pdf\n")
    });
    directory.write("branches.csv", format!("{HEADER}{}", rows.collect::<String>()));
    let said = plugin(directory.path(), &["generate", "-f", "branches.csv"], "");
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert_eq!(validate::text_of(&said.stdout).findings, Vec::new(), "{}", said.stdout);
    assert!(
        said.stdout.contains("street: \"NO\"") && said.stdout.contains("zip: \"01067\""),
        "{}",
        said.stdout
    );
}

#[test]
fn a_header_that_makes_no_sense_is_named() {
    let directory = Directory::new();
    for (table, expected) in [
        ("name,city\n".to_owned(), "missing: zip, street"),
        (HEADER.replace("zip", "plz"), "there is no column \"plz\""),
        (HEADER.replace("zip", "city"), "column city is there twice"),
        (String::new(), "missing: name"),
    ] {
        directory.write("branches.csv", &table);
        let said = plugin(directory.path(), &["generate", "-f", "branches.csv"], "");
        assert_eq!(said.code, Some(1));
        assert!(said.stderr.contains(&format!("branches.csv:1: {expected}")), "{table}: {}", said.stderr);
    }
}
