//! The commands of a page: packages, programs, tests and benches that `cargo` is given, scripts of npm, files that are run.

use regex_lite::Regex;

use crate::repository::{Repository, place};

/// What a page tells to run and is not there.
pub(crate) fn violations(repository: &Repository, page: &str, text: &str) -> Vec<String> {
    let found = lines(text).into_iter().flat_map(|(at, command)| {
        let here = place(page, text, at);
        problems(repository, &command).into_iter().map(move |problem| format!("{here}: `{command}`: {problem}"))
    });
    found.collect()
}

/// What is between backticks, and the lines of shell blocks, each with its position.
fn lines(text: &str) -> Vec<(usize, String)> {
    let span = Regex::new(r"`([^`\n]+)`").unwrap();
    let mut found = Vec::new();
    let (mut at, mut block) = (0, None::<bool>);
    for line in text.split_inclusive('\n') {
        match (line.trim_start().strip_prefix("```"), block) {
            (Some(language), None) => block = Some(language.trim() == "sh"),
            (Some(_), Some(_)) => block = None,
            (None, Some(true)) => found.push((at, line.split(" # ").next().unwrap_or(line).trim().to_owned())),
            (None, Some(false)) => {}
            (None, None) => found.extend(span.captures_iter(line).map(|c| (at, c[1].to_owned()))),
        }
        at += line.len();
    }
    found
}

fn problems(repository: &Repository, command: &str) -> Vec<String> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let mut found = Vec::new();
    for (index, part) in words.split(|word| matches!(*word, "&&" | "|" | ";")).enumerate() {
        let part: Vec<&str> = part.iter().skip_while(|word| word.contains('=')).copied().collect();
        match part.as_slice() {
            ["cargo", "lambda" | "install" | "deny", ..] => {}
            ["cargo", subcommand, arguments @ ..] => found.extend(cargo(repository, subcommand, arguments)),
            ["npm", "run", script, ..] if !has_script(repository, script) => {
                found.push(format!("no package.json has a script {script}"));
            }
            // A path alone is looked at as a name, not as a command.
            [program, ..]
                if (part.len() > 1 || index > 0) && is_ours(repository, program) && !repository.has(program) =>
            {
                found.push(format!("there is no {program}"));
            }
            _ => {}
        }
    }
    found
}

fn is_ours(repository: &Repository, program: &str) -> bool {
    program.split_once('/').is_some_and(|(top, _)| repository.has_top_folder(top))
}

fn has_script(repository: &Repository, script: &str) -> bool {
    let mut packages = repository.files().filter(|(path, _)| path.ends_with("package.json"));
    packages.any(|(_, text)| {
        let package: serde_json::Value = serde_json::from_str(text).unwrap();
        package["scripts"][script].is_string()
    })
}

fn cargo(repository: &Repository, subcommand: &str, arguments: &[&str]) -> Vec<String> {
    let known = ["run", "build", "test", "bench", "check", "clippy", "fmt", "doc"];
    if !known.contains(&subcommand) {
        return vec![format!("cargo {subcommand} is none of {known:?}")];
    }
    let mut found = Vec::new();
    let mut arguments = arguments.iter().copied().take_while(|argument| *argument != "--");
    while let Some(argument) = arguments.next() {
        let (kind, is_there): (_, fn(&Repository, &str) -> bool) = match argument {
            "-p" | "--package" => ("package", has_package),
            "--bin" => ("program", |r, name| target(r, "src/bin", name) || has_package(r, name)),
            "--test" => ("test program", |r, name| target(r, "suites", name)),
            "--bench" => ("benchmark", |r, name| target(r, "benches", name)),
            "-D" | "--features" | "--target-dir" | "--manifest-path" => {
                arguments.next();
                continue;
            }
            flag if flag.starts_with('-') => continue,
            filter if subcommand == "test" => {
                if !has_filtered(repository, filter) {
                    found.push(format!("no test's name has {filter}"));
                }
                continue;
            }
            _ => continue,
        };
        let name = arguments.next().unwrap_or_default();
        if !is_there(repository, name) {
            found.push(format!("there is no {kind} {name}"));
        }
    }
    found
}

fn has_package(repository: &Repository, name: &str) -> bool {
    repository.packages().any(|(_, package)| package == name)
}

/// Whether a crate has this file, or this folder with a `main.rs`, among its targets of a kind.
fn target(repository: &Repository, kind: &str, name: &str) -> bool {
    [format!("{kind}/{name}.rs"), format!("{kind}/{name}/main.rs")].iter().any(|end| repository.has_file_called(end))
}

/// Whether the name or the module of a test has these letters.
fn has_filtered(repository: &Repository, filter: &str) -> bool {
    let function = Regex::new(r"fn (\w+)").unwrap();
    let has = |text: &str| function.captures_iter(text).any(|captures| captures[1].contains(filter));
    let mut files = repository.files().filter(|(path, _)| path.ends_with(".rs"));
    files.any(|(path, text)| path.trim_end_matches(".rs").split('/').any(|part| part.contains(filter)) || has(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(page: &str) -> Vec<String> {
        let repository = Repository::of(&[
            ("functions/api/Cargo.toml", ""),
            ("shared/benches/events.rs", ""),
            ("tests/Cargo.toml", ""),
            ("tests/src/bin/load/main.rs", ""),
            ("tests/suites/behaviour/main.rs", "fn a_banned_user_is_told() {}"),
            ("tests/clients/run", ""),
            ("infra/cdk/package.json", r#"{"scripts":{"build":"node build.mjs"}}"#),
        ]);
        violations(&repository, "README.md", page)
    }

    #[test]
    fn what_can_be_run_is_no_violation() {
        let page = "`cargo run -p tests --bin load -- -p nobody` `cargo test --workspace --test behaviour a_banned`\n\
            `cargo bench -p api --bench events` `A=1 tests/clients/run 5` `cargo lambda watch`\n\
            ```sh\ncd infra/cdk && npm run build\ncargo build --release -p tests && target/release/load --sockets 1  # -p x\n```\n\
            ```\ncargo run -p nobody\n```\n";
        assert_eq!(found(page), Vec::<String>::new());
    }

    #[test]
    fn what_cargo_cannot_find_is_a_violation() {
        let problem = |command: &str| {
            found(&format!("`{command}`")).join("\n").replace(&format!("README.md:1: `{command}`: "), "")
        };
        assert_eq!(problem("cargo run -p local-def"), "there is no package local-def");
        assert_eq!(problem("cargo run -p tests --bin lode"), "there is no program lode");
        assert_eq!(problem("cargo test --test behavior"), "there is no test program behavior");
        assert_eq!(problem("cargo bench --bench evens"), "there is no benchmark evens");
        assert_eq!(problem("cargo test a_benned"), "no test's name has a_benned");
        assert!(problem("cargo tset").starts_with("cargo tset is none of"));
    }

    #[test]
    fn what_a_shell_cannot_find_is_a_violation() {
        assert_eq!(found("`tests/client/run 5`"), ["README.md:1: `tests/client/run 5`: there is no tests/client/run"]);
        let block = "```sh\nls\nnpm run biuld\n```";
        assert_eq!(found(block), ["README.md:3: `npm run biuld`: no package.json has a script biuld"]);
    }
}
