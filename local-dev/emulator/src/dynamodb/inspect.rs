//! Whether the file of the embedded database can be used, before anything is written to it.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags};

/// Why a file cannot be the database.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    /// The file is no database, or a broken one.
    #[error("it is damaged, or no database at all ({0}); move it away, or restore a copy of it")]
    Damaged(rusqlite::Error),
    /// The file opens and is a broken database, by SQLite's own check.
    #[error("it is damaged ({0}); move it away, or restore a copy of it")]
    Inconsistent(String),
    /// The database has tables, and none of ours.
    #[error("it is the database of another program; leave that folder to it")]
    Foreign,
    /// Every request would fail.
    #[error("it cannot be written ({0}); see whose it is, and whether the disk is full")]
    NotWritable(rusqlite::Error),
}

/// Looks at the file, and writes what it has already to see whether that can be done. A file that is not there yet is as
/// good as a sound one.
pub(super) fn inspect(file: &Path) -> Result<(), Unusable> {
    if !file.exists() {
        return Ok(());
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(file, flags).map_err(unusable)?;
    let count = |names: &str| {
        let query = format!("SELECT count(*) FROM sqlite_master WHERE {names}");
        database.query_row(&query, [], |row| row.get::<_, u32>(0)).map_err(unusable)
    };
    if count("name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")? > 0 && count("name IN ('_config', '_tables')")? < 2 {
        return Err(Unusable::Foreign);
    }
    let verdict = database.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    match verdict.map_err(unusable)?.as_str() {
        "ok" => {}
        problem => return Err(Unusable::Inconsistent(problem.to_owned())),
    }
    let version = database.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)).map_err(unusable)?;
    let write = format!("BEGIN IMMEDIATE; PRAGMA user_version = {version}; COMMIT");
    database.execute_batch(&write).map_err(unusable)
}

/// Whether it is what the file holds, or that nothing can be done with it: a database that is read writes beside its file.
fn unusable(error: rusqlite::Error) -> Unusable {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Unusable::Damaged(error),
        _ => Unusable::NotWritable(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sound_database_of_ours_or_none_yet_is_used() {
        let folder = std::env::temp_dir().join(format!("inspect-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = |name: &str, tables: &str| {
            let file = folder.join(name);
            Connection::open(&file).unwrap().execute_batch(tables).unwrap();
            file
        };
        assert!(inspect(&folder.join("absent")).is_ok());
        assert!(inspect(&file("empty", "")).is_ok());
        let ours = file("ours", "CREATE TABLE _config (a); CREATE TABLE _tables (a);");
        assert!(inspect(&ours).is_ok());
        let foreign = file("foreign", "CREATE TABLE notes (a)");
        assert!(matches!(inspect(&foreign), Err(Unusable::Foreign)));
        std::fs::write(&ours, "some text, and more of it, that is no database").unwrap();
        assert!(matches!(inspect(&ours), Err(Unusable::Damaged(_))));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
