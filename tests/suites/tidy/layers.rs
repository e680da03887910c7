//! The crates: that all functions are listed, and who may depend on whom.

use std::collections::BTreeSet;

use regex_lite::Regex;

use crate::repository::Repository;

const TABLE: &str = "ARCHITECTURE.md";
const TEMPLATE: &str = "infra/template.yaml";

/// Functions that are in the tree, in the table of ARCHITECTURE.md and in the template, but not in all three.
pub(crate) fn unlisted_functions(repository: &Repository) -> Vec<String> {
    let crates: BTreeSet<String> = repository.crates("functions/").map(str::to_owned).collect();
    let listed = all(repository, TABLE, r"(?m)^\| `functions/(\w+)` \|");
    let declared = all(repository, TEMPLATE, r"(?m)^ +CodeUri: \.\./functions/(\w+)$");
    let mut found = Vec::new();
    for (file, names) in [(TABLE, &listed), (TEMPLATE, &declared)] {
        found.extend(crates.difference(names).map(|name| format!("functions/{name} is not in {file}")));
        found.extend(names.difference(&crates).map(|name| format!("{file} has functions/{name}, which is no crate")));
    }
    found
}

fn all(repository: &Repository, file: &str, pattern: &str) -> BTreeSet<String> {
    let text = repository.text(file).unwrap_or_default();
    Regex::new(pattern).unwrap().captures_iter(text).map(|captures| captures[1].to_owned()).collect()
}

/// Dependencies against the direction tests → local-dev → functions → shared, or between functions; and of the emulator on
/// anything of this product.
pub(crate) fn forbidden_dependencies(repository: &Repository) -> Vec<String> {
    let functions: BTreeSet<&str> = repository.crates("functions/").collect();
    let mut found = Vec::new();
    let ours: BTreeSet<&str> = repository.packages().map(|(_, name)| name).collect();
    for (folder, name) in repository.packages() {
        let above = ["emulator", "planner", "socketio", "local-dev", "tests"];
        let forbidden = |other: &str| match name {
            "tests" => false,
            "local-dev" => other == "tests",
            "planner" => matches!(other, "local-dev" | "tests"),
            "socketio" => functions.contains(other) || matches!(other, "planner" | "local-dev" | "tests"),
            "emulator" => ours.contains(other) && other != "transport",
            "transport" => ours.contains(other),
            _ => functions.contains(other) || above.contains(&other),
        };
        let path = format!("{folder}{name}/Cargo.toml");
        let manifest = repository.text(&path).unwrap_or_default();
        let wrong = dependencies(manifest).into_iter().filter(|other| forbidden(other));
        found.extend(wrong.map(|other| format!("{path} depends on {other}")));
    }
    found
}

