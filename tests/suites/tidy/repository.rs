//! The files of the repository, by their paths from its root.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Folders with what was built, installed or written by a tool.
const GENERATED: &[&str] = &[
    "target",
    "node_modules",
    ".git",
    "cdk.out",
    "__pycache__",
    ".pytest_cache",
    "dist",
    "out",
    ".aws-sam",
    ".venv",
    "proptest-regressions",
];

/// The pages whose every claim about the repository is checked.
const PAGES: &[&str] = &[
    "README.md",
    "CLIENTS.md",
    "PERFORMANCE.md",
    "SECURITY.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "local-dev/README.md",
    "local-dev/emulator/README.md",
    "infra/README.md",
    "local-dev/dashboard/README.md",
];

/// Folders with crates, each in a folder of its own.
const CRATES: [&str; 5] = ["", "functions/", "shared/", "local-dev/", "infra/"];

/// The folder of this test, which is left out: its examples name what does not exist.
const ITSELF: &str = "tests/suites/tidy/";

/// Files and folders.
#[derive(Default)]
pub(crate) struct Repository {
    texts: BTreeMap<String, String>,
    folders: BTreeSet<String>,
}

impl Repository {
    /// The repository this test belongs to.
    pub(crate) fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut repository = Self::default();
        repository.add_folder(root, "");
        repository
    }

    fn add_folder(&mut self, folder: &Path, prefix: &str) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if GENERATED.contains(&name.as_str()) {
                continue;
            }
            let path = format!("{prefix}{name}");
            if entry.file_type().unwrap().is_dir() {
                self.add_folder(&entry.path(), &format!("{path}/"));
            } else {
                // A picture has no text, and is there all the same.
                self.add(&path, &fs::read_to_string(entry.path()).unwrap_or_default());
            }
        }
    }

    /// Adds a file with the folders it is in.
    pub(crate) fn add(&mut self, path: &str, text: &str) {
        self.folders.extend(path.match_indices('/').map(|(end, _)| path[..end].to_owned()));
        self.texts.insert(path.to_owned(), text.to_owned());
    }

    /// A repository of these files.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let mut repository = Self::default();
        for (path, text) in files {
            repository.add(path, text);
        }
        repository
    }

    /// Every file, except those of this test.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.texts.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        all.filter(|(path, _)| !path.starts_with(ITSELF))
    }

    /// Every Rust file, those of this test too.
    pub(crate) fn rust_files(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.texts.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        all.filter(|(path, _)| path.ends_with(".rs"))
    }

    /// The pages there are.
    pub(crate) fn pages(&self) -> impl Iterator<Item = (&'static str, &str)> {
        PAGES.iter().map(|page| (*page, self.text(page).unwrap_or_else(|| panic!("{page} is missing"))))
    }

    /// The text of a file.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// Whether a file or a folder has this path from the root, or a tool will have made it.
    pub(crate) fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let is_generated = path.split('/').any(|part| GENERATED.contains(&part));
        is_generated || self.texts.contains_key(path) || self.folders.contains(path)
    }

    /// Whether the path of a file ends with these parts.
    pub(crate) fn has_file_called(&self, end: &str) -> bool {
        self.files_called(end).next().is_some()
    }

    /// The texts of the files whose paths end with these parts.
    pub(crate) fn files_called(&self, end: &str) -> impl Iterator<Item = &str> {
        let below = format!("/{end}");
        let called = self.texts.iter().filter(move |(path, _)| *path == end || path.ends_with(&below));
        called.map(|(_, text)| text.as_str())
    }

    /// Whether the repository's root has a folder of this name.
    pub(crate) fn has_top_folder(&self, name: &str) -> bool {
        !name.contains('/') && self.folders.contains(name)
    }

    /// Whether a test of this name is defined, in that file or else anywhere.
    pub(crate) fn has_test(&self, name: &str, file: Option<&str>) -> bool {
        let definitions = [format!("fn {name}("), format!("def {name}(")];
        let defines = |text: &str| definitions.iter().any(|definition| text.contains(definition));
        match file {
            Some(end) => self.files_called(end).any(defines),
            None => self.files().chain(self.rust_files()).any(|(_, text)| defines(text)),
        }
    }

    /// The folder and the name of every crate.
    pub(crate) fn packages(&self) -> impl Iterator<Item = (&str, &str)> {
        CRATES.iter().flat_map(|folder| self.crates(folder).map(move |name| (*folder, name)))
    }

    /// The names of the crates under a folder such as `functions/`.
    pub(crate) fn crates(&self, under: &str) -> impl Iterator<Item = &str> {
        self.texts.keys().filter_map(move |path| {
            let name = path.strip_prefix(under)?.strip_suffix("/Cargo.toml")?;
            (!name.contains('/')).then_some(name)
        })
    }
}

/// `file:line`, of what begins at this byte.
pub(crate) fn place(path: &str, text: &str, at: usize) -> String {
    format!("{path}:{}", text[..at].matches('\n').count() + 1)
}
