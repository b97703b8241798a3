//! `landfall-bench PROGRAM`: the references that Landfall is measured against, each the least that
//! a program of its kind must do, and the comparison itself. `cargo xtask bench` starts it; nobody else
//! needs to.

mod compare;
mod programs;

use std::process::ExitCode;

const USAGE: &str = "\
Usage: landfall-bench <PROGRAM>

Programs:
  compare     measures Landfall beside the others; says what it takes when it is given nothing
  hs          a TLS server that says one byte; prints its port first, as all servers here
  hs-client   the same, for clients with certificates
  hello       an HTTP server that says hello, on the engine that Landfall uses
  hello-ours  the same through Landfall's own listener
  store FOLDER COUNT        registrations in the SQLite layer, then the same rows by a bare loop
  store-layer FOLDER COUNT  in the layer alone
  written DATABASE FOLDER COUNT  all that a registration leaves in SQLite, by a bare loop
  store-postgres URL COUNT  the same as store, in the PostgreSQL layer, in a new database
  store-postgres-layer URL COUNT  in the layer alone
  load FILE DATABASE        the lines of a file of enrollments into a table of id and line
  reload FROM DATABASE      the enrollments of a server's database into equal tables
  reads DATA DATABASE COUNT look-ups of enrollments in a stopped server's data, and in such a table";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["compare", rest @ ..] => compare::run(rest),
        ["hs"] => programs::hs::run(false),
        ["hs-client"] => programs::hs::run(true),
        ["hello"] => programs::hello::bare(),
        ["hello-ours"] => programs::hello::ours(),
        ["written", from, folder, count] => programs::written::run(from, folder, count),
        ["store", folder, count] => programs::store::run(folder, count, true),
        ["store-layer", folder, count] => programs::store::run(folder, count, false),
        ["store-postgres", url, count] => programs::store_postgres::run(url, count, true),
        ["store-postgres-layer", url, count] => programs::store_postgres::run(url, count, false),
        ["load", file, database] => programs::plain::load(file, database),
        ["reload", from, database] => programs::plain::reload(from, database),
        ["reads", data, database, count] => programs::reads::run(data, database, count),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
