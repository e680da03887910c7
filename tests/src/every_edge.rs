//! One behaviour over every edge, each time in a cloud of its own.

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use local_dev::Options;

use crate::{Cloud, Edge};

/// Starts a cloud for every edge, runs the test in it and stops it. A failure says on which edge it was.
pub async fn on_every_edge(test: impl AsyncFn(&Cloud, Edge)) {
    on_every_edge_with(&Options::default(), test).await;
}

/// [`on_every_edge`] in clouds with other options.
pub async fn on_every_edge_with(options: &Options, test: impl AsyncFn(&Cloud, Edge)) {
    for edge in Edge::ALL {
        let whole = async {
            let cloud = Cloud::with(options.clone()).await;
            test(&cloud, edge).await;
            cloud.stop().await;
        };
        naming(edge, whole).await;
    }
}

/// A panic of the test has printed its message and its place by then; the edge comes after them.
async fn naming(edge: Edge, test: impl Future<Output = ()>) {
    let failed = AssertUnwindSafe(test).catch_unwind().await.is_err();
    assert!(!failed, "the test failed on the edge {edge:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    #[should_panic(expected = "the test failed on the edge Gateway")]
    async fn a_failure_names_its_edge() {
        naming(Edge::Gateway, async { panic!("a failure on purpose") }).await;
    }
}
