//! What each flag of `tenios-operator run` takes, and what makes no sense to it. The chart's schema is held
//! against the same table.

/// One flag.
#[derive(Clone, Copy, Default)]
pub struct Row {
    /// With its dashes.
    pub flag: &'static str,
    /// What it may need beside it.
    pub with: &'static [&'static str],
    /// Taken as it is, by the chart, too.
    pub good: &'static [&'static str],
    /// Taken, and perhaps too loose for the chart.
    pub loose: &'static [&'static str],
    /// Refused by both.
    pub bad: &'static [&'static str],
}

const DURATION: Row = Row {
    flag: "",
    with: &[],
    good: &["20s", "20000ms", "0m20s"],
    loose: &["20 s", "PT20S", "20 seconds"],
    bad: &[
        "0s",
        "0",
        "-1s",
        "20",
        "20 parsecs",
        "1d",
        "0.1ms",
        "99999999999999999999s",
        "99999999h",
        "s",
        "20s,30s",
    ],
};

const BUDGET: Row = Row {
    flag: "",
    with: &[],
    good: &["1/1s", "100/24h", "2/1h30m"],
    loose: &["5 / 24h", "005/24h"],
    bad: &[
        "0/24h",
        "-1/24h",
        "+1/24h",
        "5",
        "5/0s",
        "5/-1h",
        "5/24",
        "/24h",
        "5/",
        "many",
        "5/24h/1h",
        "1.5/24h",
        "99999999999999999999/24h",
        "5/99999999h",
    ],
};

const FILE: Row = Row { flag: "", with: &[], good: &["/etc/tenios/file"], loose: &["file"], bad: &[] };

const LISTEN: Row = Row {
    flag: "",
    with: &[],
    good: &[":9000", "0.0.0.0:9000", "[::]:9000", "127.0.0.1:9000", "[::1]:9000"],
    loose: &[],
    bad: &[
        "9000",
        "0.0.0.0",
        ":0",
        "0.0.0.0:0",
        "[::]:99999",
        ":99999",
        "::9000",
        "localhost:9000",
        "http://:9000",
        ":",
        ":+1",
    ],
};

const COUNT: Row = Row {
    flag: "",
    with: &[],
    good: &["1", "1024"],
    loose: &[],
    bad: &["0", "-1", "1025", "many", "1.5", "99999999999999999999"],
};

const SWITCH: Row = Row {
    flag: "",
    with: &[],
    good: &["true", "false"],
    loose: &["1", "0", "yes", "no", "on", "off", "TRUE", "False"],
    bad: &["maybe", "2", "truefalse", "-1"],
};

const URL: Row = Row {
    flag: "",
    with: &["--allow-http"],
    good: &[
        "https://tenios.example",
        "https://tenios.example/",
        "https://tenios.example:8443/a/path",
        "http://tenios.example",
        "https://192.0.2.1:65535",
        "https://[2001:db8::1]:8443/",
    ],
    loose: &["HTTPS://Tenios.Example/", "https://köln.example/", "https://tenios.example./"],
    bad: &[
        "tenios.example",
        "https:tenios.example",
        "https:///tenios.example",
        "https://",
        "https://:443",
        "ftp://tenios.example",
        "file:///etc/passwd",
        "https://tenios.example/#fragment",
        "https://tenios.example#",
        "https://tenios.example/?query",
        "https://tenios.example?",
        "https://hunter2@tenios.example/",
        "https://user:hunter2@tenios.example/",
        "https://@tenios.example/",
        "https://tenios.example:99999/",
        "https://tenios.example:0/",
        "https://tenios.example:x/",
        "https://tenios example/",
        "https://tenios.example/a b",
        "https://tenios.example/a\nb",
        "https://tenios.example\\path",
        "https://tenios.\u{200b}example/",
        "https://tenios..example/",
        "\"https://tenios.example/\"",
    ],
};

/// Every flag.
pub fn rows() -> Vec<Row> {
    [provider_and_push(), others(), waits_and_traces()].into_iter().flatten().collect()
}

fn named(flag: &'static str, kind: Row) -> Row {
    Row { flag, ..kind }
}

