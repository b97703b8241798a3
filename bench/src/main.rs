//! `landfall-bench PROGRAM`: the references that Landfall is measured against, each the least that
//! a program of its kind must do. `cargo xtask bench` starts them; nobody else needs to.

mod programs;

use std::process::ExitCode;

const USAGE: &str = "\
Usage: landfall-bench <PROGRAM>

Programs:
  hs      accept a TLS connection, write one byte, close; prints its port first";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["hs"] => programs::hs::run(),
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
