//! What holds for each Rust file by itself.

use regex_lite::Regex;

use crate::repository::{Repository, place};

/// The one file that may read the variables of the process, among those that run on Lambda.
const CONFIGURATION: &str = "shared/src/config.rs";

/// Words that say nothing about what has them, or that nobody would search for. The list grows as the tree is rid of further ones.
const EMPTY_WORDS: &[&str] = &[
    "util", "utils", "helper", "helpers", "misc", "manager", "stuff", "foo", "bar", "tmp", "mgr", "scissors", "poke",
    "contain", "patience", "bears",
];

/// Modules that are named after nothing but the kind of what is in them.
const EMPTY_MODULES: &[&str] = &["types", "models", "traits", "structs", "enums", "constants", "common"];

/// Beginnings of doc comments that speak of something without naming it.
const BEGINNINGS_WITHOUT_A_SUBJECT: &[&str] =
    &["Of", "That of", "Those of", "Those that", "It", "Its", "They", "Them", "The same", "As it", "One of them"];

/// Rust files that do not begin with `//!`.
pub(crate) fn without_a_purpose(repository: &Repository) -> Vec<String> {
    let silent = repository.rust_files().filter(|(_, text)| !text.starts_with("//! "));
    silent.map(|(path, _)| format!("{path} does not begin with //!")).collect()
}

/// Files of `functions` and `shared` that read the environment beside the configuration. Tests may.
pub(crate) fn readers_of_the_environment(repository: &Repository) -> Vec<String> {
    let read = Regex::new(r"\benv::(vars|vars_os|var|var_os)\b").unwrap();
    let mut found = Vec::new();
    for (path, text) in repository.rust_files() {
        let on_lambda = path.starts_with("functions/") || path.starts_with("shared/src/");
        if !on_lambda || path == CONFIGURATION || is_of_tests(repository, path) {
            continue;
        }
        let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or(text);
        found.extend(read.find_iter(code).map(|it| format!("{} reads the environment", place(path, text, it.start()))));
    }
    found
}

/// Whether a module is declared for tests only, where its parent declares it, or is part of one that is.
fn is_of_tests(repository: &Repository, path: &str) -> bool {
    let Some((folder, module)) = path.trim_end_matches(".rs").rsplit_once('/') else { return false };
    let declaration = format!("#[cfg(test)]\nmod {module};");
    let mut parents = ["mod.rs", "lib.rs"].iter().filter_map(|parent| repository.text(&format!("{folder}/{parent}")));
    parents.any(|text| text.contains(&declaration)) || is_of_tests(repository, folder)
}

/// Names of files, modules, types and functions with a word that says nothing.
pub(crate) fn empty_names(repository: &Repository) -> Vec<String> {
    let definition = Regex::new(r"\b(?:fn|struct|enum|trait|type|const|static|mod) ([A-Za-z_]\w*)").unwrap();
    let mut found = Vec::new();
    // Those of this test are left out: its examples have such names.
    for (path, text) in repository.files().filter(|(path, _)| path.ends_with(".rs")) {
        let module = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".rs");
        if EMPTY_MODULES.contains(&module) || path.trim_end_matches(".rs").split('/').any(is_empty) {
            found.push(format!("{path} has a word that says nothing"));
        }
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let names = code.flat_map(|line| definition.captures_iter(line).map(|captures| captures[1].to_owned()));
        found.extend(
            names.filter(|name| is_empty(name)).map(|name| format!("{path}: {name} has a word that says nothing")),
        );
    }
    found
}

/// Doc comments that begin with a word that stands for something outside of them. Only a comment's first line counts.
pub(crate) fn doc_comments_without_a_subject(repository: &Repository) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in repository.rust_files() {
        let mut is_within = false;
        for (line, number) in text.lines().zip(1..) {
            let comment = line.trim_start().strip_prefix("/// ");
            if let Some(comment) = comment.filter(|comment| !is_within && lacks_a_subject(comment)) {
                found.push(format!("{path}:{number} does not name what it is about: {comment}"));
            }
            is_within = line.trim_start().starts_with("///");
        }
    }
    found
}

fn lacks_a_subject(comment: &str) -> bool {
    let mut rests = BEGINNINGS_WITHOUT_A_SUBJECT.iter().filter_map(|beginning| comment.strip_prefix(beginning));
    rests.any(|rest| !rest.starts_with(char::is_alphanumeric))
}

fn is_empty(name: &str) -> bool {
    words(name).iter().any(|word| EMPTY_WORDS.contains(&word.as_str()))
}

/// The words of a name, in `snake_case`, `CamelCase` or `kebab-case`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_small = false;
    for letter in name.chars() {
        if !letter.is_alphanumeric() || (letter.is_uppercase() && after_small) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| letter.is_alphanumeric()) {
            word.extend(letter.to_lowercase());
        }
        after_small = letter.is_lowercase();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_purpose_is_found() {
        let repository = Repository::of(&[("a.rs", "//! Adds.\n"), ("b.rs", "use a;\n")]);
        assert_eq!(without_a_purpose(&repository), ["b.rs does not begin with //!"]);
    }

    #[test]
    fn a_second_reader_of_the_environment_is_found() {
        let read = "//! x\nfn a() { std::env::var(\"A\"); }\n";
        let repository = Repository::of(&[
            (CONFIGURATION, read),
            ("shared/src/aws.rs", read),
            ("shared/src/error.rs", "//! x\n\n#[cfg(test)]\nmod tests {\n    std::env::var(\"A\");\n}\n"),
            ("functions/api/src/lib.rs", "//! x\n#[cfg(test)]\nmod simulation;\n"),
            ("functions/api/src/simulation.rs", read),
            ("functions/api/src/simulation/rooms.rs", read),
            ("local-dev/src/cli.rs", read),
        ]);
        assert_eq!(readers_of_the_environment(&repository), ["shared/src/aws.rs:2 reads the environment"]);
    }

    #[test]
    fn a_word_that_says_nothing_is_found_in_every_kind_of_name() {
        let found = |path: &str, text: &str| empty_names(&Repository::of(&[(path, text)])).len();
        assert_eq!(found("a/store.rs", "struct UserStore; fn barrier() {}\n// mod helpers\n"), 0);
        assert_eq!(found("a/utils/b.rs", ""), 1);
        assert_eq!(found("a/types.rs", ""), 1);
        assert_eq!(found("a.rs", "struct UserManager;"), 1);
        assert_eq!(found("a.rs", "fn string_utils() {}"), 1);
        assert_eq!(found("a.rs", "mod misc;"), 1);
    }

    #[test]
    fn a_doc_comment_that_does_not_name_its_subject_is_found() {
        let found = |text: &str| doc_comments_without_a_subject(&Repository::of(&[("a.rs", text)]));
        let bad = found("struct Table {\n    /// Its name.\n    name: String,\n}\n");
        assert_eq!(bad, ["a.rs:2 does not name what it is about: Its name."]);
        assert_eq!(found("/// The same, with a token.\n/// It is checked.\nfn a() {}\n/// It.\nfn b() {}\n").len(), 2);
        assert_eq!(found("/// The name of the table.\n/// It is unique.\n///\n/// They differ.\nfn a() {}\n").len(), 0);
        assert_eq!(found("/// Items of a page.\nfn a() {\n    // It is empty.\n}\n").len(), 0);
    }
}
