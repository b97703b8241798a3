//! Every field of the configuration: its name, kind, default and meaning. Written once, read by the
//! parser in [`super::source`] and by the reference page.

/// What kind of value a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A path of a file or folder.
    Path,
    /// One `address:port`.
    Address,
    /// A list of `address:port`.
    Addresses,
    /// A whole number between two bounds.
    Number(u64, u64),
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// A list of certificate files: tables with `chain` and `key`, or texts `CHAIN:KEY`.
    Certificates,
}

impl Kind {
    fn shown(self) -> String {
        match self {
            Kind::Text => "text".into(),
            Kind::Path => "path".into(),
            Kind::Address => "address:port".into(),
            Kind::Addresses => "list of address:port".into(),
            Kind::Number(least, most) => format!("number, {least} to {most}"),
            Kind::Choice(words) => words
                .iter()
                .map(|word| format!("`{word}`"))
                .collect::<Vec<_>>()
                .join(" or "),
            Kind::Certificates => "list of {chain, key}".into(),
        }
    }
}

/// One field.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name in the file, with the names of its tables.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Its value when it is not given; empty for an empty list.
    pub default: &'static str,
    /// What it does.
    pub meaning: &'static str,
}

impl Field {
    /// The environment variable that sets it.
    pub fn variable(&self) -> String {
        format!(
            "LANDFALL_{}",
            self.name.replace('.', "_").to_ascii_uppercase()
        )
    }
}

/// The members of a table in `services`.
pub const SERVICE_MEMBERS: [(&str, &str); 3] = [
    ("name", "name of the service"),
    ("host_name", "host name that operators and devices call"),
    (
        "hub_host_name",
        "host name of its embedded hub; must hold a dot, since several device SDKs refuse one without",
    ),
];

/// Every field, in the order of the reference.
pub const FIELDS: [Field; 30] = [
    Field {
        name: "data_dir",
        kind: Kind::Path,
        default: "landfall-data",
        meaning: "folder for everything the server keeps; other relative paths below it count from here",
    },
    Field {
        name: "https.listen",
        kind: Kind::Addresses,
        default: "[::]:443,[::]:8883",
        meaning: "addresses of the public listener, each of which takes HTTPS, MQTT over TLS and WebSockets; device SDKs know no other ports than 443 and, for MQTT, 8883",
    },
    Field {
        name: "https.certificates",
        kind: Kind::Certificates,
        default: "",
        meaning: "server certificates as PEM files, the chain leaf first; must name every host name of your services and hubs. Shown is the first that holds the name asked for, of those whose key the client can check. Read again when they change. In the environment: `CHAIN:KEY`, several joined by commas",
    },
    Field {
        name: "https.ca_file",
        kind: Kind::Path,
        default: "",
        meaning: "PEM file of the authority that clients are to trust, when it is not a public one; given out by `/ca.pem` of the admin listener. Read again when it changes",
    },
    Field {
        name: "admin.listen",
        kind: Kind::Address,
        default: "127.0.0.1:9080",
        meaning: "where `/healthz`, `/readyz`, `/metrics` and `/ca.pem` answer, in plain HTTP; a loopback address",
    },
    Field {
        name: "database.path",
        kind: Kind::Path,
        default: "landfall.db",
        meaning: "SQLite database, in `data_dir` unless absolute; used when there is no `database.url`",
    },
    Field {
        name: "database.url",
        kind: Kind::Text,
        default: "",
        meaning: "PostgreSQL database in place of the SQLite file, as `postgresql://USER@HOST:PORT/NAME`; several servers may share it. Several hosts are joined by commas, a Unix socket is `postgresql://USER@/NAME?host=FOLDER`. TLS is asked of every host that is not this machine unless the URL says `sslmode=disable`",
    },
    Field {
        name: "database.password_file",
        kind: Kind::Path,
        default: "",
        meaning: "file of the password for `database.url`, in `data_dir` unless absolute; a line end behind it does not count",
    },
    Field {
        name: "database.ca_file",
        kind: Kind::Path,
        default: "",
        meaning: "PEM file of the authorities that the PostgreSQL server's certificate may come from, in `data_dir` unless absolute; without it, those that this machine trusts",
    },
    Field {
        name: "secrets.sealing_key_file",
        kind: Kind::Path,
        default: "sealing.key",
        meaning: "file of the key that seals keys in the database, in `data_dir` unless absolute; made on first start. Keep a copy apart from the database",
    },
    Field {
        name: "secrets.control_token_file",
        kind: Kind::Path,
        default: "control.token",
        meaning: "file of the token that opens the control plane, in `data_dir` unless absolute; made on first start",
    },
    Field {
        name: "device.retry_after_seconds",
        kind: Kind::Number(1, 5),
        default: "2",
        meaning: "how long devices are asked to wait between two polls. 2 is the least that every device SDK accepts; 1 is for devices known to take it; above 5 a device only waits longer",
    },
    Field {
        name: "retention.operation_hours",
        kind: Kind::Number(1, 8760),
        default: "24",
        meaning: "how long a finished operation can be asked for",
    },
    Field {
        name: "retention.audit_days",
        kind: Kind::Number(1, 36_500),
        default: "400",
        meaning: "how long the audit trail is kept",
    },
    Field {
        name: "retention.trace_hours",
        kind: Kind::Number(1, 8760),
        default: "168",
        meaning: "how long decision traces are kept",
    },
    Field {
        name: "retention.trace_count",
        kind: Kind::Number(0, 10_000_000),
        default: "100000",
        meaning: "how many decision traces are kept at most",
    },
    Field {
        name: "retention.event_hours",
        kind: Kind::Number(1, 8760),
        default: "24",
        meaning: "how long events of embedded hubs are kept: telemetry, and devices that connect and go",
    },
    Field {
        name: "retention.event_count",
        kind: Kind::Number(0, 1_000_000_000),
        default: "1000000",
        meaning: "how many events of each embedded hub are kept at most",
    },
    Field {
        name: "limits.body_bytes",
        kind: Kind::Number(1024, 16_777_216),
        default: "98304",
        meaning: "largest request body of a device",
    },
    Field {
        name: "limits.request_seconds",
        kind: Kind::Number(1, 600),
        default: "30",
        meaning: "how long a request may take to arrive and be answered",
    },
    Field {
        name: "limits.handshake_seconds",
        kind: Kind::Number(1, 120),
        default: "10",
        meaning: "how long a TLS handshake may take",
    },
    Field {
        name: "limits.connections",
        kind: Kind::Number(1, 1_000_000),
        default: "10000",
        meaning: "open connections in all",
    },
    Field {
        name: "limits.connections_per_address",
        kind: Kind::Number(1, 1_000_000),
        default: "1000",
        meaning: "open connections of one address; many devices may share one",
    },
    Field {
        name: "limits.group_search_percent",
        kind: Kind::Number(1, 100),
        default: "50",
        meaning: "how much of one processor may go, in each id scope, into finding the groups of devices that come for the first time with a token, where there are more than 64 groups with keys; past it they read 429 and come back",
    },
    Field {
        name: "log.filter",
        kind: Kind::Text,
        default: "info",
        meaning: "what is logged: a level, or `target=level` joined by commas",
    },
    Field {
        name: "log.format",
        kind: Kind::Choice(&["text", "json"]),
        default: "text",
        meaning: "form of the log lines",
    },
    Field {
        name: "telemetry.otlp_endpoint",
        kind: Kind::Text,
        default: "",
        meaning: "collector of OpenTelemetry that is sent a trace of each request, as `http://HOST:4318` or `https://HOST:PORT`; for programs that are built with the feature `opentelemetry`",
    },
    Field {
        name: "telemetry.otlp_headers_file",
        kind: Kind::Path,
        default: "",
        meaning: "file of the headers that the collector asks for, one `Name: value` a line, in `data_dir` unless absolute",
    },
    Field {
        name: "telemetry.otlp_ca_file",
        kind: Kind::Path,
        default: "",
        meaning: "PEM file of the authorities that the collector's certificate may come from, in `data_dir` unless absolute; without it, those that this machine trusts",
    },
    Field {
        name: "telemetry.service_name",
        kind: Kind::Text,
        default: "landfall",
        meaning: "what this server is called at the collector",
    },
];

