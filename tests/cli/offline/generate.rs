use kubectl_tenios::validate;
use serde_json::Value;
use tenios_api::pdf::Document;

use harness::Scratch;

use super::{Said, plugin};

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
    let directory = Scratch::new();
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
    let directory = Scratch::new();
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
        "branches.csv:3: column name: \"Bad Name\" is not a valid name",
        "branches.csv:4: column zip: a German postcode has 5 digits; a spreadsheet may have dropped a leading zero",
        "branches.csv:5: column areaCode: 2211 is not a German area code",
        "branches.csv:5: column documentType: \"PASSPORT\" must be one of",
        "branches.csv:6: column city: is empty",
        "branches.csv:7: column document: letter.doc is not a PDF",
        "branches.csv:8: column document: gone.pdf",
        "branches.csv:9: column document: large.pdf has",
        "branches.csv:11: column name: \"good\" is already used in line 2",
        "branches.csv:12: has 2 columns, but the header has 8",
        "branches.csv:13: column name: is longer than 253 characters",
        "3 branches generated",
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
    let directory = Scratch::new();
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
    assert!(said.stderr.contains("branches.csv:2: is neither UTF-8 nor UTF-16"), "{}", said.stderr);
    assert!(said.stderr.contains("save the table as \"CSV UTF-8\""), "{}", said.stderr);
}

#[test]
fn what_yaml_takes_for_a_number_stays_text_to_kubectl_too() {
    let directory = Scratch::new();
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
    let directory = Scratch::new();
    for (table, expected) in [
        ("name,city\n".to_owned(), "missing columns: zip, street"),
        (HEADER.replace("zip", "plz"), "unknown column \"plz\""),
        (HEADER.replace("zip", "city"), "column city occurs more than once"),
        (String::new(), "missing columns: name"),
    ] {
        directory.write("branches.csv", &table);
        let said = plugin(directory.path(), &["generate", "-f", "branches.csv"], "");
        assert_eq!(said.code, Some(1));
        assert!(said.stderr.contains(&format!("branches.csv:1: {expected}")), "{table}: {}", said.stderr);
    }
}

/// What comes of this table, where the document is there.
fn generate(directory: &Scratch, table: impl AsRef<[u8]>) -> Said {
    directory.write("contract.pdf", PDF);
    directory.write("branches.csv", table);
    plugin(directory.path(), &["generate", "-f", "branches.csv"], "")
}

#[test]
fn tables_are_read_however_the_spreadsheet_saved_them() {
    let directory = Scratch::new();
    let plain = format!("{HEADER}{}", office("office"));
    let semicolons = plain.replace(',', ";");
    let utf16 = |text: &str, unit: fn(u16) -> [u8; 2]| -> Vec<u8> {
        format!("\u{feff}{text}").encode_utf16().flat_map(unit).collect()
    };
    for (what, table) in [
        ("sep=;", format!("sep=;\r\n{}", semicolons.replace('\n', "\r\n")).into_bytes()),
        ("SEP=|", format!("\u{feff}\"SEP=|\"\n{}", plain.replace(',', "|")).into_bytes()),
        ("sep= and a tab", format!("sep=\t\n{}", plain.replace(',', "\t")).into_bytes()),
        ("UTF-16 LE with tabs", utf16(&plain.replace(',', "\t"), u16::to_le_bytes)),
        ("UTF-16 BE", utf16(&semicolons, u16::to_be_bytes)),
        ("empty rows above", format!("\n;;\"\"; ;\r\n{semicolons}").into_bytes()),
        ("empty rows above a named sign", format!("sep=;\n;;;\n\n{semicolons}").into_bytes()),
        ("empty columns at the end", plain.replace('\n', ",,\n").into_bytes()),
        ("an empty column between", plain.replace(",city", ",,city").replace(",Köln", ",,Köln").into_bytes()),
        ("lines that end in CR", plain.replace('\n', "\r").into_bytes()),
        ("no-break spaces", plain.replace(',', "\u{a0},\u{202f}").into_bytes()),
        ("decomposed letters", plain.replace("Köln", "Ko\u{308}ln").into_bytes()),
        ("a zero-width space", plain.replace("Köln", "Kö\u{200b}ln").into_bytes()),
        (
            "quotes around all",
            plain
                .replace(',', "\",\"")
                .replace('\n', "\"\n")
                .replace("\"\n", "\"\n\"")
                .trim_end_matches('"')
                .replacen("name", "\"name", 1)
                .into_bytes(),
        ),
        ("text as a formula", plain.replace("50667", "=\"50667\"").into_bytes()),
        ("text as a quoted formula", plain.replace("50667", "\"=\"\"50667\"\"\"").into_bytes()),
        ("an apostrophe", plain.replace("50667", "'50667").into_bytes()),
        ("a line end within quotes at the end", plain.replace("Domkloster", "\"Domkloster\n\"").into_bytes()),
    ] {
        let said = generate(&directory, table);
        assert_eq!(said.code, Some(0), "{what}: {}", said.stderr);
        let made = manifests(&said.stdout);
        let address = &made[1]["spec"]["address"];
        assert_eq!((&address["city"], &address["zip"]), (&"Köln".into(), &"50667".into()), "{what}");
        assert_eq!(address["street"], "Domkloster", "{what}");
    }
    let said = generate(
        &directory,
        format!("{HEADER}zero,Dresden,\"=\"\"01067\"\"\",Altmarkt,1,351,CONTRACT,contract.pdf\n"),
    );
    assert!(said.stdout.contains("zip: \"01067\""), "{}{}", said.stdout, said.stderr);
    let said = generate(&directory, format!(";;\r\n\r\n{}", semicolons.replace("50667", "5066")));
    assert!(said.stderr.contains("branches.csv:4: column zip: "), "{}", said.stderr);
}

