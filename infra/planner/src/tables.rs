//! The tables of `infra/README.md` are what the commands say: `REWRITE=1 cargo test --workspace --lib tables` writes them anew.

use std::{fs, path::PathBuf};

use crate::{capacity::Crowd, cost::Load};

/// Sockets, and changes a month, of the columns of the bill.
const LOADS: [(u32, f64); 4] = [(1_000, 100_000.0), (10_000, 1e6), (100_000, 1e7), (1_000_000, 1e8)];

/// Sockets of the columns of the simulation.
const CROWDS: [u32; 3] = [1_000, 100_000, 1_000_000];

fn row(cells: impl IntoIterator<Item = String>) -> String {
    format!("| {} |\n", cells.into_iter().collect::<Vec<_>>().join(" | "))
}

fn table(head: Vec<String>, rows: Vec<Vec<String>>) -> String {
    let rule = format!("|{}\n", "---|".repeat(head.len()));
    std::iter::once(row(head)).chain([rule]).chain(rows.into_iter().map(row)).collect()
}

fn cost() -> String {
    let bill = |(connections, mutations): (u32, f64), renewing| {
        Load::example(f64::from(connections), mutations, renewing).bill().unwrap()
    };
    let names: Vec<_> = bill(LOADS[0], 0.0).rows().into_iter().map(|(what, _)| what).collect();
    let columns: Vec<_> = LOADS.iter().map(|load| bill(*load, 0.0).rows()).collect();
    let mut rows = Vec::new();
    for (at, what) in names.into_iter().enumerate() {
        rows.push(std::iter::once(what).chain(columns.iter().map(|column| column[at].1.clone())).collect());
    }
    let renewed = LOADS.iter().map(|load| bill(*load, 100.0).rows().pop().unwrap().1);
    rows.push(std::iter::once("**together, where every token is renewed**".to_owned()).chain(renewed).collect());
    let head = ["USD a month", "1,000 sockets, 100,000 changes", "10,000 and 1 million", "100,000 and 10 million"];
    table(head.into_iter().chain(["1 million and 100 million"]).map(str::to_owned).collect(), rows)
}

fn capacity() -> String {
    let reports: Vec<_> = CROWDS.iter().map(|crowd| Crowd::example(*crowd).simulate().unwrap().rows()).collect();
    let rows = (0..reports[0].len())
        .map(|at| std::iter::once(reports[0][at].0.clone()).chain(reports.iter().map(|r| r[at].1.clone())).collect());
    let head = ["Simulated", "1,000 sockets", "100,000 sockets", "1,000,000 sockets"];
    table(head.map(str::to_owned).to_vec(), rows.collect())
}

#[test]
fn the_tables_of_the_readme_are_what_the_commands_say() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let written = fs::read_to_string(&file).unwrap();
    let mut right = written.clone();
    for (name, table) in [("cost", cost()), ("capacity", capacity())] {
        let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->\n"));
        let (before, rest) = right.split_once(&begin).unwrap_or_else(|| panic!("no {begin}"));
        let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("no {end}"));
        right = format!("{before}{begin}{table}{end}{after}");
    }
    if std::env::var_os("REWRITE").is_some() {
        fs::write(&file, &right).unwrap();
        return;
    }
    assert!(written == right, "infra/README.md: REWRITE=1 cargo test --workspace --lib tables writes these:\n{right}");
}
