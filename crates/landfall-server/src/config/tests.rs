//! Precedence, defaults and errors of the configuration.

use super::*;

/// A folder with a certificate and a key, and the start of a file that names them.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        for name in ["chain.pem", "key.pem"] {
            std::fs::write(folder.path().join(name), "PEM").expect("written");
        }
        Folder(folder)
    }

    fn certificate(&self) -> String {
        let path = self.0.path().display();
        format!("{path}/chain.pem:{path}/key.pem")
    }

    fn load(
        &self,
        file: &str,
        environment: &[(&str, &str)],
        flags: Flags,
    ) -> Result<Settings, ConfigError> {
        let path = self.0.path().join("landfall.toml");
        std::fs::write(&path, file).expect("written");
        let flags = Flags {
            config: Some(path),
            certificate: vec![self.certificate()],
            ..flags
        };
        load(&flags, &|name| {
            let found = environment.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }
}

#[test]
fn the_defaults_are_those_of_the_reference() {
    let settings = Folder::new()
        .load("", &[], Flags::default())
        .expect("settings");
    assert_eq!(
        settings.https.listen,
        ["[::]:443", "[::]:8883"].map(|address| address.parse().expect("address"))
    );
    assert_eq!(
        settings.database_path,
        std::path::absolute("landfall-data/landfall.db").expect("a path")
    );
    assert_eq!(settings.retry_after, Duration::from_secs(2));
    assert_eq!(settings.limits.body_bytes, 98_304);
    assert_eq!(settings.retention.operations, Duration::from_secs(86_400));
    let year = Duration::from_secs(365 * 86_400);
    assert!(
        settings.retention.audit > year,
        "a yearly audit finds all of its year"
    );
    assert!(!settings.log.json);
    let page = reference();
    for field in &field::FIELDS {
        assert!(
            page.contains(&format!("| `{}` |", field.name)),
            "{}",
            field.name
        );
        assert!(page.contains(&field.variable()), "{}", field.name);
    }
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let folder = Folder::new();
    let file = "[device]\nretry_after_seconds = 3\n[log]\nfilter = \"warn\"\n[admin]\nlisten = \"127.0.0.1:1\"\n";
    let environment = [
        ("LANDFALL_LOG_FILTER", "debug"),
        ("LANDFALL_ADMIN_LISTEN", "127.0.0.1:2"),
    ];
    let flags = Flags {
        admin_listen: Some("127.0.0.1:3".into()),
        ..Flags::default()
    };
    let settings = folder.load(file, &environment, flags).expect("settings");
    assert_eq!(settings.retry_after, Duration::from_secs(3));
    assert_eq!(settings.log.filter, "debug");
    assert_eq!(settings.admin_listen.port(), 3);
}

#[test]
fn lists_come_from_file_environment_and_flags() {
    let folder = Folder::new();
    let listen = |settings: Settings| {
        settings
            .https
            .listen
            .iter()
            .map(SocketAddr::port)
            .collect::<Vec<_>>()
    };
    let file = "[https]\nlisten = [\"127.0.0.1:1\", \"[::1]:2\"]\n";
    let from_file = folder.load(file, &[], Flags::default()).expect("settings");
    assert_eq!(listen(from_file), [1, 2]);
    let environment = [("LANDFALL_HTTPS_LISTEN", "127.0.0.1:3, 127.0.0.1:4")];
    let from_environment = folder
        .load(file, &environment, Flags::default())
        .expect("settings");
    assert_eq!(listen(from_environment), [3, 4]);

    let path = folder.0.path().display();
    let table =
        format!("[[https.certificates]]\nchain = \"{path}/chain.pem\"\nkey = \"{path}/key.pem\"\n");
    let config = folder.0.path().join("other.toml");
    std::fs::write(&config, table).expect("written");
    let flags = Flags {
        config: Some(config),
        ..Flags::default()
    };
    let settings = load(&flags, &|_| None).expect("settings");
    assert_eq!(
        settings.https.certificates[0].key,
        folder.0.path().join("key.pem")
    );
}

#[test]
fn first_services_are_read_and_checked() {
    let folder = Folder::new();
    let service = |lines: &str| {
        let file =
            format!("[[services]]\nname = \"factory\"\nhost_name = \"dps.example.net\"\n{lines}\n");
        folder.load(&file, &[], Flags::default())
    };
    let settings = service("hub_host_name = \"hub.example.net\"").expect("settings");
    assert_eq!(settings.services[0].host_name, "dps.example.net");
    assert_eq!(settings.services[0].hub_host_name, "hub.example.net");
    for (lines, place) in [
        ("", "services[0].hub_host_name"),
        ("hub_host_name = \"hub\"", "services[0].hub_host_name"),
        ("hub_host_name = 7", "services[0].hub_host_name"),
        ("hub_host_name = \"h.a:443\"", "services[0].hub_host_name"),
        ("hub_host = \"h.a\"", "services[0].hub_host"),
        (
            "hub_host_name = \"h.a\"\n[[services]]\nname = \"Factory\"\nhost_name = \"a.b\"\nhub_host_name = \"c.d\"",
            "services[1].name",
        ),
        (
            "hub_host_name = \"h.a\"\n[[services]]\nname = \"other\"\nhost_name = \"a.b\"\nhub_host_name = \"H.A\"",
            "services[1].hub_host_name",
        ),
    ] {
        let error = service(lines).expect_err(lines);
        assert_eq!(error.place, place, "{error}");
        assert!(!error.fix.is_empty());
    }
}

#[test]
fn every_error_names_the_field_its_place_and_the_remedy() {
    let folder = Folder::new();
    let cases = [
        (
            "[https]\nlisten = \"443\"",
            "https.listen (file)",
            "0.0.0.0:443",
        ),
        (
            "[https]\nlisten = []",
            "https.listen (file)",
            "name an address",
        ),
        (
            "[https]\nlisten = true",
            "https.listen (file)",
            "configuration.md",
        ),
        (
            "[https]\nlissten = \"[::]:443\"",
            "https.lissten",
            "'https.listen'",
        ),
        ("datadir = \"x\"", "datadir", "'data_dir'"),
        (
            "[device]\nretry_after_seconds = 9",
            "device.retry_after_seconds (file)",
            "SDK",
        ),
        (
            "[limits]\nbody_bytes = \"big\"",
            "limits.body_bytes (file)",
            "largest",
        ),
        (
            "[limits]\nconnections = 5\nconnections_per_address = 6",
            "limits.connections_per_address (file)",
            "raise limits.connections",
        ),
        (
            "[admin]\nlisten = \"0.0.0.0:80\"",
            "admin.listen (file)",
            "127.0.0.1",
        ),
        (
            "[log]\nformat = \"xml\"",
            "log.format (file)",
            "text or json",
        ),
        ("[log]\nfilter = \"a=b=c\"", "log.filter (file)", "info"),
        ("data_dir = \"\"", "data_dir (file)", "leave the field out"),
        ("[[", "the configuration file", "line"),
    ];
    for (file, place, fix) in cases {
        let error = folder.load(file, &[], Flags::default()).expect_err(file);
        assert_eq!(error.place, place, "{error}");
        assert!(error.fix.contains(fix), "{place}: {}", error.fix);
    }
    let environment = [("LANDFALL_DEVICE_RETRY_AFTER_SECONDS", "0")];
    let error = folder
        .load("", &environment, Flags::default())
        .expect_err("refused");
    assert!(
        error.place.contains("environment LANDFALL_DEVICE"),
        "{error}"
    );
}

#[test]
fn missing_certificates_and_files_are_named() {
    let error = load(&Flags::default(), &|_| None).expect_err("refused");
    assert_eq!(error.place, "https.certificates");
    let flags = Flags {
        certificate: vec!["/nowhere/chain.pem:/nowhere/key.pem".into()],
        ..Flags::default()
    };
    let error = load(&flags, &|_| None).expect_err("refused");
    assert_eq!(error.place, "https.certificates (flag)");
    assert!(error.what.contains("/nowhere/chain.pem"), "{error}");
    let flags = Flags {
        config: Some("/nowhere/landfall.toml".into()),
        ..Flags::default()
    };
    assert!(load(&flags, &|_| None).is_err());
}

#[test]
fn the_example_of_the_reference_is_a_configuration() {
    let folder = Folder::new();
    let page = reference();
    let example = page
        .split("```toml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let settings = folder.load(example.expect("example"), &[], Flags::default());
    let settings = settings.expect("settings");
    assert_eq!(settings.services[0].name, "factory");
    assert_eq!(
        settings.database_path,
        PathBuf::from("/var/lib/landfall/landfall.db")
    );
}

#[test]
fn paths_below_a_relative_data_folder_are_absolute() {
    let flags = Flags {
        data: Some("data".into()),
        certificate: vec!["Cargo.toml:Cargo.toml".into()],
        ..Flags::default()
    };
    let settings = load(&flags, &|_| None).expect("settings");
    let folder = std::path::absolute("data").expect("a path");
    assert_eq!(settings.sealing_key_file, folder.join("sealing.key"));
    assert_eq!(settings.control_token_file, folder.join("control.token"));
    assert_eq!(settings.database_path, folder.join("landfall.db"));
}

#[test]
fn a_postgresql_database_is_named_by_a_url_and_its_password_by_a_file() {
    let folder = Folder::new();
    let password = folder.0.path().join("password");
    std::fs::write(&password, "hush\n").expect("written");
    let file = format!(
        "[database]\nurl = \"postgresql://landfall@db.example/landfall\"\npassword_file = \"{}\"",
        password.display()
    );
    let settings = folder.load(&file, &[], Flags::default()).expect("settings");
    let url = settings.postgres.as_ref().expect("a database");
    assert!(url.has_password());
    assert!(!format!("{settings:?}").contains("hush"));
    assert!(
        folder
            .load("", &[], Flags::default())
            .expect("settings")
            .postgres
            .is_none()
    );
}

#[test]
fn a_password_on_the_command_line_is_refused_and_not_repeated() {
    let flags = |url: &str| Flags {
        database_url: Some(url.to_owned()),
        ..Flags::default()
    };
    let folder = Folder::new();
    for (url, what) in [
        ("postgresql://u:hush@db.example/d", "list of processes"),
        ("postgresql://u:hu@sh@db.example/d", "name of its host"),
        ("postgresql://u:hush@db.example", "no database"),
    ] {
        let error = folder.load("", &[], flags(url)).expect_err("refused");
        assert!(error.what.contains(what), "{error}");
        assert!(!format!("{error:?}").contains("sh@"), "{error}");
        assert!(!format!("{error:?}").contains("hush"), "{error}");
    }
    let by_environment = [("LANDFALL_DATABASE_URL", "postgresql://u:hush@db.example/d")];
    assert!(folder.load("", &by_environment, Flags::default()).is_ok());
    let error = folder
        .load(
            "[database]\nurl = \"postgresql://u@h/d\"\npassword_file = \"gone\"",
            &[],
            Flags::default(),
        )
        .expect_err("refused");
    assert!(error.place.contains("database.password_file"), "{error}");
}
