//! `status`.

use std::io::{BufRead, BufReader};
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tenios_api::Reason;
use tenios_api::order::OrderState;

use super::Plugin;
use crate::testbed::{PATIENCE, Testbed};
use harness::wait;

#[tokio::test]
async fn status_shows_both_kinds_and_what_needs_a_person() {
    let w = Testbed::new("cli-status").await;
    let plugin = Plugin::of(&w.namespaces).await;
    let nothing = plugin.run(&["status"]).await;
    assert!(
        nothing.stdout.is_empty() && nothing.stderr.contains("No verifications or orders found in namespace"),
        "{}",
        nothing.stderr
    );
    w.verification("v", json!({})).await;
    w.order("o", json!({"verificationRef": {"name": "v"}})).await;
    w.plain_order("p").await;
    let v = w.verification_because("v", Reason::AwaitingApproval).await;
    w.order_because("o", Reason::AwaitingApproval).await;
    let number = w.order_at("p", OrderState::Assigned).await.status.unwrap().phone_number.unwrap();
    let text = plugin.run(&["status"]).await.done();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["NAME", "STATE", "NUMBER", "ID", "REASON", "AGE"], "{text}");
    let id = v.status.unwrap().verification_id.unwrap();
    assert_eq!(lines[1][..5], ["pver/v", "AwaitingApproval", "-", &id, "AwaitingApproval"]);
    assert_eq!(lines[2][..5], ["pno/o", "Waiting", "-", "-", "AwaitingApproval"]);
    assert_eq!(lines[3][..5], ["pno/p", "Assigned", &number, "300000", "NumberAssigned"]);
    assert!(text.contains("1 of 3 done") && text.contains("\npver/v needs action: "), "{text}");
    assert!(!text.contains("pno/o needs") && !text.contains('\x1b'), "{text}");
    let everywhere = plugin.run(&["status", "-A"]).await.done();
    assert!(
        everywhere.lines().any(|line| line.starts_with(&w.namespaces.namespace) && line.contains("pno/p"))
    );
    let json: Value = serde_json::from_str(&plugin.run(&["status", "-o", "json"]).await.done()).unwrap();
    assert_eq!(
        (&json["items"][0]["kind"], &json["items"][2]["status"]["phoneNumber"]),
        (&json!("PhoneVerification"), &json!(number))
    );
    let yaml: Value = serde_saphyr::from_str(&plugin.run(&["status", "-o", "yaml"]).await.done()).unwrap();
    assert_eq!(yaml["kind"], "List");
}

#[tokio::test]
async fn status_w_goes_on_with_what_changes() {
    let w = Testbed::new("cli-watch").await;
    w.verification("v", json!({})).await;
    w.verification_because("v", Reason::AwaitingApproval).await;
    let plugin = Plugin::of(&w.namespaces).await;
    let mut child = plugin.command(&["status", "-w"]).spawn().unwrap();
    let lines = Arc::new(Mutex::new(Vec::<String>::new()));
    let reader = BufReader::new(child.stdout.take().unwrap());
    let read = std::thread::spawn({
        let lines = Arc::clone(&lines);
        move || reader.lines().map_while(Result::ok).for_each(|line| lines.lock().unwrap().push(line))
    });
    let shows = async |what: &str| {
        let seen = async || lines.lock().unwrap().iter().any(|line| line.contains(what)).then_some(());
        wait::until(&format!("a line with {what:?}"), PATIENCE, seen).await;
    };
    shows("pver/v\tAwaitingApproval").await;
    plugin.run(&["approve", "v"]).await.done();
    shows("pver/v\tApproved").await;
    w.plain_order("o").await;
    shows("pno/o\tAssigned\t+49").await;
    w.delete_order("o").await;
    shows("pno/o\tDeleted").await;
    child.kill().unwrap();
    child.wait().unwrap();
    read.join().unwrap();
}

/// `script` gives it a terminal.
#[tokio::test]
async fn on_a_terminal_it_is_a_coloured_table_that_is_drawn_anew_and_no_color_is_heard() {
    let w = Testbed::new("cli-terminal").await;
    w.verification("v", json!({})).await;
    w.verification_because("v", Reason::AwaitingApproval).await;
    let plugin = Plugin::of(&w.namespaces).await;
    let on_terminal = async |arguments: &[&str], no_color: &str| {
        let command = plugin.command(arguments);
        let words = [command.get_program()].into_iter().chain(command.get_args());
        let line: Vec<String> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
        let mut script = Command::new("script");
        script
            .args(["-qec", &format!("timeout 3 {}", line.join(" ")), "/dev/null"])
            .env("NO_COLOR", no_color);
        let output = tokio::task::spawn_blocking(move || script.output().unwrap()).await.unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let plain = on_terminal(&["status"], "1").await;
    assert!(plain.contains("pver/v") && !plain.contains('\x1b'), "{plain:?}");
    let coloured = on_terminal(&["status"], "").await;
    assert!(
        coloured.contains("\x1b[31mAwaitingApproval\x1b[0m") && !coloured.contains("\x1b[2J"),
        "{coloured:?}"
    );
    let live = on_terminal(&["status", "-w"], "").await;
    assert!(live.matches("\x1b[2J").count() > 1 && live.contains("0 of 1 done"), "{live:?}");
}
