//! Holds what the functions did while the suites ran (`RECORD_CALLS=<folder> cargo test -p tests`) against what the
//! template grants: every permission has to have been needed. Says of each which test fails without it, since every
//! test of the behaviour suite fails that is refused anything.

use std::{collections::BTreeMap, env, error::Error, fs, process::ExitCode};

use emulator::{Call, needs, template::Template};
use tests::Recording;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let folder = env::args().nth(1).ok_or("usage: permissions <folder of RECORD_CALLS>")?;
    let mut tests: BTreeMap<Call, String> = BTreeMap::new();
    for file in fs::read_dir(folder)? {
        let Recording { test, calls } = serde_json::from_slice(&fs::read(file?.path())?)?;
        tests.extend(calls.into_iter().map(|call| (call, test.clone())));
    }
    let calls: Vec<Call> = tests.keys().cloned().collect();
    let needs = needs(&Template::parse(local_dev::TEMPLATE)?, &calls)?;
    println!("{} permissions, {} distinct calls recorded", needs.len(), calls.len());
    let mut needless = 0;
    for (permission, call) in &needs {
        match call.and_then(|call| tests.get(call)) {
            Some(test) => println!("{permission}: without it {test} fails"),
            None => {
                needless += 1;
                println!("{permission}: granted, but never needed");
            }
        }
    }
    Ok(if needless == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
