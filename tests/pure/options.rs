//! What the operator is configured by: every flag and every variable through one table.

use std::collections::BTreeSet;

use clap::{CommandFactory, Parser};
use tenios_net::{BaseUrl, Listen};
use tenios_operator::options::{Options, RunOptions, Subcommand};
use tenios_simulator::SimulatorOptions;

#[path = "../options/table.rs"]
mod table;
use table::rows;

/// Where an empty variable is no configuration at all.
const NEVER_EMPTY: [&str; 4] = ["--tenios-url", "--ledger", "--namespace", "--watch-namespace"];

fn read(arguments: &[&str]) -> Result<RunOptions, String> {
    let options = Options::try_parse_from([&["tenios-operator", "run"], arguments].concat());
    let Subcommand::Run(run) = options.map_err(|e| tenios_flags::explain(&e))?.command else { panic!("run") };
    run.check().map_err(|line| format!("error: {line}"))?;
    Ok(*run)
}

fn flags() -> Vec<(String, String)> {
    let mut program = Options::command();
    let run = program.find_subcommand_mut("run").unwrap();
    let flags = run.get_arguments().filter_map(|flag| {
        Some((format!("--{}", flag.get_long()?), flag.get_env()?.to_str().unwrap().to_owned()))
    });
    flags.collect()
}

#[test]
fn every_flag_stands_in_the_table() {
    let told: BTreeSet<_> = rows().iter().map(|row| row.flag.to_owned()).collect();
    let flags: BTreeSet<_> = flags().into_iter().map(|(flag, _)| flag).collect();
    assert_eq!(
        flags, told,
        "say in tests/options/table.rs what a new flag takes and what makes no sense to it"
    );
}