/// The packages a manifest names, in any of its tables of dependencies.
fn dependencies(manifest: &str) -> Vec<String> {
    let renamed = Regex::new(r#"package\s*=\s*"([^"]+)""#).unwrap();
    let key = Regex::new(r#"^"?([\w-]+)"?\s*[.=]"#).unwrap();
    let header = Regex::new(r#"^\[(?:.*[.\s])?(?:dev-|build-)?dependencies(?:\."?([\w-]+)"?)?\]"#).unwrap();
    let mut found = Vec::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            let captures = header.captures(line);
            found.extend(captures.as_ref().and_then(|c| c.get(1)).map(|name| name.as_str().to_owned()));
            inside = captures.is_some();
        } else if inside {
            found.extend(renamed.captures(line).or_else(|| key.captures(line)).map(|captures| captures[1].to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Vec<String> = Vec::new();

    fn with(path: &str, text: &str) -> Repository {
        let mut repository = Repository::of(&[
            ("functions/api/Cargo.toml", "[dependencies]\nshared.workspace = true\n"),
            ("functions/notify/Cargo.toml", "[dependencies]\nshared.workspace = true\n"),
            ("shared/Cargo.toml", "[dependencies]\nserde = \"1\"\n"),
            ("local-dev/Cargo.toml", "[dependencies]\napi.workspace = true\nshared.workspace = true\n"),
            ("local-dev/emulator/Cargo.toml", "[dependencies]\ntransport.workspace = true\n"),
            ("local-dev/socketio/Cargo.toml", "[dependencies]\nemulator.workspace = true\nshared.workspace = true\n"),
            ("infra/planner/Cargo.toml", "[dependencies]\nemulator.workspace = true\nshared.workspace = true\n"),
            ("shared/transport/Cargo.toml", "[dependencies]\nhttp = \"1\"\n"),
            ("tests/Cargo.toml", "[dependencies]\nlocal-dev.workspace = true\n"),
            (TABLE, "| `functions/api` | x |\n| `functions/notify` | x |\n"),
            (TEMPLATE, "      CodeUri: ../functions/api\n      CodeUri: ../functions/notify\n"),
        ]);
        repository.add(path, text);
        repository
    }

    #[test]
    fn the_layers_as_they_are_meant_are_no_violation() {
        let repository = with("x", "");
        assert_eq!((forbidden_dependencies(&repository), unlisted_functions(&repository)), (NOTHING, NOTHING));
    }

    #[test]
    fn a_function_that_depends_on_another_is_found_in_every_spelling() {
        for manifest in [
            "[dependencies]\nnotify.workspace = true",
            "[dev-dependencies]\nnotify = { path = \"../notify\" }",
            "[dependencies.notify]\nworkspace = true",
            "[build-dependencies]\nother = { workspace = true, package = \"notify\" }",
            "[target.'cfg(unix)'.dependencies]\nnotify = { workspace = true }",
        ] {
            let found = forbidden_dependencies(&with("functions/api/Cargo.toml", manifest));
            assert_eq!(found, ["functions/api/Cargo.toml depends on notify"], "{manifest}");
        }
    }

    #[test]
    fn an_arrow_that_turns_round_is_found() {
        let up = |path: &str, name: &str| {
            forbidden_dependencies(&with(path, &format!("[dependencies]\n{name}.workspace = true")))
        };
        assert_eq!(up("shared/Cargo.toml", "api"), ["shared/Cargo.toml depends on api"]);
        assert_eq!(up("functions/api/Cargo.toml", "local-dev"), ["functions/api/Cargo.toml depends on local-dev"]);
        assert_eq!(up("local-dev/Cargo.toml", "tests"), ["local-dev/Cargo.toml depends on tests"]);
        assert_eq!(up("local-dev/socketio/Cargo.toml", "api"), ["local-dev/socketio/Cargo.toml depends on api"]);
        assert_eq!(up("infra/planner/Cargo.toml", "local-dev"), ["infra/planner/Cargo.toml depends on local-dev"]);
    }

    #[test]
    fn an_emulator_that_knows_the_product_is_found() {
        for name in ["shared", "api", "planner", "local-dev"] {
            let manifest = format!("[dependencies]\n{name}.workspace = true");
            let found = forbidden_dependencies(&with("local-dev/emulator/Cargo.toml", &manifest));
            assert_eq!(found, [format!("local-dev/emulator/Cargo.toml depends on {name}")]);
        }
    }

    #[test]
    fn a_function_that_is_not_listed_or_not_there_is_found() {
        let more = unlisted_functions(&with("functions/search/Cargo.toml", ""));
        assert_eq!(
            more,
            ["functions/search is not in ARCHITECTURE.md", "functions/search is not in infra/template.yaml"]
        );
        let fewer = unlisted_functions(&with(TEMPLATE, "      CodeUri: ../functions/api\n"));
        assert_eq!(fewer, ["functions/notify is not in infra/template.yaml"]);
        let unknown =
            unlisted_functions(&with(TABLE, "| `functions/api` |\n| `functions/notify` |\n| `functions/old` |\n"));
        assert_eq!(unknown, ["ARCHITECTURE.md has functions/old, which is no crate"]);
    }
}
