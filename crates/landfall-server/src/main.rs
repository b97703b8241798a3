//! The `landfall` executable.

use std::process::ExitCode;

/// A registration makes hundreds of short-lived pieces of memory, and an import gives back what it took
/// (docs/decisions/0013-an-allocator.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    landfall_server::command::main()
}