#[test]
fn what_a_spreadsheet_damaged_is_refused_in_words() {
    let directory = Scratch::new();
    let row =
        |number: &str, zip: &str| format!("a,Köln,{zip},Domkloster,{number},221,CONTRACT,contract.pdf\n");
    for date in [
        "12. Okt",
        "12.Okt",
        "Okt 12",
        "Oct-12",
        "12-Oct",
        "Mrz 24",
        "1. März",
        "Sept 9",
        "12.10.",
        "12.10.2026",
        "10/12/2026",
        "10/12/26",
        "2026-10-12",
        "12. Oktober 2026",
        "45942",
    ] {
        let said = generate(&directory, format!("{HEADER}{}", row(date, "50667")));
        assert_eq!(said.code, Some(1), "{date}");
        let expected = format!("branches.csv:2: column houseNumber: {date} is a date");
        assert!(said.stderr.contains(&expected), "{date}: {}", said.stderr);
    }
    for number in
        ["12", "12a", "12-14", "12/14", "12 1/2", "12.1", "12 A", "Haus 3", "Marienhof 5", "M 1", "1234"]
    {
        let said = generate(&directory, format!("{HEADER}{}", row(number, "50667")));
        assert_eq!(said.code, Some(0), "{number}: {}", said.stderr);
    }
    for (number, zip, expected) in [
        (
            "4",
            "1067",
            "column zip: a German postcode has 5 digits; a spreadsheet may have dropped a leading zero",
        ),
        ("4", "\"1,067E+03\"", "column zip: "),
        ("4", "\"50667,0\"", "column zip: 50667,0 is a decimal number"),
        ("4.0", "50667", "column houseNumber: 4.0 is a decimal number"),
        ("#NAME?", "50667", "column houseNumber: #NAME? is a spreadsheet error"),
        ("4", "########", "column zip: ######## is a spreadsheet error"),
        ("=A1", "50667", "column houseNumber: =A1 is a formula"),
    ] {
        let said = generate(&directory, format!("{HEADER}{}", row(number, zip)));
        assert_eq!(said.code, Some(1), "{number} {zip}");
        assert!(said.stderr.contains(expected), "{expected}: {}", said.stderr);
    }
    let said = generate(&directory, format!("{HEADER}{}", office("a").replace(",221,", ",0221,")));
    assert!(
        said.stderr.contains("column areaCode") && said.stderr.contains("without the leading 0"),
        "{}",
        said.stderr
    );
}