fn provider_and_push() -> Vec<Row> {
    vec![
        Row {
            bad: &["https://tenios.example/number/order", "https://tenios.example/verification/create/"],
            ..named("--tenios-url", URL)
        },
        named("--tenios-url", URL),
        named("--allow-http", SWITCH),
        named("--tenios-ca-file", FILE),
        named("--access-key-file", FILE),
        named("--provider-timeout", DURATION),
        named("--send-within", DURATION),
        named("--provider-concurrency", COUNT),
        named("--concurrency", COUNT),
        Row { with: &["--allow-http", "--push-key-file=keys"], ..named("--push-base-url", URL) },
        Row {
            with: &["--push-key-file=keys"],
            bad: &[
                "https://tenios.example/push/v1",
                "https://tenios.example/push/v1/",
                "https://tenios.example/prefix/push/v1/more",
                "https://tenios.example/push%2Fv1/",
                "http://tenios.example",
            ],
            good: &["https://tenios.example/push", "https://tenios.example/push/v10"],
            ..named("--push-base-url", URL)
        },
        named("--push-listen", LISTEN),
        Row { with: &["--push-tls-key-file=key"], ..named("--push-tls-cert-file", FILE) },
        Row { with: &["--push-tls-cert-file=cert"], ..named("--push-tls-key-file", FILE) },
        named("--push-key-file", FILE),
        Row { with: &["--allow-http", "--relay-key-file=key"], ..named("--relay-url", URL) },
        Row {
            flag: "--relay-config-map",
            with: &["--relay-key-file=key"],
            good: &["tenios-relay", "a", "a.b-c"],
            bad: &["Relay", "a/b", "a,b", "-a", "a-", "a b", "../relay"],
            ..Row::default()
        },
        named("--relay-key-file", FILE),
        named("--relay-ca-file", FILE),
        named("--relay-timeout", DURATION),
    ]
}

fn others() -> Vec<Row> {
    vec![
        Row {
            flag: "--ledger",
            good: &[
                "kubernetes",
                "s3://numbers",
                "s3://numbers/prod/ledger",
                "gs://numbers/ledger/",
                "az://container/ledger",
                "file:///var/lib/tenios",
            ],
            bad: &[
                "paper",
                "Kubernetes",
                "s3://",
                "s3:///ledger",
                "s3://numbers//ledger",
                "s3://numbers/../ledger",
                "s3://key:secret@numbers/ledger",
                "s3://numbers/ledger?versionId=1",
                "s3://numbers/%2e%2e",
                "https://numbers.s3.amazonaws.com/ledger",
                "file://ledger",
                "file:///",
                "file:///a b",
            ],
            ..Row::default()
        },
        Row {
            flag: "--namespace",
            good: &["tenios-system", "a", "1"],
            bad: &["Tenios", "a,b", "*", "a_b", "-a", "a-", "a.b", "kube system", "ä"],
            ..Row::default()
        },
        Row {
            flag: "--watch-namespace",
            good: &["shop", "shop,other", "5"],
            loose: &["shop,", ",shop", "shop, other", "shop,,other", "shop,\n  other\n", "shop,shop"],
            bad: &[
                "Shop",
                "*",
                "shop,*",
                "shop other",
                "shop;other",
                ",",
                " , ",
                "shop,Other",
                "a.b",
                "shop-",
                "all namespaces",
            ],
            ..Row::default()
        },
        named("--order-budget", BUDGET),
        named("--order-budget-per-namespace", BUDGET),
        named("--cancel-budget", BUDGET),
        named("--leader-election", SWITCH),
        Row { bad: &["999ms", "0s", "-1s", "soon"], ..named("--lease-duration", DURATION) },
        named("--health-listen", LISTEN),
        named("--metrics-listen", LISTEN),
        Row {
            flag: "--log-format",
            good: &["json", "text"],
            bad: &["xml", "JSON", "json,text"],
            ..Row::default()
        },
        Row {
            flag: "--log",
            good: &["info", "off", "info,tenios_operator=debug", "warn,tenios_operator::push=trace"],
            loose: &[
                "warning",
                "WARN",
                "tenios_operator",
                "tenios_operator=debug",
                "info, hyper=trace,",
                "info,kube_client::client=off",
            ],
            bad: &[
                "warnings",
                "verbose",
                "infos",
                "notice",
                "tenios_operator=loud",
                "info,=debug",
                "info=",
                "info debug",
                ",",
                "info;debug",
            ],
            ..Row::default()
        },
    ]
}

fn waits_and_traces() -> Vec<Row> {
    vec![
        Row { with: &["--retry-max=30s"], ..named("--retry-min", DURATION) },
        named("--retry-max", DURATION),
        named("--refusal-retry-min", DURATION),
        Row { with: &["--refusal-retry-min=1s"], ..named("--refusal-retry-max", DURATION) },
        named("--otlp-endpoint", URL),
        Row {
            with: &["--otlp-headers-file=headers"],
            good: &["https://collector.example"],
            bad: &["http://collector.example:4318"],
            ..named("--otlp-endpoint", Row::default())
        },
        Row { with: &["--otlp-endpoint=https://collector.example"], ..named("--otlp-headers-file", FILE) },
        Row { with: &["--provider-timeout=1s", "--send-within=1s"], ..named("--drain-timeout", DURATION) },
        named("--termination-log", FILE),
    ]
}