#[test]
fn what_makes_sense_is_taken_and_blanks_around_it_do_not_matter() {
    for row in rows() {
        for value in row.good.iter().chain(row.loose) {
            let with = |value: &str| read(&[row.with, &[&*format!("{}={value}", row.flag)]].concat());
            let taken = with(value).unwrap_or_else(|said| panic!("{} {value:?}: {said}", row.flag));
            for padded in [format!(" {value}\n"), format!("\t{value}\r\n"), format!("\u{a0}{value}\u{feff}")]
            {
                let same = with(&padded).unwrap_or_else(|said| panic!("{} {padded:?}: {said}", row.flag));
                assert_eq!(format!("{taken:?}"), format!("{same:?}"), "{} {padded:?}", row.flag);
            }
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused_in_one_line_that_names_the_flag() {
    for row in rows() {
        for value in row.bad.iter().copied().chain(["", " ", "\n"]) {
            let said = read(&[row.with, &[&*format!("{}={value}", row.flag)]].concat());
            let said = said.err().unwrap_or_else(|| panic!("{} takes {value:?}", row.flag));
            assert!(said.starts_with("error: ") && said.contains(row.flag), "{} {value:?}: {said}", row.flag);
            assert_eq!(said.lines().count(), 1, "{said}");
            assert!(!said.contains("hunter2"), "a password is repeated: {said}");
        }
    }
}

#[test]
fn a_switch_alone_is_on() {
    assert!(read(&["--allow-http", "--tenios-url=http://a"]).unwrap().allow_http);
    assert!(!read(&["--allow-http", "no"]).unwrap().allow_http);
    assert!(read(&["--leader-election"]).unwrap().leader_election);
    assert!(!read(&[]).unwrap().allow_http);
    assert!(read(&[]).unwrap().leader_election);
}

#[test]
fn each_namespace_is_watched_once_however_it_was_given() {
    let watched = |arguments: &[&str]| read(arguments).unwrap().namespaces();
    assert_eq!(watched(&["--watch-namespace=shop,"]), ["shop"]);
    assert_eq!(watched(&["--watch-namespace=shop, other"]), ["other", "shop"]);
    assert_eq!(watched(&["--watch-namespace=shop", "--watch-namespace", "other,shop"]), ["other", "shop"]);
    assert!(watched(&[]).is_empty());
}

#[test]
fn a_port_is_listened_at_once() {
    for (two, named) in [
        (["--push-listen=:8080", "--metrics-listen=:8080"], "--metrics-listen"),
        (["--push-listen=127.0.0.1:8080", "--metrics-listen=:8080"], "--metrics-listen"),
        (["--health-listen=0.0.0.0:8082", "--push-listen=10.0.0.1:8082"], "--health-listen"),
        (["--health-listen=[::]:8080", "--metrics-listen=0.0.0.0:8080"], "--metrics-listen"),
    ] {
        let said = read(&two).unwrap_err();
        assert!(said.contains(named) && said.contains("already used by"), "{two:?}: {said}");
    }
    read(&["--health-listen=127.0.0.1:9000", "--metrics-listen=127.0.0.2:9000"]).unwrap();
}

#[test]
fn what_is_put_behind_a_base_url_arrives_below_it() {
    for (base, joined) in [
        ("https://a.example", "https://a.example/x/y"),
        ("https://a.example/", "https://a.example/x/y"),
        ("https://a.example//", "https://a.example/x/y"),
        ("HTTPS://A.example:443/Prefix/", "https://a.example/Prefix/x/y"),
        ("http://[::1]:8080/p", "http://[::1]:8080/p/x/y"),
    ] {
        assert_eq!(base.parse::<BaseUrl>().unwrap().join("/x/y"), joined, "{base}");
    }
}

#[test]
fn listening_everywhere_is_written_without_an_address() {
    assert_eq!(":8080".parse(), Ok(Listen::Everywhere(8080)));
    assert_eq!(":8080".parse::<Listen>().unwrap().to_string(), ":8080");
    assert_eq!("[::]:8080".parse::<Listen>().unwrap().to_string(), "[::]:8080");
}

/// Exit code and what was said, with nothing in the environment but this.
fn run(variable: &str, value: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let mut operator = harness::Program::Operator.command();
    let directory = std::env::temp_dir();
    let operator =
        operator.env_clear().current_dir(directory).env(variable, value).arg("run").args(arguments);
    let output = operator.output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// An operator whose configuration makes sense gets as far as missing its cluster.
#[test]
fn an_empty_variable_counts_as_unset_or_is_refused_where_that_would_mean_more() {
    for (flag, variable) in flags() {
        for empty in ["", " ", "\n"] {
            let (code, said) = run(&variable, empty, &["--log=error"]);
            let line = said.trim_end();
            if NEVER_EMPTY.contains(&flag.as_str()) {
                assert!(
                    code == Some(2) && line.starts_with("error: ") && line.contains(&flag),
                    "{variable}: {said}"
                );
                assert_eq!(line.lines().count(), 1, "{said}");
            } else {
                assert_eq!(code, Some(1), "{variable}={empty:?}: {said}");
                assert!(said.contains("no Kubernetes credentials"), "{variable}={empty:?}: {said}");
            }
        }
    }
}

#[test]
fn a_variable_is_read_as_its_flag_is() {
    let variables = flags();
    for row in rows() {
        let (_, variable) = variables.iter().find(|(flag, _)| flag == row.flag).unwrap();
        let Some(bad) = row.bad.first() else { continue };
        let (code, said) = run(variable, bad, row.with);
        assert!(code == Some(2) && said.contains(row.flag), "{variable}={bad}: {said}");
        assert_eq!(said.trim_end().lines().count(), 1, "{said}");
        if row.loose.is_empty() || row.flag.ends_with("-file") {
            continue;
        }
        let (code, said) = run(variable, row.loose[0], &[row.with, &["--log-format=text"]].concat());
        let no_key = said.contains("--push-key-file") || said.contains("--relay-key-file");
        assert!(code == Some(1) || no_key, "{variable}={}: {said}", row.loose[0]);
    }
}

/// What it warns of before it looks for its cluster.
#[test]
fn a_log_level_in_other_words_does_not_turn_the_log_off() {
    let warned = |filter: &str| {
        let (code, said) =
            run("TENIOS_LOG", filter, &["--log-format=text", "--access-key-file=/no/such/key"]);
        assert_eq!(code, Some(1), "{filter}: {said}");
        said.contains("--access-key-file does not exist yet")
    };
    for filter in [
        "warning",
        "WARNING",
        " warn\n",
        "info,",
        "off,tenios_operator=warn",
        "tenios_operator",
        "hyper=off,info",
    ] {
        assert!(warned(filter), "{filter}");
    }
    for filter in ["error", "off", "info,tenios_operator=error"] {
        assert!(!warned(filter), "{filter}");
    }
}

#[test]
fn a_directory_or_a_proxy_that_is_none_is_named() {
    for (variable, value, named) in [
        ("TENIOS_ACCESS_KEY_FILE", "/", "--access-key-file"),
        ("TENIOS_PUSH_KEY_FILE", "/", "--push-key-file"),
        ("TENIOS_CA_FILE", "/", "--tenios-ca-file"),
        ("HTTPS_PROXY", "ftp://user:hunter2@proxy.example", "HTTPS_PROXY"),
        ("https_proxy", "http://", "https_proxy"),
        ("ALL_PROXY", "socks5://:1080", "ALL_PROXY"),
    ] {
        let (code, said) = run(variable, value, &[]);
        assert!(code == Some(2) && said.contains(named), "{variable}={value}: {said}");
        assert!(!said.contains("hunter2") && said.trim_end().lines().count() == 1, "{said}");
    }
    for proxy in ["proxy.example:3128", "http://user:secret@proxy.example", "socks5h://[::1]:1080", ""] {
        let (code, said) = run("HTTPS_PROXY", proxy, &[]);
        assert_eq!(code, Some(1), "{proxy}: {said}");
    }
}

#[test]
fn the_simulator_is_configured_alike() {
    let read = |arguments: &[&str]| {
        let options = SimulatorOptions::try_parse_from([&["tenios-simulator"], arguments].concat());
        options.map(|options| format!("{options:?}")).map_err(|error| tenios_flags::explain(&error))
    };
    for flag in [
        "--listen=127.0.0.1:0",
        "--approve-after=never",
        "--assign-after=0s",
        "--journal=file",
        "--push-ca-file=file",
    ] {
        let same = [flag.to_owned(), flag.replace('=', "= ") + "\n"]
            .map(|flag| read(&["--access-key=key", &flag]).unwrap());
        assert_eq!(same[0], same[1], "{flag}");
    }
    for flag in
        ["--access-key= ", "--listen=here", "--approve-after=soon", "--assign-after=-1s", "--journal="]
    {
        let said =
            read(&["--access-key=key", flag][usize::from(flag.starts_with("--access"))..]).unwrap_err();
        assert!(
            said.contains(flag.split('=').next().unwrap()) && said.lines().count() == 1,
            "{flag}: {said}"
        );
    }
}
