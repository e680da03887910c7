//! What the pages and comments of this repository name exists, and the layering that ARCHITECTURE.md describes holds.
//!
//! Reads files and runs nothing. Each check is a function of texts, shown to fail beside its definition; here they are
//! applied to the repository.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod commands;
mod layers;
mod pages;
mod references;
mod repository;
mod sources;

use repository::Repository;

/// Fails with one line for each violation.
fn nothing_of(violations: &[String]) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn every_path_test_and_link_a_page_names_exists() {
    let repository = Repository::read();
    let pages = repository.pages();
    nothing_of(&pages.flat_map(|(path, text)| pages::violations(&repository, path, text)).collect::<Vec<_>>());
}

#[test]
fn every_rule_says_where_it_is_enforced_and_what_proves_it() {
    let repository = Repository::read();
    nothing_of(&pages::unproven_rules(repository.text("ARCHITECTURE.md").unwrap()));
}

#[test]
fn every_command_a_page_names_can_be_run() {
    let repository = Repository::read();
    let pages = repository.pages();
    nothing_of(&pages.flat_map(|(path, text)| commands::violations(&repository, path, text)).collect::<Vec<_>>());
}

#[test]
fn every_rule_and_path_a_comment_names_exists() {
    let repository = Repository::read();
    let files = repository.files();
    nothing_of(&files.flat_map(|(path, text)| references::violations(&repository, path, text)).collect::<Vec<_>>());
}

#[test]
fn every_function_is_in_the_table_and_in_the_template() {
    nothing_of(&layers::unlisted_functions(&Repository::read()));
}

#[test]
fn no_function_depends_on_another_and_shared_on_none_of_them_and_the_emulator_on_nothing_of_this_product() {
    nothing_of(&layers::forbidden_dependencies(&Repository::read()));
}

#[test]
fn every_rust_file_says_what_it_is_for() {
    nothing_of(&sources::without_a_purpose(&Repository::read()));
}

#[test]
fn only_the_configuration_reads_the_environment() {
    nothing_of(&sources::readers_of_the_environment(&Repository::read()));
}

#[test]
fn no_name_has_a_word_that_says_nothing() {
    nothing_of(&sources::empty_names(&Repository::read()));
}

#[test]
fn every_doc_comment_names_its_subject() {
    nothing_of(&sources::doc_comments_without_a_subject(&Repository::read()));
}
