//! The suites of `tests/e2e`: the program as the official `socket.io-client` meets it, under Node's test runner.
//! `DYNAMODB_ENDPOINT` makes the program use that database instead of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use tests::node::{self, Node};

const SUITES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e");

/// The first version with a test runner that has all the suites use.
const OLDEST_NODE: (u32, u32) = (18, 19);

#[test]
fn the_official_client_is_served_as_promised() {
    match Node::find(OLDEST_NODE).and_then(|node| node::install(SUITES).map(|()| node)) {
        Ok(node) => node.test(SUITES, &[], &[("CLOUD_BIN", env!("CARGO_BIN_EXE_cloud"))]),
        Err(reason) => node::skip("The official client tests", &reason),
    }
}
