//! Databases of PostgreSQL for these tests, each empty, on the servers that the store's tests use too.

#[path = "../../../landfall-store/tests/it/postgres/starting.rs"]
mod starting;

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// One empty database on a server of each version that is there, by URL.
pub fn databases() -> Vec<String> {
    starting::servers().iter().map(|url| made(url)).collect()
}

/// Makes a database on a server, whose URL names another one and the folder of its socket.
fn made(server: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("of_{}_{number}", std::process::id());
    let (_, folder) = server.split_once("host=").expect("a socket's folder");
    let programs = starting::programs().expect("PostgreSQL's programs");
    let done = Command::new(programs.join("createdb"))
        .args(["--username=landfall", "--maintenance-db=postgres", "--host"])
        .args([folder, &name])
        .output()
        .expect("createdb runs");
    assert!(done.status.success(), "{done:?}");
    server.replace("/postgres?", &format!("/{name}?"))
}
