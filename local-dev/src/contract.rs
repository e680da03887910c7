//! `local-dev contract`: the contract of events and REST as files, for other programs and for the dashboard.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::Value;
use shared::contract::Contract;

/// Where to write the contract.
#[derive(Debug, Args)]
pub(crate) struct Out {
    /// Folder to write to; it is made if it is not there.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

impl Out {
    /// Writes the files, and says which.
    pub(crate) fn write(&self) -> Result<String, String> {
        let mut said = String::new();
        for (name, text) in files() {
            let path = self.out.join(&name);
            write(&path, &text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
            said += &format!("{}\n", path.display());
        }
        Ok(said)
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(path, text)
}

/// Every file of the contract, by its path in the folder.
fn files() -> Vec<(String, String)> {
    let contract = Contract::new();
    let schemas =
        contract.json_schemas().into_iter().map(|(name, schema)| (format!("schemas/{name}.json"), pretty(&schema)));
    let documents = [
        ("events.ts".to_owned(), contract.typescript()),
        ("asyncapi.json".to_owned(), pretty(&contract.asyncapi())),
        ("openapi.json".to_owned(), pretty(&api::openapi())),
    ];
    documents.into_iter().chain(schemas).collect()
}

fn pretty(json: &Value) -> String {
    format!("{json:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECKED_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/dashboard/contract");

    #[test]
    fn what_is_checked_in_is_what_the_types_say() {
        for (name, text) in files() {
            let kept = fs::read_to_string(Path::new(CHECKED_IN).join(&name)).unwrap_or_default();
            assert!(
                kept == text,
                "dashboard/contract/{name} is not what the types say; in local-dev/dashboard: npm run contract"
            );
        }
        let schemas = fs::read_dir(Path::new(CHECKED_IN).join("schemas")).unwrap();
        let written = files().into_iter().filter(|(name, _)| name.starts_with("schemas/")).count();
        assert_eq!(schemas.count(), written, "a schema that nothing says any more is still checked in");
    }

    #[test]
    fn the_files_are_written_to_a_folder_that_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let out = Out { out: folder.path().join("a/b") };
        assert!(out.write().unwrap().contains("events.ts"));
        for (name, text) in files() {
            assert_eq!(fs::read_to_string(out.out.join(&name)).unwrap(), text, "{name}");
        }
    }
}
