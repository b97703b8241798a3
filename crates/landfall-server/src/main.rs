//! The `landfall` executable.

use std::process::ExitCode;

fn main() -> ExitCode {
    landfall_server::command::main()
}
