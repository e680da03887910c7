//! Starts the cloud on a laptop.

use std::process::ExitCode;

fn main() -> ExitCode {
    local_dev::cli::run()
}