/// The field of that name.
pub fn named(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name)
}

const HEAD: &str = "\
# Configuration

<!-- Written by `landfall reference configuration`. Do not edit. -->

`landfall serve --config FILE` reads one TOML file. A flag wins over the environment, the environment
over the file, the file over the default. A name before the dot is a table: `https.listen` is `listen`
below `[https]`. Lists in the environment are joined by commas. A field that is not listed here is
refused. Secrets are named by file, never written into the configuration.

| field | type | default | environment | meaning |
|---|---|---|---|---|
";

/// The reference of the configuration, as Markdown.
pub fn reference() -> String {
    let mut out = HEAD.to_owned();
    for field in &FIELDS {
        let default = match field.default {
            "" => "none".into(),
            text => format!("`{text}`"),
        };
        out.push_str(&format!(
            "| `{}` | {} | {default} | `{}` | {} |\n",
            field.name,
            field.kind.shown(),
            field.variable(),
            field.meaning
        ));
    }
    out.push_str(
        "\n## First services\n\nTables `[[services]]`, in the file only, are made when the database is empty, each with a hub of its own; \
         later ones come by `landfall service create`.\n\n| member | meaning |\n|---|---|\n",
    );
    for (member, meaning) in SERVICE_MEMBERS {
        out.push_str(&format!("| `{member}` | {meaning} |\n"));
    }
    out.push_str(EXAMPLE);
    out
}

const EXAMPLE: &str = "
## Example

```toml
data_dir = \"/var/lib/landfall\"

[https]
listen = [\"0.0.0.0:443\"]

[[https.certificates]]
chain = \"/etc/landfall/server.pem\"
key = \"/etc/landfall/server-key.pem\"

[[services]]
name = \"factory\"
host_name = \"dps.example.net\"
hub_host_name = \"hub.example.net\"
```
";
