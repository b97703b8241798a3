//! Where a command finds its server and its credential.

use std::path::Path;

use super::*;

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn folder(https_port: u16) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("folder");
    let dev = serde_json::json!({
        "host": "localhost", "httpsPort": https_port, "idScope": "0ne00000001",
        "serviceConnectionString": format!("HostName=localhost;SharedAccessKeyName=owner;SharedAccessKey={KEY}"),
        "hubConnectionString": format!("HostName=127.0.0.1:9443;SharedAccessKeyName=iothubowner;SharedAccessKey={KEY}"),
        "caFile": "ca.pem",
        "controlPlane": {"url": format!("https://localhost:{https_port}"), "token": "t0ken",
            "subscription": "sub", "resourceGroup": "group", "name": "landfall"},
        "adminUrl": "http://127.0.0.1:9090"});
    std::fs::write(folder.path().join("dev.json"), dev.to_string()).expect("written");
    let key = rcgen::KeyPair::generate().expect("key");
    let authority = rcgen::CertificateParams::new(Vec::new())
        .expect("params")
        .self_signed(&key)
        .expect("authority");
    std::fs::write(folder.path().join("ca.pem"), authority.pem()).expect("written");
    folder
}

fn connect(folder: &Path) -> Connect {
    Connect {
        data: folder.to_owned(),
        ..Connect::default()
    }
}

#[tokio::test]
async fn a_dev_folder_gives_service_hub_and_control_plane() {
    let folder = folder(8443);
    let connect = connect(folder.path());
    let service = connect.service_string().await.expect("service");
    assert_eq!((service.host(), service.port()), ("localhost", Some(8443)));
    let hub = connect.hub_string().await.expect("hub");
    assert_eq!((hub.host(), hub.port()), ("127.0.0.1", Some(9443)));
    let control = connect.control().expect("control");
    assert_eq!(control.resource.service, "landfall");
    assert_eq!(
        control.session.client.endpoint(),
        &Endpoint::new("localhost", 8443)
    );
}

#[tokio::test]
async fn the_flag_wins_over_the_dev_folder() {
    let folder = folder(8443);
    let mut connect = connect(folder.path());
    connect.login = Some(format!(
        "hostname=dps.example.net;sharedaccesskeyname=p;sharedaccesskey={KEY}"
    ));
    let service = connect.service_string().await.expect("service");
    assert_eq!((service.host(), service.port()), ("dps.example.net", None));
}

#[tokio::test]
async fn without_folder_flag_and_environment_the_remedy_is_said() {
    let empty = tempfile::tempdir().expect("folder");
    let failure = connect(empty.path())
        .hub_string()
        .await
        .expect_err("refused");
    assert_eq!(failure.exit, Exit::Usage);
    assert!(failure.what.contains("LANDFALL_HUB_CONNECTION_STRING"));
    assert!(failure.fix.is_some_and(|fix| fix.contains("landfall dev")));
    std::fs::write(empty.path().join("dev.json"), "{").expect("written");
    let broken = connect(empty.path()).server_file().err().expect("refused");
    assert!(broken.what.contains("dev.json"));
}

#[test]
fn a_server_without_dev_folder_is_reached_by_login_and_token() {
    let empty = tempfile::tempdir().expect("folder");
    let mut connect = connect(empty.path());
    assert!(connect.control().is_err());
    let token = empty.path().join("control.token");
    std::fs::write(&token, "t0ken\n").expect("written");
    connect.login = Some(format!(
        "HostName=dps.example.net;SharedAccessKeyName=p;SharedAccessKey={KEY}"
    ));
    connect.control_token = Some(format!("@{}", token.display()));
    connect.service = Some("second".into());
    let authority = folder(443);
    connect.ca = Some(authority.path().join("ca.pem"));
    let control = connect.control().expect("control");
    assert_eq!(control.resource.service, "second");
    assert_eq!(control.session.client.endpoint().host, "dps.example.net");
    let request = own::services(&control.session.authorization, false);
    assert_eq!(request.header("authorization"), Some("Bearer t0ken"));
}

#[tokio::test]
async fn a_server_is_reached_by_name_and_control_token_alone() {
    let folder = folder(8443);
    let mut connect = connect(folder.path());
    connect.server = Some("dps.example.net:9443".into());
    let refused = connect.control().err().expect("no token");
    assert!(refused.what.contains("control token"), "{}", refused.what);
    connect.control_token = Some("0ther".into());
    let control = connect.control().expect("control");
    assert_eq!(
        control.session.client.endpoint(),
        &Endpoint::new("dps.example.net", 9443)
    );
    let request = own::services(&control.session.authorization, false);
    assert_eq!(request.header("authorization"), Some("Bearer 0ther"));
    assert_eq!(
        control.resource.service, "",
        "the dev server's service is another's"
    );
    connect.server = Some("127.0.0.1:1".into());
    let string = connect.service_string().await.expect_err("nobody is there");
    assert_eq!(
        string.exit,
        Exit::CannotConnect,
        "the dev server is not taken instead"
    );
    connect.server = Some("https://dps.example.net".into());
    assert_eq!(connect.control().err().expect("a URL").exit, Exit::Usage);
}

#[tokio::test]
async fn a_kept_server_is_found_by_its_folder_and_its_token_by_the_file_it_names() {
    let folder = tempfile::tempdir().expect("folder");
    let token = folder.path().join("control.token");
    let server = serde_json::json!({
        "pid": 1, "httpsPort": 1, "addresses": ["127.0.0.1:1"], "adminUrl": "http://127.0.0.1:9080",
        "caFile": null, "certificatesSha256": ["AB"],
        "controlPlane": {"url": "https://127.0.0.1:1", "tokenFile": token,
            "subscription": "sub", "resourceGroup": "group"}});
    std::fs::write(folder.path().join("server.json"), server.to_string()).expect("written");
    let connect = connect(folder.path());
    let failure = connect.control().err().expect("no token");
    assert!(failure.what.contains("control.token"), "{}", failure.what);
    std::fs::write(&token, "t0ken\n").expect("written");
    let control = connect.control().expect("control");
    assert_eq!(
        control.session.client.endpoint(),
        &Endpoint::new("127.0.0.1", 1).through(&["127.0.0.1:1".parse().expect("an address")])
    );
    let request = own::services(&control.session.authorization, false);
    assert_eq!(request.header("authorization"), Some("Bearer t0ken"));
    // Its file holds no connection string: the server is asked, and nobody is there.
    let failure = connect.service_string().await.expect_err("nobody");
    assert_eq!(failure.exit, Exit::CannotConnect);
}

#[test]
fn a_key_given_wrongly_is_not_repeated() {
    let failure = connection_string("HostName=a;SharedAccessKeyName=b;SharedAccessKey=c2VjcmV0")
        .expect_err("refused");
    assert!(!failure.render(false).contains("c2VjcmV0"));
    assert!(!failure.render(true).contains("c2VjcmV0"));
}

#[tokio::test]
async fn a_broken_file_of_the_server_is_named_without_its_text() {
    let folder = tempfile::tempdir().expect("folder");
    let broken = format!("{{\n\"httpsPort\": \"{KEY}\"}}");
    std::fs::write(folder.path().join("dev.json"), broken).expect("written");
    let failure = connect(folder.path())
        .service_string()
        .await
        .expect_err("no server's file");
    assert!(
        failure.what.ends_with("line 2, column 59"),
        "{}",
        failure.what
    );
    assert!(!failure.what.contains(&KEY[..8]), "{}", failure.what);
}
