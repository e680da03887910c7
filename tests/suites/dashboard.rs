//! The suites of `tests/dashboard`: the generated contract as compilers and parsers read it, and the dashboard in Chromium,
//! under Node's test runner. They build the dashboard first, which `local-dev` then serves at `/`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{env, path::Path};

use tests::node::{self, Node};

const SUITES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/dashboard");
const WITHOUT_BROWSER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/dashboard/node");
const IN_BROWSER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/dashboard/suites");
const DASHBOARD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../local-dev/dashboard");

/// What the suites share with those of the official client.
const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e");

/// The first version that the dashboard's build takes.
const OLDEST_NODE: (u32, u32) = (20, 19);

/// How the browser is called on the systems it is a package of.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

fn prepared() -> Result<Node, String> {
    let node = Node::find(OLDEST_NODE)?;
    for folder in [SHARED, SUITES, DASHBOARD] {
        node::install(folder)?;
    }
    Ok(node)
}

#[test]
fn the_contract_compiles_and_the_table_keeps_its_rules() {
    match prepared() {
        Ok(node) => node.test(WITHOUT_BROWSER, &[], &[("CLOUD_BIN", env!("CARGO_BIN_EXE_cloud"))]),
        Err(reason) => node::skip("The tests of contract and table under Node", &reason),
    }
}

#[test]
fn the_dashboard_follows_the_events_in_a_browser() {
    let (node, browser) = match prepared().and_then(|node| browser().map(|browser| (node, browser))) {
        Ok(found) => found,
        Err(reason) => return node::skip("The dashboard's tests in a browser", &reason),
    };
    let (built, said) = node::npm(DASHBOARD, &["run", "build"]).expect("npm was found a moment ago");
    assert!(built, "the dashboard cannot be built:\n{said}");
    // One browser after the other: two on a small machine make each other late.
    let variables = [("CLOUD_BIN", env!("CARGO_BIN_EXE_cloud")), ("CHROMIUM", &*browser)];
    node.test(IN_BROWSER, &["--test-concurrency=1"], &variables);
}

/// `CHROMIUM`, or what is on the path.
fn browser() -> Result<String, String> {
    if let Some(given) = env::var("CHROMIUM").ok().filter(|given| !given.is_empty()) {
        return Ok(given);
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let places = env::split_paths(&path).flat_map(|folder| BROWSERS.map(|name| folder.join(name)));
    let found = places.into_iter().find(|place| Path::new(place).is_file());
    found.map(|place| place.display().to_string()).ok_or_else(|| "no Chromium on the path, nor in CHROMIUM".to_owned())
}
