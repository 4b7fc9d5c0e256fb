//! The kubeconfig, as kubectl takes it. Nothing listens where the plugin is sent, so that its error says which
//! cluster it chose.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use harness::Scratch;

use super::{Said, plugin_with};

/// Port 9 of this machine, under a path of its own for each name.
fn kubeconfig(name: &str, more: &str) -> String {
    format!(
        "apiVersion: v1
kind: Config
clusters: [{{name: {name}, cluster: {{server: 'http://127.0.0.1:9/{name}'}}}}]
users: [{{name: {name}, user: {{token: abc}}}}]
contexts: [{{name: {name}, context: {{cluster: {name}, user: {name}}}}}]
{more}"
    )
}

fn status(directory: &Scratch, list: &str, arguments: &[&str]) -> Said {
    let environment = [("KUBECONFIG", list), ("HOME", "/nowhere")];
    let arguments: Vec<&str> = ["status"].iter().chain(arguments).copied().collect();
    let said = plugin_with(directory.path(), &environment, &arguments, "");
    assert_eq!(said.code, Some(1), "{arguments:?} {}{}", said.stdout, said.stderr);
    said
}

#[test]
fn an_error_of_the_connection_says_where_and_why() {
    let directory = Scratch::new();
    directory.write("config", kubeconfig("a", "current-context: a"));
    let said = status(&directory, "config", &[]).stderr;
    assert!(
        said.contains("the API server at http://127.0.0.1:9/a could not be reached: ")
            && said.contains("Connection refused"),
        "{said}"
    );
}

#[test]
fn a_file_of_the_kubeconfig_list_that_is_not_there_is_left_out_and_the_first_context_wins() {
    let directory = Scratch::new();
    directory.write("a", kubeconfig("a", "current-context: ''"));
    directory.write("b", kubeconfig("b", "current-context: b"));
    directory.write("c", kubeconfig("c", "current-context: c"));
    for (list, cluster) in [("gone:b", "b"), ("b:gone", "b"), ("a:gone::b:c", "b"), ("c:b", "c")] {
        let said = status(&directory, list, &[]).stderr;
        assert!(said.contains(&format!("127.0.0.1:9/{cluster} ")), "{list}: {said}");
    }
    let none = status(&directory, "gone:gone-too", &[]).stderr;
    assert!(none.contains("current context"), "{none}");
    let named = status(&directory, "b", &["--kubeconfig", "gone"]).stderr;
    assert!(named.contains("gone") && named.contains("No such file"), "{named}");
    directory.write("broken", "a: [");
    let broken = status(&directory, "b:broken", &[]).stderr;
    assert!(!broken.contains("127.0.0.1"), "{broken}");
}

#[test]
fn cluster_user_and_server_are_chosen_as_with_kubectl() {
    let directory = Scratch::new();
    directory.write("a", kubeconfig("a", "current-context: a"));
    directory.write("b", kubeconfig("b", ""));
    for (arguments, cluster) in [
        (vec!["--cluster", "b"], "b"),
        (vec!["--context", "b"], "b"),
        (vec!["--context", ""], "a"),
        (vec!["--user", "b", "--cluster", ""], "a"),
        (vec!["--server", "http://127.0.0.1:9/elsewhere"], "elsewhere"),
        (vec!["--as", "jane", "--as-group", "ops", "--as-uid", "1", "--request-timeout", "5s"], "a"),
        (vec!["-n", ""], "a"),
    ] {
        let said = status(&directory, "a:b", &arguments).stderr;
        assert!(said.contains(&format!("127.0.0.1:9/{cluster} ")), "{arguments:?}: {said}");
    }
    let no_context = status(&directory, "b", &["--cluster", "b", "--user", "b"]).stderr;
    assert!(no_context.contains("127.0.0.1:9/b "), "{no_context}");
    for (arguments, expected) in [
        (["--user", "c"], "no user \"c\""),
        (["--cluster", "c"], "no cluster \"c\""),
        (["--context", "c"], "no context \"c\""),
    ] {
        let said = status(&directory, "a:b", &arguments).stderr;
        assert!(said.contains(expected) && !said.contains("127.0.0.1"), "{arguments:?}: {said}");
    }
}

/// What somebody who listens for one connection is asked; he refuses.
fn asked_of(listener: TcpListener) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        stream.write_all(b"HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n").unwrap();
        String::from_utf8(head).unwrap()
    })
}

#[test]
fn p21_a_proxy_is_told_the_name_and_the_password_in_its_url_and_the_terminal_is_not() {
    let directory = Scratch::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://jane:hunter2%40%3A%25@{}", listener.local_addr().unwrap());
    let content = kubeconfig("a", "current-context: a");
    directory.write(
        "config",
        content.replace("cluster: {server", &format!("cluster: {{proxy-url: '{url}', server")),
    );
    let asked = asked_of(listener);
    let said = status(&directory, "config", &[]).stderr;
    let asked = asked.join().unwrap();
    // `jane:hunter2@:%`
    let expected = "proxy-authorization: Basic amFuZTpodW50ZXIyQDol\r\n";
    assert!(asked.starts_with("CONNECT 127.0.0.1:9 "), "{asked}");
    assert!(asked.replace("Proxy-Authorization", "proxy-authorization").contains(expected), "{asked}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn a_token_file_may_end_with_its_line() {
    let directory = Scratch::new();
    let by_file = |file: &str| {
        kubeconfig("a", "current-context: a").replace("token: abc", &format!("tokenFile: {file}"))
    };
    for content in ["abc", "abc\n", "abc\r\n", " abc \n"] {
        directory.write("token", content);
        directory.write("config", by_file("token"));
        let said = status(&directory, "config", &[]).stderr;
        assert!(said.contains("Connection refused"), "{content:?}: {said}");
    }
    directory.write("config", by_file("no-token"));
    let said = status(&directory, "config", &[]).stderr;
    assert!(said.contains("no-token") && said.contains("No such file"), "{said}");
}

#[test]
fn the_operators_namespace_that_is_set_to_nothing_is_the_default_one_and_what_no_namespace_is_called_is_refused()
 {
    let directory = Scratch::new();
    let ledger = |set: &str, arguments: &[&str]| {
        let environment = [("KUBECONFIG", "config"), ("HOME", "/nowhere"), ("TENIOS_NAMESPACE", set)];
        let arguments: Vec<&str> = ["ledger", "list"].iter().chain(arguments).copied().collect();
        plugin_with(directory.path(), &environment, &arguments, "")
    };
    for (set, arguments, expected) in [
        ("", vec![], "tenios-system"),
        (" phones\n", vec![], "phones"),
        ("phones", vec!["--operator-namespace="], "tenios-system"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = format!("{}/", listener.local_addr().unwrap());
        let content = kubeconfig("a", "current-context: a").replace("127.0.0.1:9/a", &server);
        directory.write("config", content);
        let asked = asked_of(listener);
        ledger(set, &arguments);
        let asked = asked.join().unwrap();
        let path = format!("/apis/tenios.dev/v1alpha1/namespaces/{expected}/ledgerentries");
        assert!(asked.starts_with(&format!("GET {path}")), "{set:?} {arguments:?}: {asked}");
    }
    for name in ["../default", "Phones", "a b"] {
        let said = ledger(name, &[]);
        assert!(said.code == Some(2) && said.stderr.contains("the name of a namespace"), "{}", said.stderr);
    }
}
