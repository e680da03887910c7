//! What is forgotten of a stream and when, and that its cost does not grow with what was ever written.

use std::path::Path;

use rusqlite::StatementStatus;
use serde_json::json;

use super::super::embedded::open;
use super::*;

/// The statements that dynoxide 3.2 looks through the stream table with: for the number of the next record, and for a page.
const NEXT_NUMBER: &str =
    "SELECT COALESCE(MAX(CAST(sequence_number AS INTEGER)), 0) + 1 FROM _stream_records WHERE table_name = ?1";
const PAGE: &str =
    "SELECT event_name, keys_json, new_image, old_image, sequence_number, created_at, user_identity, event_id
             FROM _stream_records
             WHERE table_name = ?1 AND shard_id = ?2 AND CAST(sequence_number AS INTEGER) > ?3
             ORDER BY CAST(sequence_number AS INTEGER) ASC
             LIMIT ?4";
/// The statement that dynoxide 3.2 looks through the stream table with for the range of a shard.
const RANGE: &str = "SELECT MIN(CAST(sequence_number AS INTEGER)), MAX(CAST(sequence_number AS INTEGER)) FROM _stream_records WHERE table_name = ?1 AND shard_id = ?2";

struct Bench {
    folder: Option<tempfile::TempDir>,
    database: dynoxide::Database,
    claims: Claims,
    trimmer: Trimmer,
}

impl Bench {
    fn new(folder: Option<tempfile::TempDir>) -> Self {
        let claims = Claims::default();
        let directory = folder.as_ref().map(tempfile::TempDir::path);
        let (database, trimmer) = open(directory, claims.clone(), Turn::default()).unwrap();
        // Waiting for the disk would make thousands of changes take minutes.
        database.enable_bulk_loading().unwrap();
        let bench = Self { folder, database, claims, trimmer };
        bench.create("users");
        bench
    }

    /// A bench in memory, and one in a folder.
    fn both() -> [Self; 2] {
        [Self::new(None), Self::new(Some(tempfile::tempdir().unwrap()))]
    }

