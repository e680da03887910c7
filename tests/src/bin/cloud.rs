//! `local-dev` under a name that Cargo hands to the tests of this package (`CARGO_BIN_EXE_cloud`).

use std::process::ExitCode;

fn main() -> ExitCode {
    local_dev::cli::run()
}
