//! Size, cold start and memory of every function's program, as `cargo lambda build --release` leaves them in
//! `target/lambda`, or `sam build` in `.aws-sam/build`. Each also has to answer its event.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use tests::{Deployment, logical_id};

/// Starts of each function; their median is printed.
const STARTS: usize = 9;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(env::args().nth(1).ok_or("usage: functions <folder, such as target/lambda>")?);
    let program = move |function: &str| program(&folder, function);
    let functions = ["api", "broadcast", "connect", "disconnect", "handshake", "heartbeat", "message", "notify"];
    let sizes = functions.iter().map(|function| Ok((*function, fs::metadata(program(function))?.len())));
    let sizes = sizes.collect::<Result<Vec<_>, std::io::Error>>()?;
    let deployment = Deployment::start(program).await;
    println!("| Function | Program | Init | First event | Memory |\n|---|---|---|---|---|");
    for (function, size) in sizes {
        let mut inits = Vec::new();
        for _ in 0..STARTS {
            inits.push(deployment.init(function).await);
        }
        inits.sort_unstable();
        let invocation = deployment.invoke(function).await;
        let memory = invocation.memory.map_or_else(|| "?".to_owned(), |bytes| format!("{:.1} MB", megabytes(bytes)));
        println!(
            "| `{function}` | {:.1} MB | {:.1} ms | {:.1} ms | {memory} |",
            megabytes(size),
            milliseconds(inits[STARTS / 2]),
            milliseconds(invocation.duration),
        );
    }
    deployment.stop().await;
    Ok(())
}

/// Cargo lambda names the folder of a function after its package, SAM after its resource.
fn program(folder: &Path, function: &str) -> PathBuf {
    let of = |name: &str| folder.join(name).join("bootstrap");
    if of(function).exists() { of(function) } else { of(&logical_id(function)) }
}

#[allow(clippy::cast_precision_loss, reason = "for people to read")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