    fn create(&self, table: &str) {
        let request = json!({
            "TableName": table,
            "AttributeDefinitions": [{ "AttributeName": "pk", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }],
            "BillingMode": "PAY_PER_REQUEST",
            "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" },
        });
        self.database.create_table(serde_json::from_value(request).unwrap()).unwrap();
    }

    fn change(&self, table: &str, times: usize) {
        for number in 0..times {
            put(&self.database, table, number);
        }
    }

    /// All stored numbers, oldest first.
    fn stored(&self, table: &str) -> Vec<i64> {
        let all = "SELECT CAST(sequence_number AS INTEGER) FROM _stream_records WHERE table_name = ?1 ORDER BY 1";
        let mut all = self.trimmer.connection.prepare(all).unwrap();
        all.query_map([table], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    /// The public number of the newest record of a page from the start.
    fn newest(&self, table: &str, of: usize) -> String {
        let stream =
            self.database.list_streams(serde_json::from_value(json!({ "TableName": table })).unwrap()).unwrap();
        let request = json!({
            "StreamArn": stream.streams[0].stream_arn,
            "ShardId": dynoxide::streams::shard_id(table),
            "ShardIteratorType": "TRIM_HORIZON",
        });
        let mut iterator =
            self.database.get_shard_iterator(serde_json::from_value(request).unwrap()).unwrap().shard_iterator.unwrap();
        let mut newest = None;
        let mut left = of;
        while left > 0 {
            let request = json!({ "ShardIterator": iterator, "Limit": left.min(1000) });
            let page = self.database.get_records(serde_json::from_value(request).unwrap()).unwrap();
            let Some(last) = page.records.last() else { break };
            newest = Some(last.dynamodb.sequence_number.clone());
            left -= page.records.len();
            iterator = page.next_shard_iterator.unwrap();
        }
        newest.unwrap()
    }

    /// Instructions of SQLite's virtual machine, rows of a scan and sorts that the statement takes.
    fn cost(&self, sql: &str, values: impl rusqlite::Params) -> [i32; 3] {
        let mut statement = self.trimmer.connection.prepare(sql).unwrap();
        let mut rows = statement.query(values).unwrap();
        while rows.next().unwrap().is_some() {}
        drop(rows);
        [StatementStatus::VmStep, StatementStatus::FullscanStep, StatementStatus::Sort]
            .map(|status| statement.get_status(status))
    }

    fn pages(&self) -> u64 {
        self.trimmer.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap()
    }
}

fn put(database: &dynoxide::Database, table: &str, number: usize) {
    let item = json!({ "pk": { "S": (number % 16).to_string() }, "value": { "N": number.to_string() } });
    let request = json!({ "TableName": table, "Item": item });
    database.put_item(serde_json::from_value(request).unwrap()).unwrap();
}

fn size(folder: &Path) -> u64 {
    std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn a_change_and_a_read_of_the_stream_take_as_many_steps_after_20_000_changes_as_at_first() {
    for bench in Bench::both() {
        let shard = dynoxide::streams::shard_id("users");
        let costs = || {
            let stored = bench.stored("users");
            let (first, last) = (stored[9], stored[stored.len() - 10]);
            [
                bench.cost(NEXT_NUMBER, ["users"]),
                bench.cost(PAGE, params!["users", shard, last, 1000]),
                bench.cost(PAGE, params!["users", shard, first, 10]),
                bench.cost(PAGE, params!["users", shard, stored[stored.len() - 1], 1000]),
            ]
        };
        bench.change("users", 100);
        let at_first = costs();
        bench.change("users", 20_000);
        assert_eq!(bench.stored("users").len(), 20_100);
        assert_eq!(costs(), at_first);
        for [_, scanned, sorts] in at_first {
            assert_eq!((scanned, sorts), (0, 0));
        }
        let mut plan = bench.trimmer.connection.prepare(&format!("EXPLAIN QUERY PLAN {RANGE}")).unwrap();
        let plan: String = plan.query_row(["users", &shard], |row| row.get("detail")).unwrap();
        assert!(plan.contains("COVERING INDEX _stream_records_in_order"), "{plan}");
    }
}

#[test]
fn what_all_readers_have_passed_is_forgotten_and_the_database_does_not_grow_with_its_history() {
    for bench in Bench::both() {
        let readers = ["a", "b"].map(|reader| bench.claims.add("users", reader));
        let mut sizes = Vec::new();
        for _ in 0..6 {
            bench.change("users", 4000);
            for reader in &readers {
                reader.passed(&bench.newest("users", usize::MAX));
            }
            bench.trimmer.round(SystemTime::now()).unwrap();
            assert_eq!(bench.stored("users").len(), 1000);
            sizes.push((bench.pages(), bench.folder.as_ref().map(|folder| size(folder.path()))));
        }
        // Once there is room for a round and what stays, no round needs more, but for what pages do not fill.
        let tenth_more = |size: u64| size * 11 / 10;
        assert!(sizes[5].0 <= tenth_more(sizes[1].0), "{sizes:?}");
        assert!(sizes[5].1 <= sizes[1].1.map(tenth_more), "{sizes:?}");
    }
}

#[test]
fn nothing_is_forgotten_that_one_reader_has_not_passed() {
    let bench = Bench::new(None);
    let [fast, slow] = ["fast", "slow"].map(|reader| bench.claims.add("users", reader));
    bench.change("users", 2000);
    let (before, first) = (bench.stored("users"), bench.newest("users", 1));
    fast.passed(&bench.newest("users", 2000));
    bench.trimmer.round(SystemTime::now()).unwrap();
    assert_eq!(bench.stored("users"), before);
    slow.passed(&bench.newest("users", 700));
    bench.trimmer.round(SystemTime::now()).unwrap();
    assert_eq!(bench.stored("users"), before[700..]);
    // A reader that comes back, from further back, takes nothing back.
    bench.claims.add("users", "slow").passed(&first);
    assert_eq!(bench.claims.passed_by_all("users"), Some(before[699]));
}

#[test]
fn without_readers_nothing_is_forgotten_before_it_is_24_hours_old() {
    let bench = Bench::new(None);
    bench.create("other");
    for table in ["users", "other"] {
        bench.change(table, 1500);
    }
    let hours = |hours: u64| SystemTime::now() + Duration::from_secs(hours * 60 * 60);
    assert_eq!(bench.trimmer.round(hours(23)).unwrap(), Forgotten::default());
    let newest = bench.stored("users")[1499];
    let forgotten = bench.trimmer.round(hours(25)).unwrap();
    assert_eq!(forgotten, Forgotten { records: 2 * 1499, unread: BTreeMap::new() }, "nobody reads them");
    // The newest stays: the number of the next one follows from it, whatever the clock says.
    assert_eq!(bench.stored("users"), [newest]);
    bench.change("users", 1);
    assert!(bench.stored("users")[1] > newest);
}

#[test]
fn what_is_24_hours_old_is_forgotten_though_a_reader_has_not_passed_it_and_how_much_that_was_is_said() {
    let bench = Bench::new(None);
    bench.create("other");
    for table in ["users", "other"] {
        bench.change(table, 100);
        bench.claims.add(table, "fast").passed(&bench.newest(table, usize::MAX));
    }
    bench.claims.add("users", "slow").passed(&bench.newest("users", 30));
    let forgotten = bench.trimmer.round(SystemTime::now() + KEPT_FOR + Duration::from_secs(2)).unwrap();
    // The newest record stays.
    assert_eq!(forgotten, Forgotten { records: 2 * 99, unread: BTreeMap::from([("users".to_owned(), 99 - 30)]) });
    assert_eq!(bench.stored("users").len(), 1);
}

#[test]
fn changes_go_on_while_records_are_being_forgotten() {
    for bench in Bench::both() {
        let reader = bench.claims.add("users", "a");
        bench.change("users", 3000);
        reader.passed(&bench.newest("users", usize::MAX));
        let writing = std::thread::spawn({
            let database = bench.database.clone();
            move || (0..1000).for_each(|number| put(&database, "users", number))
        });
        bench.trimmer.round(SystemTime::now()).unwrap();
        writing.join().unwrap();
        reader.passed(&bench.newest("users", usize::MAX));
        bench.trimmer.round(SystemTime::now()).unwrap();
        assert_eq!(bench.stored("users").len(), 1000);
    }
}

#[test]
fn a_folder_of_a_former_version_gets_the_index_and_loses_what_has_been_passed() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(Some(folder));
    bench.trimmer.connection.execute_batch("DROP INDEX _stream_records_in_order").unwrap();
    bench.change("users", 1200);
    let newest = bench.newest("users", usize::MAX);
    let Bench { folder, database, trimmer, .. } = bench;
    drop((database, trimmer));
    let claims = Claims::default();
    let (_database, trimmer) =
        open(folder.as_ref().map(tempfile::TempDir::path), claims.clone(), Turn::default()).unwrap();
    claims.add("users", "a").passed(&newest);
    assert_eq!(trimmer.round(SystemTime::now()).unwrap().records, 200);
}
