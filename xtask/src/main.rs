//! Developer tasks: `cargo xtask ci`, `cargo xtask test`, `cargo xtask crash`, `cargo xtask
//! soak`, `cargo xtask tidy`, `cargo xtask package`, `cargo xtask bench`.
//!
//! Each task lives in a module of its own; this file only picks one and turns its failure into an
//! exit code.

mod bench;
mod ci;
mod clients;
mod crash;
mod machine;
mod package;
mod postgres;
mod soak;
mod step;
mod test;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask <TASK>

Tasks:
  ci      what continuous integration runs: format, lints, documentation, dependencies,
          `package`, tidy, `bench --short`, a minute of `crash`, then `test`
  test    every test: the workspace, its doc tests, and the contract tests, which drive
          unmodified clients against the real binary; installs what they need
          test --only NAME    only the contract tests whose name holds NAME
  crash   kill real servers at 1000 moments under load, and look whether they kept what they
          acknowledged
          crash --points N --seconds S --lanes N --seed N --binary FILE    another number, at
          most so long, so many lanes at once, the moments of an earlier run, another binary
          crash --engine sqlite|postgres|both    one engine instead of both, lane by lane
          crash --postgresql 15|18    the oldest PostgreSQL or the newest, which is installed
          crash --nodes N     so many servers on each PostgreSQL database: one is killed,
          another is asked
  soak    1000 devices provision over MQTT, come and go, send, report and are called for ten
          minutes, while the server is killed five times; then all that was acknowledged is
          asked for, and memory must be flat
          soak --devices N --seconds S --kills N --seed N --binary FILE
  tidy    the guard of the architecture
  package the static release binary, a tarball, a Debian package and what an image is made of,
          in target/package
  bench   Landfall beside the programs that it is measured against; writes
          docs/operating/performance.md. Takes some minutes; installs nginx and PostgreSQL
          bench --rows 1,4    only these rows, and no page
          bench --rounds N, --seconds S    how often, and how long each
          bench --enrollments N    in place of a million, which take 8 GB of disk for a while
          bench --short       a few rows of the release build, against widened bounds

Example: cargo xtask test --only symmetric_key";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["ci"] => ci::run(),
        ["test"] => test::run(),
        ["test", "--only", name] => test::run_contract_only(name),
        ["crash", rest @ ..] => crash::run(rest),
        ["soak", rest @ ..] => soak::run(rest),
        ["tidy"] => tidy::run(),
        ["package"] => package::run(),
        ["bench", "--short"] => bench::short(),
        ["bench", words @ ..] => bench::run(words),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
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
