//! A line every ten seconds.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tests::fuzz::{Budget, Finding};
use tokio::time::interval;

const EVERY: Duration = Duration::from_secs(10);

/// Runs a target and says how far it is.
pub(crate) async fn reporting(
    target: &str,
    budget: Budget,
    run: impl AsyncFnOnce(Arc<Budget>) -> Result<(), Finding>,
) -> Result<(), Finding> {
    let (budget, start) = (Arc::new(budget), Instant::now());
    let say = || {
        let (cases, seconds) = (budget.taken(), start.elapsed().as_secs_f64());
        #[allow(clippy::cast_precision_loss, reason = "a figure for people")]
        let rate = cases as f64 / seconds;
        println!("{target}: {cases} cases in {seconds:.0} s, {rate:.0} per second");
    };
    let report = async {
        let mut ticks = interval(EVERY);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            say();
        }
    };
    let ended = tokio::select! {
        ended = run(Arc::clone(&budget)) => ended,
        () = report => unreachable!("it reports for ever"),
    };
    say();
    ended
}