#[test]
fn a_quotation_mark_that_is_not_closed_swallows_no_row_in_silence() {
    let directory = Scratch::new();
    let open = office("open").replace("Domkloster", "\"Domkloster");
    for table in [
        format!("{HEADER}{}{open}{}{}", office("first"), office("b"), office("c")),
        format!(
            "sep=,\r\n{}",
            format!("{HEADER}{open}{}", office("b").replace("Domkloster", "Dom\"kloster"))
                .replace('\n', "\r\n")
        ),
    ] {
        let said = generate(&directory, &table);
        assert_eq!(said.code, Some(1), "{table}");
        assert!(
            said.stderr.contains("branches.csv:3: column ") && said.stderr.contains("is not closed"),
            "{table}{}",
            said.stderr
        );
        assert!(!said.stdout.contains("open"), "{}", said.stdout);
    }
    let early = format!("{HEADER}{}{}", open.replace("open", "\"open"), office("b"));
    let said = generate(&directory, early);
    assert!(said.stderr.contains("branches.csv:2: has 5 columns"), "{}", said.stderr);
    assert!(said.stderr.contains("1 branches generated"), "{}", said.stderr);
    let header = generate(&directory, format!("{}{}", HEADER.replace("zip", "\"zip"), office("a")));
    assert!(
        header.stderr.contains("branches.csv:1: ") && header.stderr.contains("is not closed"),
        "{}",
        header.stderr
    );
}

#[test]
fn a_table_without_rows_and_what_is_no_table_fail() {
    let directory = Scratch::new();
    for (table, expected) in [
        (HEADER.as_bytes().to_vec(), "branches.csv:1: there are no rows below the header"),
        (format!("{HEADER},,,,,,,\n\u{a0},,,,,,,\n").into_bytes(), "there are no rows below the header"),
        (format!("sep=,\n{HEADER}").into_bytes(), "branches.csv:2: there are no rows below the header"),
        (b"PK\x03\x04rest".to_vec(), "save the spreadsheet as \"CSV UTF-8\""),
        (format!("{}x,", HEADER.replace('\n', ",\n")).into_bytes(), "branches.csv:2: has 2 columns"),
        (
            format!("{}{}", HEADER.replace('\n', ",\n"), office("a").replace('\n', ",why\n")).into_bytes(),
            "branches.csv:2: \"why\" is in a column without a name",
        ),
    ] {
        let said = generate(&directory, table);
        assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""), "{expected}");
        assert!(said.stderr.contains(expected), "{expected}: {}", said.stderr);
    }
}

#[test]
fn documents_are_found_by_the_name_that_a_person_sees() {
    let directory = Scratch::new();
    let below = directory.path().join("Ko\u{308}ln");
    std::fs::create_dir(&below).unwrap();
    directory.write("Ko\u{308}ln/Miet\u{a0}vertrag.pdf", PDF);
    directory.write("back\\slash.pdf", PDF);
    for path in [
        "K\u{f6}ln/Miet vertrag.pdf",
        "Ko\u{308}ln\\Miet\u{a0}vertrag.pdf",
        ".\\Köln\\Miet vertrag.pdf",
        "back\\slash.pdf",
    ] {
        let said = generate(&directory, format!("{HEADER}{}", office("a").replace("contract.pdf", path)));
        assert_eq!(said.code, Some(0), "{path}: {}", said.stderr);
    }
    directory.write("K\u{f6}ln.pdf", PDF);
    directory.write("Ko\u{308}ln.pdf", PDF);
    directory.write("Ko\u{308}ln.pdf\u{a0}", PDF);
    for (path, expected) in
        [("C:\\Users\\x.pdf", "there is no such file"), ("K\u{f6}ln", "Köln: "), ("\u{a0}", "is empty")]
    {
        let said = generate(&directory, format!("{HEADER}{}", office("a").replace("contract.pdf", path)));
        assert_eq!(said.code, Some(1), "{path}");
        assert!(said.stderr.contains(expected), "{path}: {}", said.stderr);
    }
}

#[test]
fn the_last_day_of_a_document_is_a_column_for_who_knows_it() {
    let directory = Scratch::new();
    let table =
        |date: &str| format!("{},validUntil\n{},{date}\n", HEADER.trim_end(), office("office").trim_end());
    let said = generate(&directory, table("2031-05-31"));
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert_eq!(manifests(&said.stdout)[1]["spec"]["document"]["validUntil"], "2031-05-31");
    let said = generate(&directory, table(""));
    assert_eq!(manifests(&said.stdout)[1]["spec"]["document"].get("validUntil"), None, "{}", said.stderr);
    for (date, expected) in [
        ("31.05.2031", "does not match ^[0-9]{4}-[0-9]{2}-[0-9]{2}$, such as 2031-05-31"),
        ("2031-02-30", "is not a day of the calendar"),
    ] {
        let said = generate(&directory, table(date));
        let expected = format!("branches.csv:2: column validUntil: {date:?} {expected}");
        assert!(said.code == Some(1) && said.stderr.contains(&expected), "{}", said.stderr);
    }
}
