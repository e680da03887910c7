//! Holds what the functions did while the suites ran (`RECORD_CALLS=<folder> cargo test -p tests`) against what the
//! template grants: every permission has to have been needed.

use std::{env, error::Error, fs, process::ExitCode};

use local_dev::{Call, needless_permissions, permissions_of};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let folder = env::args().nth(1).ok_or("usage: permissions <folder of RECORD_CALLS>")?;
    let mut calls: Vec<Call> = Vec::new();
    for file in fs::read_dir(folder)? {
        calls.extend(serde_json::from_slice::<Vec<Call>>(&fs::read(file?.path())?)?);
    }
    calls.sort();
    calls.dedup();
    let needless = needless_permissions(&calls);
    println!("{} permissions, {} distinct calls recorded", permissions_of().len(), calls.len());
    for permission in &needless {
        println!("granted, but never needed: {permission}");
    }
    Ok(if needless.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
