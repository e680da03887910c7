//! What a page names between backticks, in quotes behind a file, and in links.

use regex_lite::Regex;

use crate::repository::{Repository, place};

/// What is named wrongly on a page.
pub(crate) fn violations(repository: &Repository, page: &str, text: &str) -> Vec<String> {
    let prose = without_blocks(text);
    let mut found = names(repository, page, &prose);
    found.extend(links(repository, page, &prose));
    found
}

/// The text with its code blocks blank, so that positions stay.
pub(crate) fn without_blocks(text: &str) -> String {
    let mut inside = false;
    let blank = |line: &str| line.chars().map(|c| if c == '\n' { c } else { ' ' }).collect::<String>();
    let keep = |line: &str| {
        let is_fence = line.trim_start().starts_with("```");
        let is_code = inside || is_fence;
        inside ^= is_fence;
        // Other characters may be longer than a blank; lines are what positions are used for.
        if is_code { blank(line) } else { line.to_owned() }
    };
    text.split_inclusive('\n').map(keep).collect()
}

/// Paths and tests between backticks. Behind "`file`:" names and quotations are of that file.
pub(crate) fn names(repository: &Repository, page: &str, text: &str) -> Vec<String> {
    let token = Regex::new(r#"`([^`]+)`|"([^"`]+)""#).unwrap();
    let mut found = Vec::new();
    let (mut last, mut file, mut end) = (None::<String>, None::<String>, 0);
    for captures in token.captures_iter(text) {
        let whole = captures.get(0).unwrap();
        match text[end..whole.start()].trim() {
            ":" => file = last.take(),
            "," | "and" | ", and" => {}
            _ => file = None,
        }
        end = whole.end();
        let here = || place(page, text, whole.start());
        if let Some(quotation) = captures.get(2) {
            let quoted = quotation.as_str();
            if let Some(file) =
                file.as_deref().filter(|file| !repository.files_called(file).any(|t| t.contains(quoted)))
            {
                found.push(format!("{}: {file} has no \"{quoted}\"", here()));
            }
            continue;
        }
        let name = &captures[1];
        if is_path(repository, name) {
            let path = name.trim_end_matches('/');
            if !exists(repository, page, path) {
                found.push(format!("{}: there is no {name}", here()));
            }
            last = Some(path.to_owned());
        } else if let Some(problem) = test_problem(repository, name, file.as_deref()) {
            found.push(format!("{}: {problem}", here()));
        }
    }
    found
}

/// Whether a name is meant as a path: it begins with a folder of the root, or ends like a file.
fn is_path(repository: &Repository, name: &str) -> bool {
    let plain = Regex::new(r"^[\w.@-]+(/[\w.@-]+)*/?$").unwrap();
    let file = Regex::new(r"[\w-]\.(rs|mjs|ts|py|ya?ml|toml|md|json|css)$").unwrap();
    let top = name.split('/').next().unwrap_or_default();
    plain.is_match(name) && ((name.contains('/') && repository.has_top_folder(top)) || file.is_match(name))
}

fn exists(repository: &Repository, page: &str, path: &str) -> bool {
    let beside = page.rsplit_once('/').map(|(folder, _)| format!("{folder}/{path}"));
    repository.has(path) || beside.is_some_and(|path| repository.has(&path)) || repository.has_file_called(path)
}

/// What is wrong with the name of a test: four words or more, or two parts of which the second is such a name.
fn test_problem(repository: &Repository, name: &str, file: Option<&str>) -> Option<String> {
    let test = Regex::new(r"^(?:([a-z0-9_]+)::)?([a-z0-9]+(?:_[a-z0-9]+){3,})$").unwrap();
    let captures = test.captures(name)?;
    let test = &captures[2];
    let module = captures.get(1).map(|module| format!("tests/suites/behaviour/{}.rs", module.as_str()));
    let file = module.as_deref().or(file);
    (!repository.has_test(test, file)).then(|| format!("{} has no {test}", file.unwrap_or("the repository")))
}

/// Links to files and headings of the repository.
fn links(repository: &Repository, page: &str, text: &str) -> Vec<String> {
    let link = Regex::new(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)").unwrap();
    let folder = page.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut found = Vec::new();
    for captures in link.captures_iter(text) {
        let (target, at) = (&captures[1], captures.get(0).unwrap().start());
        if target.contains("://") || target.starts_with("mailto:") {
            continue;
        }
        let path = if target.is_empty() { page.to_owned() } else { resolved(folder, target) };
        if !repository.has(&path) {
            found.push(format!("{}: the link leads to {path}, which is not there", place(page, text, at)));
        } else if let Some(anchor) = captures.get(2).map(|anchor| anchor.as_str()) {
            let is_there = repository.text(&path).is_some_and(|text| headings(text).any(|h| slug(h) == anchor));
            if !is_there {
                found.push(format!("{}: {path} has no heading #{anchor}", place(page, text, at)));
            }
        }
    }
    found
}

/// Rules of ARCHITECTURE.md that do not say where they are enforced, or name no test; all, if it has none.
pub(crate) fn unproven_rules(architecture: &str) -> Vec<String> {
    let chapter = architecture.split("\n## ").find_map(|chapter| chapter.strip_prefix("Rules that always hold\n"));
    let rules: Vec<&str> = chapter.unwrap_or_default().split("\n### ").skip(1).collect();
    if rules.is_empty() {
        return vec!["there is no rule under \"Rules that always hold\"".to_owned()];
    }
    let parts = ["\n- Enforced in: `", "\n- Proven by: `"];
    let lacking =
        rules.iter().flat_map(|rule| parts.iter().filter(|part| !rule.contains(**part)).map(move |part| (rule, part)));
    let title = |rule: &str| rule.lines().next().unwrap_or_default().to_owned();
    lacking
        .map(|(rule, part)| format!("\"{}\" has no \"{}\"", title(rule), part.trim_matches(['\n', '-', ' ', '`'])))
        .collect()
}

fn resolved(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.trim_end_matches('/').split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The headings of a page.
pub(crate) fn headings(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter_map(move |line| {
        inside ^= line.trim_start().starts_with("```");
        let heading = line.trim_start_matches('#');
        (!inside && heading.len() < line.len()).then(|| heading.trim())
    })
}

/// A heading as GitHub has it in links.
fn slug(heading: &str) -> String {
    let kept = heading.to_lowercase().replace(' ', "-");
    kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(page: &str) -> Vec<String> {
        let repository = Repository::of(&[
            ("README.md", "# Top\n\n## How fast, and why\n"),
            ("shared/src/auth/token.rs", "fn a_token_of_another_key_is_refused() {}"),
            ("tests/suites/behaviour/bans.rs", "async fn a_banned_user_is_told() {}"),
            ("tests/e2e/suites/bans.test.mjs", "test(\"a ban is told\")"),
            ("infra/checks/deploy.py", "def test_an_alarm_is_there_once():"),
        ]);
        violations(&repository, "README.md", page)
    }

    #[test]
    fn what_exists_is_no_violation() {
        let page = "`shared/src/auth/`, `token.rs`, `bans::a_banned_user_is_told`; `shared/src/auth/token.rs`: \
            `a_token_of_another_key_is_refused`; `tests/e2e/suites/bans.test.mjs`: \"a ban is told\"; \
            `infra/checks/deploy.py`: `test_an_alarm_is_there_once`, [how fast](#how-fast-and-why) \
            [there](shared/src/auth/token.rs) `GET /users/:id` `/dev` `shared::config`\n```\n`shared/nowhere.rs`\n```\n";
        assert_eq!(found(page), Vec::<String>::new());
    }

    #[test]
    fn a_misspelt_path_is_found_with_its_line() {
        assert_eq!(found("one\n\n`shared/src/outh/`"), ["README.md:3: there is no shared/src/outh/"]);
        assert_eq!(found("`test/behaviour/bans.rs`"), ["README.md:1: there is no test/behaviour/bans.rs"]);
        assert_eq!(found("`tokens.rs`"), ["README.md:1: there is no tokens.rs"]);
    }

    #[test]
    fn a_misspelt_test_is_found() {
        let missing = "tests/suites/behaviour/bans.rs has no a_banned_user_is_tald";
        assert_eq!(found("`bans::a_banned_user_is_tald`"), [format!("README.md:1: {missing}")]);
        let missing = "tests/suites/behaviour/ban.rs has no a_banned_user_is_told";
        assert_eq!(found("`ban::a_banned_user_is_told`"), [format!("README.md:1: {missing}")]);
        assert_eq!(found("`nobody_has_this_name`"), ["README.md:1: the repository has no nobody_has_this_name"]);
    }

    #[test]
    fn a_test_or_quotation_of_another_file_is_found() {
        let of_another = "`infra/checks/deploy.py`: `a_token_of_another_key_is_refused`";
        let missing = "infra/checks/deploy.py has no a_token_of_another_key_is_refused";
        assert_eq!(found(of_another), [format!("README.md:1: {missing}")]);
        let misquoted = "`tests/e2e/suites/bans.test.mjs`: \"a ban is tald\"";
        assert_eq!(found(misquoted), ["README.md:1: tests/e2e/suites/bans.test.mjs has no \"a ban is tald\""]);
    }

    #[test]
    fn a_rule_without_a_place_or_a_proof_is_found() {
        let rule =
            "# A\n\n## Rules that always hold\n\n### One\n\nIt holds.\n\n- Enforced in: `a.rs`\n- Proven by: `b.rs`\n";
        assert_eq!(unproven_rules(rule), Vec::<String>::new());
        assert_eq!(unproven_rules(&rule.replace("- Proven by: `b.rs`\n", "")), ["\"One\" has no \"Proven by:\""]);
        assert_eq!(unproven_rules("# A\n").len(), 1);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        assert_eq!(found("[x](SECURITY.md)"), ["README.md:1: the link leads to SECURITY.md, which is not there"]);
        assert_eq!(found("[x](#how-slow)"), ["README.md:1: README.md has no heading #how-slow"]);
    }
}
