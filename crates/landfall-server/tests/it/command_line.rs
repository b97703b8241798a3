//! Every client command against a `landfall dev` of its own.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use landfall_server::client::tls::{Trust, settings};
use landfall_server::client::{Client, Endpoint};
use landfall_wire::client::registering::{Next, Registering};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::Value as Json;
use tempfile::TempDir;

/// A dev server in a folder of its own; ends with the test.
struct Dev {
    folder: TempDir,
    child: Child,
}

fn serve(folder: &TempDir, port: &str) -> Child {
    let mut child = Command::new(env!("CARGO_BIN_EXE_landfall"))
        .args(["dev", "--https-port", port, "--admin-port", "0", "--data"])
        .arg(folder.path().join("data"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let out = BufReader::new(child.stdout.take().expect("stdout"));
    let ready = out
        .lines()
        .map_while(Result::ok)
        .any(|line| line.starts_with("Stop with"));
    assert!(ready, "the server ended before it was ready");
    child
}

impl Dev {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let free = TcpListener::bind("127.0.0.1:0").expect("bind");
        let port = free.local_addr().expect("address").port().to_string();
        drop(free);
        let child = serve(&folder, &port);
        Dev { folder, child }
    }

    /// Ends the server at once and starts it again on the same folder and port.
    fn restart(&mut self) {
        let port = self.port().to_string();
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
        self.child = serve(&self.folder, &port);
    }

    fn port(&self) -> u16 {
        let said = std::fs::read(self.data().join("dev.json")).expect("written when ready");
        let said: Json = serde_json::from_slice(&said).expect("JSON");
        let port = said["httpsPort"].as_u64().expect("a port");
        u16::try_from(port).expect("a port")
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("path").to_owned()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_landfall"))
            .args(arguments)
            .env("LANDFALL_DATA", self.data())
            .env_remove("LANDFALL_CONNECTION_STRING")
            .env_remove("LANDFALL_HUB_CONNECTION_STRING")
            .output()
            .expect("run")
    }

    /// What a command that ends well prints.
    fn says(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).expect("text")
    }

    fn json(&self, arguments: &[&str]) -> Json {
        let text = self.says(&[arguments, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {text}"))
    }

    /// What a command that fails prints on stderr, after its exit code was seen.
    fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        errors
    }

    fn dev_file(&self) -> Json {
        let text = std::fs::read(self.data().join("dev.json")).expect("dev.json");
        serde_json::from_slice(&text).expect("json")
    }

    /// Registers a device through the public port; polls without the usual wait.
    async fn register(&self, id: &str, token: &str) -> Result<(String, String), String> {
        let dev = self.dev_file();
        let port = dev["httpsPort"]
            .as_u64()
            .and_then(|port| u16::try_from(port).ok());
        let trust = Trust::File(self.data().join("ca.pem"));
        let mut client = Client::new(
            Endpoint::new("localhost", port.expect("port")),
            settings(&trust, None).expect("settings"),
        );
        let scope = dev["idScope"].as_str().expect("scope");
        let mut session = Registering::new(scope, id, Some(token.to_owned()), "2021-06-01", None);
        loop {
            match session.next() {
                Next::Send(request) => {
                    let reply = client.call(*request).await.expect("reply");
                    session.received(&reply);
                }
                Next::Wait(_) => tokio::task::yield_now().await,
                Next::Done(assigned) => return Ok((assigned.hub, assigned.device_id)),
                Next::Failed(failed) => return Err(failed.tracking_id.unwrap_or_default()),
            }
        }
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text<'a>(value: &'a Json, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Json::as_str)
        .unwrap_or_default()
}

#[test]
fn an_enrollment_is_created_changed_and_deleted() {
    let dev = Dev::start();
    let created = dev.json(&[
        "enrollment",
        "create",
        "--eid",
        "dev-1",
        "--tags",
        r#"{"environment":"test"}"#,
        "--edge-enabled",
        "--device-id",
        "first",
    ]);
    assert_eq!(text(&created, "/registrationId"), "dev-1");
    assert_eq!(created.pointer("/attestation/symmetricKey"), None);
    let conflict = dev.fails(4, &["enrollment", "create", "dev-1"]);
    assert!(conflict.contains("\nfix: "), "{conflict}");

    let keys = dev.json(&["enrollment", "show", "dev-1", "--keys"]);
    let primary = text(&keys, "/attestation/symmetricKey/primaryKey").to_owned();
    assert_eq!(primary.len(), 88);
    for plain in [
        dev.says(&["enrollment", "show", "dev-1"]),
        dev.says(&["enrollment", "list"]),
        dev.says(&["enrollment", "list", "--json"]),
    ] {
        assert!(
            plain.contains("dev-1") && !plain.contains(&primary),
            "{plain}"
        );
    }

    dev.fails(
        4,
        &[
            "enrollment",
            "update",
            "dev-1",
            "--ps",
            "disabled",
            "--etag",
            "old",
        ],
    );
    dev.says(&[
        "enrollment",
        "update",
        "dev-1",
        "--ps",
        "disabled",
        "--props",
        r#"{"x":1}"#,
    ]);
    let after = dev.json(&["enrollment", "show", "dev-1", "--keys"]);
    assert_eq!(text(&after, "/provisioningStatus"), "disabled");
    assert_eq!(
        text(&after, "/attestation/symmetricKey/primaryKey"),
        primary
    );
    assert_eq!(text(&after, "/initialTwin/tags/environment"), "test");
    assert_eq!(
        after["initialTwin"]["properties"]["desired"]["x"],
        Json::from(1)
    );

    let disabled = "SELECT * FROM enrollments WHERE provisioningStatus = 'disabled'";
    let listed = dev.json(&["enrollment", "list", "--query", disabled, "--top", "5"]);
    assert_eq!(text(&listed, "/0/registrationId"), "dev-1");
    let refused = dev.fails(3, &["enrollment", "show", "nobody", "--json"]);
    let refused: Json = serde_json::from_str(&refused).expect("json");
    assert_eq!(refused["errorCode"], Json::from(404_201));
    dev.says(&["enrollment", "delete", "dev-1"]);
    assert_eq!(dev.json(&["enrollment", "list"]), Json::Array(Vec::new()));
    assert_eq!(dev.says(&["enrollment", "list"]), "No enrollments.\n");
}

#[tokio::test]
async fn a_device_of_a_group_is_followed_from_key_to_twin() {
    let dev = Dev::start();
    dev.says(&["group", "create", "factory", "--tags", r#"{"line":7}"#]);
    let key = dev.says(&[
        "group",
        "compute-device-key",
        "--gid",
        "factory",
        "--registration-id",
        "sn-1",
    ]);
    let group = dev.json(&["group", "show", "factory", "--keys"]);
    let group_key = text(&group, "/attestation/symmetricKey/primaryKey");
    assert_eq!(dev.says(&["key", "derive", group_key, "sn-1"]), key);

    let token = dev.says(&["sas", "--registration-id", "sn-1", "--key", key.trim()]);
    let assigned = dev.register("sn-1", token.trim()).await;
    assert_eq!(assigned, Ok(("127.0.0.1".to_owned(), "sn-1".to_owned())));
    let records = dev.json(&["registration", "list", "--gid", "factory"]);
    assert_eq!(text(&records, "/0/status"), "assigned");
    assert_eq!(
        text(&dev.json(&["registration", "show", "sn-1"]), "/assignedHub"),
        "127.0.0.1"
    );
    let twin = dev.json(&["hub", "twin", "show", "sn-1"]);
    assert_eq!(twin["tags"]["line"], Json::from(7));
    let listed = dev.json(&["hub", "twin", "list"]);
    assert_eq!(
        listed[0]["properties"]["desired"],
        twin["properties"]["desired"]
    );
    let table = dev.says(&["hub", "twin", "list"]);
    assert!(
        table.contains(r#"{"line":7}"#) && !table.contains("$metadata"),
        "{table}"
    );
    let device = dev.says(&["hub", "device", "show", "sn-1", "--json"]);
    assert!(!device.contains(key.trim()), "{device}");
    let device = dev.says(&["hub", "device", "show", "sn-1", "--keys"]);
    assert!(device.contains(key.trim()), "{device}");
    assert!(dev.says(&["hub", "device", "list"]).contains("sn-1"));

    // The article's slip: the group's own key instead of the derived one.
    let wrong = dev.says(&["sas", "--registration-id", "sn-2", "--key", group_key]);
    let tracking_id = dev
        .register("sn-2", wrong.trim())
        .await
        .expect_err("refused");
    for id in [tracking_id.as_str(), "sn-2"] {
        let told = dev.says(&["explain", id]);
        assert!(
            told.contains("Failed check: ") && told.contains("  fix:  "),
            "{told}"
        );
        assert!(!told.contains(group_key), "{told}");
    }
    dev.fails(3, &["explain", "sn-3"]);
    dev.says(&["registration", "delete", "sn-1"]);
    dev.fails(3, &["registration", "show", "sn-1"]);
    dev.says(&["group", "delete", "factory"]);
}

#[test]
fn a_ca_certificate_is_proved_and_named_by_a_group() {
    let dev = Dev::start();
    let authority_key = KeyPair::generate().expect("key");
    let mut params = CertificateParams::new(Vec::new()).expect("params");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(DnType::CommonName, "Factory Root");
    let root = params.self_signed(&authority_key).expect("root").pem();
    let issuer = Issuer::new(params, authority_key);
    let root = dev.file("root.pem", &root);

    assert!(
        dev.says(&["ca", "create", "--name", "factory-ca", "--path", &root])
            .contains("Next")
    );
    dev.fails(
        4,
        &["ca", "create", "--name", "factory-ca", "--path", &root],
    );
    let code = dev.json(&["ca", "generate-verification-code", "factory-ca"]);
    let mut proof = CertificateParams::new(Vec::new()).expect("params");
    let code = text(&code, "/properties/verificationCode");
    proof.distinguished_name.push(DnType::CommonName, code);
    let key = KeyPair::generate().expect("key");
    let proof = proof.signed_by(&key, &issuer).expect("proof").pem();
    let proof = dev.file("proof.pem", &proof);
    dev.fails(1, &["ca", "verify", "factory-ca", "--path", &root]);
    dev.says(&["ca", "verify", "factory-ca", "--path", &proof]);
    let shown = dev.json(&["ca", "show", "factory-ca"]);
    assert_eq!(shown["properties"]["isVerified"], Json::Bool(true));
    assert!(dev.says(&["ca", "list"]).contains("factory-ca"));

    let group = dev.json(&["group", "create", "by-ca", "--root-ca-name", "factory-ca"]);
    assert_eq!(
        text(&group, "/attestation/x509/caReferences/primary"),
        "factory-ca"
    );
    dev.says(&["group", "update", "by-ca", "--ps", "disabled"]);
    let group = dev.json(&["group", "update", "by-ca", "--certificate-path", &root]);
    let slot = "/attestation/x509/signingCertificates/primary/info/subjectName";
    assert_eq!(text(&group, slot), "CN=Factory Root");
    assert_eq!(text(&group, "/provisioningStatus"), "disabled");
    // The same name with its certificate put anew has to prove itself again.
    dev.says(&["ca", "update", "factory-ca", "--path", &root]);
    let shown = dev.json(&["ca", "show", "factory-ca"]);
    assert_eq!(shown["properties"]["isVerified"], Json::Bool(false));
    let stale = [
        "ca",
        "update",
        "factory-ca",
        "--path",
        &root,
        "--etag",
        "c3RhbGU=",
    ];
    dev.fails(4, &stale);
    dev.says(&["ca", "delete", "factory-ca"]);
    dev.fails(3, &["ca", "show", "factory-ca"]);
}

#[test]
fn a_service_whose_address_is_taken_does_not_keep_the_others_down() {
    let mut dev = Dev::start();
    let second = dev.json(&["service", "create", "second"]);
    let third = dev.json(&["service", "create", "third"]);
    let addresses = [
        text(&second, "/hubHostNames/0"),
        text(&third, "/hubHostNames/0"),
    ];
    assert_ne!(
        addresses[0], addresses[1],
        "each pair has an address of its own"
    );
    dev.says(&["enrollment", "create", "dev-1", "--service", "third"]);

    // Both come back at their addresses after a restart.
    dev.restart();
    dev.says(&["enrollment", "list", "--service", "second"]);
    dev.says(&["enrollment", "show", "dev-1", "--service", "third"]);

    dev.child.kill().expect("killed");
    dev.child.wait().expect("ended");
    let _holder = TcpListener::bind((addresses[0], dev.port())).expect("bind");
    dev.restart();
    dev.says(&["enrollment", "show", "dev-1", "--service", "third"]);
    dev.says(&["enrollment", "list"]);
}

#[test]
fn services_are_apart_and_every_way_in_is_tried() {
    let dev = Dev::start();
    dev.says(&["enrollment", "create", "dev-1"]);
    let second = dev.json(&["service", "create", "second", "--keys"]);
    let string = text(&second, "/serviceConnectionString").to_owned();
    assert!(string.starts_with("HostName=127.0.0."), "{string}");
    assert_eq!(
        dev.says(&["connection-string", "--service", "second"])
            .trim(),
        string
    );
    assert_eq!(
        dev.says(&["enrollment", "list", "--service", "second"]),
        "No enrollments.\n"
    );
    assert_eq!(
        dev.says(&["--login", &string, "enrollment", "list"]),
        "No enrollments.\n"
    );
    let listed = dev.says(&["service", "list", "--json"]);
    assert!(
        listed.contains("second") && !listed.contains("SharedAccessKey"),
        "{listed}"
    );
    let shown = dev.says(&["service", "show", "second"]);
    assert!(shown.contains(text(&second, "/idScope")), "{shown}");
    let hub = text(&second, "/hubHostNames/0");
    let of_hub = dev.says(&["connection-string", "--hub", hub]);
    assert!(of_hub.starts_with(&format!("HostName={hub}:")), "{of_hub}");
    // Linked to another service too, whose first hub it is not.
    dev.says(&["linked-hub", "create", hub, "--service", "dev"]);
    let again = dev.says(&["connection-string", "--hub", hub]);
    assert_eq!(again, of_hub);
    dev.fails(3, &["connection-string", "--hub", "hub.example.net"]);
    dev.fails(3, &["service", "show", "third"]);

    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let port = dev.dev_file()["httpsPort"].to_string();
    let login = |host: &str| format!("HostName={host};SharedAccessKeyName=p;SharedAccessKey={key}");
    let wrong_key = login(&format!("localhost:{port}"));
    let told = dev.fails(5, &["enrollment", "list", "--login", &wrong_key]);
    assert!(!told.contains(key), "{told}");
    let nobody = dev.fails(6, &["enrollment", "list", "--login", &login("localhost:1")]);
    assert!(
        nobody.contains("fix: check that the server runs"),
        "{nobody}"
    );
    let empty = tempfile::tempdir().expect("folder");
    dev.fails(2, &["enrollment", "list", "--data", path(empty.path())]);
    let other = KeyPair::generate().expect("key");
    let other = CertificateParams::new(Vec::new())
        .expect("params")
        .self_signed(&other);
    let other = dev.file("other.pem", &other.expect("CA").pem());
    let unknown = dev.fails(6, &["enrollment", "list", "--ca", &other]);
    assert!(unknown.contains("--ca FILE"), "{unknown}");
}

fn path(path: &Path) -> &str {
    path.to_str().expect("path")
}

#[test]
fn a_server_is_ready_until_it_is_gone() {
    let mut dev = Dev::start();
    let ready = dev.run(&["ready", "--wait", "30"]);
    assert!(ready.status.success(), "{ready:?}");
    assert_eq!(ready.stdout, b"ready\n");

    // Killed, it leaves its dev.json behind; nobody answers where that leads.
    dev.child.kill().expect("killed");
    dev.child.wait().expect("ended");
    let gone = dev.run(&["ready"]);
    assert_eq!(gone.status.code(), Some(6), "{gone:?}");
    let said = String::from_utf8_lossy(&gone.stderr);
    assert!(said.contains("cannot connect to 127.0.0.1:"), "{said}");
}

#[test]
fn output_that_does_not_arrive_is_a_failure_and_a_closed_pipe_is_none() {
    let derive = |out: Stdio| {
        Command::new(env!("CARGO_BIN_EXE_landfall"))
            .args(["key", "derive", "AAECAwQFBgcICQoLDA0ODw==", "dev1"])
            .stdout(out)
            .stderr(Stdio::piped())
            .output()
            .expect("run")
    };
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let lost = derive(full.expect("a disk that is full").into());
    assert_eq!(lost.status.code(), Some(1));
    let said = String::from_utf8(lost.stderr).expect("text");
    assert!(said.contains("cannot write to standard output"), "{said}");

    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let unread = derive(writer.into());
    assert_eq!(unread.status.code(), Some(0));
}
