//! What the files refer to: headings of pages, as in `(ARCHITECTURE.md, "The tree")`, and files that comments name.

use regex_lite::Regex;

use crate::{
    pages,
    repository::{Repository, place},
};

/// References of a file that lead nowhere.
pub(crate) fn violations(repository: &Repository, path: &str, text: &str) -> Vec<String> {
    if path.ends_with(".lock") || path.ends_with(".json") {
        return Vec::new();
    }
    let mut found = headings(repository, path, text);
    found.extend(other_papers(path, text));
    if path.ends_with(".rs") {
        found.extend(pages::names(repository, path, &comments(text)));
    }
    found
}

/// `(PAGE.md, "Heading")`; in a comment it may go over the end of a line.
fn headings(repository: &Repository, path: &str, text: &str) -> Vec<String> {
    let reference = Regex::new(r#"([\w/-]*\w\.md)[`)]*,\s+(?:(?://[/!]?|#)\s+)?"([^"]+)""#).unwrap();
    let line_end = Regex::new(r"\s*\n\s*(?://[/!]?|#)?\s*").unwrap();
    let mut found = Vec::new();
    for captures in reference.captures_iter(text) {
        let (page, heading) = (&captures[1], line_end.replace_all(&captures[2], " "));
        let is_there = repository.text(page).is_some_and(|text| pages::headings(text).any(|h| h == heading));
        if !is_there {
            let here = place(path, text, captures.get(0).unwrap().start());
            found.push(format!("{here}: {page} has no heading \"{heading}\""));
        }
    }
    found
}

/// Numbered rules and chapters of a paper that is not in the repository.
fn other_papers(path: &str, text: &str) -> Vec<String> {
    let reference = Regex::new(r"\bdesign (?:rule )?[0-9]|\(facts[:,)]").unwrap();
    let found = reference.find_iter(text);
    found.map(|it| format!("{}: \"{}\" is on no page here", place(path, text, it.start()), it.as_str())).collect()
}

/// The comments of a Rust file, with everything else blank, so that lines stay.
fn comments(text: &str) -> String {
    text.split_inclusive('\n').map(|line| if line.trim_start().starts_with("//") { line } else { "\n" }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let repository = Repository::of(&[
            ("ARCHITECTURE.md", "# Architecture\n\n### A CONNECT is always answered\n"),
            ("shared/src/config.rs", ""),
        ]);
        violations(&repository, path, text)
    }

    #[test]
    fn a_rule_is_referred_to_by_its_heading() {
        let wrapped = "//! It closes (ARCHITECTURE.md, \"A CONNECT is\n//! always answered\").\n";
        assert_eq!(found("a.rs", wrapped), Vec::<String>::new());
        let apart = "    /// It closes (ARCHITECTURE.md,\n    /// \"A CONNECT is always answered\").\n";
        assert_eq!(found("a.rs", apart), Vec::<String>::new());
        assert_eq!(found("a.md", "`ARCHITECTURE.md`, \"Architecture\""), Vec::<String>::new());
    }

    #[test]
    fn a_misspelt_rule_is_found() {
        let misspelt = "//!\n//! It closes (ARCHITECTURE.md, \"A CONECT is\n//! always answered\").\n";
        assert_eq!(found("a.rs", misspelt), ["a.rs:2: ARCHITECTURE.md has no heading \"A CONECT is always answered\""]);
        assert_eq!(found("a.yaml", "# (RULES.md, \"One\")"), ["a.yaml:1: RULES.md has no heading \"One\""]);
    }

    #[test]
    fn a_paper_that_is_not_here_is_found() {
        let cited = format!("/// Closes ({} rule 2).", "design");
        assert_eq!(found("a.rs", &cited).len(), 1, "{cited}");
    }

    #[test]
    fn a_misspelt_file_in_a_comment_is_found() {
        assert_eq!(
            found("a.rs", "/// See `shared/src/config.rs`.\nlet a = \"`shared/src/x.rs`\";"),
            Vec::<String>::new()
        );
        assert_eq!(found("a.rs", "\n// See `shared/src/confg.rs`."), ["a.rs:2: there is no shared/src/confg.rs"]);
    }
}
