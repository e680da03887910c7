//! What the embedded database may forget of its streams: what is 24 hours old, as on AWS, and sooner what every event source
//! of the table has passed for good.
//!
//! The library keeps every stream record for ever in one table without an index, and looks through all of it for every
//! write and every read. A second connection gives that table its index, and deletes what may go.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};

use super::turn::Turn;

/// How long AWS keeps the records of a stream.
const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// The newest records of a table that stay though everybody has passed them: somebody may want to look at them. The
/// very newest has to stay in any case, for the next sequence number is one more than its own.
const NEWEST_KEPT: i64 = 1000;

/// Requests wait while records are being deleted, so few are deleted at once.
const AT_ONCE: i64 = 64;

/// Between two rounds of deleting.
const PAUSE: Duration = Duration::from_secs(1);

/// How often to look for records that have become 24 hours old.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// The first public sequence number less one: public ones have 21 digits, stored ones are what is above this.
const OFFSET: u128 = 100_000_000_000_000_000_000;

/// The statements of the library that look for the newest record and for the next page can walk along it; the shard is in
/// it, so that the range of a shard is told without looking at records.
const INDEX: &str = "CREATE INDEX IF NOT EXISTS _stream_records_in_order
    ON _stream_records (table_name, CAST(sequence_number AS INTEGER), shard_id)";

/// Every table that has records, by one step along the index for each.
const TABLES: &str = "WITH RECURSIVE tables (name) AS (
    SELECT MIN(table_name) FROM _stream_records
    UNION ALL
    SELECT (SELECT MIN(table_name) FROM _stream_records WHERE table_name > name) FROM tables WHERE name IS NOT NULL
) SELECT name FROM tables WHERE name IS NOT NULL";

/// The newest record that is not one of the `?2` newest.
const BEFORE_THE_NEWEST: &str = "SELECT CAST(sequence_number AS INTEGER) FROM _stream_records WHERE table_name = ?1
    ORDER BY CAST(sequence_number AS INTEGER) DESC LIMIT 1 OFFSET ?2";

/// The `?3` oldest up to number `?2`.
const FORGET_PASSED: &str = "DELETE FROM _stream_records WHERE id IN (
    SELECT id FROM _stream_records WHERE table_name = ?1 AND CAST(sequence_number AS INTEGER) <= ?2
    ORDER BY CAST(sequence_number AS INTEGER) LIMIT ?3)";

/// Forgets those of the `?3` oldest records that were made before `?2`, but never the newest of all.
const FORGET_OLD: &str = "DELETE FROM _stream_records WHERE id IN (
    SELECT id FROM (SELECT id, created_at FROM _stream_records WHERE table_name = ?1 AND CAST(sequence_number AS INTEGER) <
        (SELECT MAX(CAST(sequence_number AS INTEGER)) FROM _stream_records WHERE table_name = ?1)
        ORDER BY CAST(sequence_number AS INTEGER) LIMIT ?3)
    WHERE created_at < ?2) RETURNING CAST(sequence_number AS INTEGER)";

/// How far everybody who reads a stream has come, by table and reader. A reader that is gone is still counted: it may come
/// back, and then needs what it has not passed.
#[derive(Clone, Debug, Default)]
pub(super) struct Claims {
    passed: Arc<Mutex<BTreeMap<String, BTreeMap<String, i64>>>>,
    moved: Arc<Notify>,
}

/// A reader's word of what it will never need again.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    claims: Claims,
    table: String,
    reader: String,
}

impl Claims {
    /// Adds a reader: from now on nothing is forgotten before it has passed it, unless that is 24 hours old.
    pub(super) fn add(&self, table: &str, reader: &str) -> Claim {
        self.passed().entry(table.to_owned()).or_default().entry(reader.to_owned()).or_default();
        Claim { claims: self.clone(), table: table.to_owned(), reader: reader.to_owned() }
    }

    /// Who reads the stream of a table.
    #[cfg(test)]
    pub(super) fn readers(&self, table: &str) -> Vec<String> {
        self.passed().get(table).into_iter().flat_map(BTreeMap::keys).cloned().collect()
    }

    /// Up to where all readers of a table have passed it; `None` if it has none.
    fn passed_by_all(&self, table: &str) -> Option<i64> {
        self.passed().get(table)?.values().min().copied()
    }

    fn passed(&self) -> MutexGuard<'_, BTreeMap<String, BTreeMap<String, i64>>> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    /// Notes that nothing up to this record will be needed again, also after a crash.
    pub(crate) fn passed(&self, sequence_number: &str) {
        let number = sequence_number.parse::<u128>().ok().and_then(|number| number.checked_sub(OFFSET));
        let Some(number) = number.and_then(|number| i64::try_from(number).ok()) else { return };
        if let Some(passed) = self.claims.passed().get_mut(&self.table).and_then(|of| of.get_mut(&self.reader)) {
            *passed = number.max(*passed);
        }
        self.claims.moved.notify_one();
    }
}

/// What went in one round.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Forgotten {
    /// Records in all.
    records: usize,
    /// How many of them a reader of their table had not passed, by table.
    unread: BTreeMap<String, usize>,
}

/// Deletes stream records, over a connection of its own.
pub(super) struct Trimmer {
    connection: Connection,
    claims: Claims,
    turn: Turn,
}

impl Trimmer {
    /// Connects to the database, and makes the index if it is not there.
    pub(super) fn open(place: &str, claims: Claims, turn: Turn) -> rusqlite::Result<Self> {
        let connection = Connection::open(place)?;
        // What is forgotten once more after a power cut is no loss, so nobody waits for the disk here.
        connection.execute_batch("PRAGMA synchronous = NORMAL; PRAGMA cache_size = -512")?;
        connection.execute_batch(INDEX)?;
        Ok(Self { connection, claims, turn })
    }

    /// Forgets what may be forgotten at that time.
    pub(super) fn round(&self, now: SystemTime) -> rusqlite::Result<Forgotten> {
        let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let before = i64::try_from(since_epoch.saturating_sub(KEPT_FOR).as_secs()).unwrap_or_default();
        let mut forgotten = Forgotten::default();
        for table in self.tables()? {
            let passed = self.claims.passed_by_all(&table);
            let (old, unread) = self.forget_old(&table, before, passed)?;
            forgotten.records += old;
            if let Some(passed) = passed {
                forgotten.records += self.forget_passed(&table, passed)?;
            }
            if unread > 0 {
                forgotten.unread.insert(table, unread);
            }
        }
        Ok(forgotten)
    }

    fn tables(&self) -> rusqlite::Result<Vec<String>> {
        self.turn.take(|| self.connection.prepare_cached(TABLES)?.query_map([], |row| row.get(0))?.collect())
    }

    fn forget_passed(&self, table: &str, passed: i64) -> rusqlite::Result<usize> {
        // A statement that is still open would keep everybody else from writing.
        let newest = self.turn.take(|| {
            let mut newest = self.connection.prepare_cached(BEFORE_THE_NEWEST)?;
            newest.query_row(params![table, NEWEST_KEPT], |row| row.get::<_, i64>(0)).optional()
        })?;
        let Some(newest) = newest else { return Ok(0) };
        let mut count = 0;
        loop {
            let deleted = self.turn.take(|| {
                let mut delete = self.connection.prepare_cached(FORGET_PASSED)?;
                delete.execute(params![table, newest.min(passed), AT_ONCE])
            })?;
            if deleted == 0 {
                return Ok(count);
            }
            count += deleted;
        }
    }

    /// Forgets what is old: how many records, and how many of them a reader had not passed.
    fn forget_old(&self, table: &str, before: i64, passed: Option<i64>) -> rusqlite::Result<(usize, usize)> {
        let (mut count, mut unread) = (0, 0);
        loop {
            let deleted = self.turn.take(|| {
                let mut delete = self.connection.prepare_cached(FORGET_OLD)?;
                let deleted = delete.query_map(params![table, before, AT_ONCE], |row| row.get::<_, i64>(0))?;
                deleted.collect::<rusqlite::Result<Vec<_>>>()
            })?;
            if deleted.is_empty() {
                return Ok((count, unread));
            }
            count += deleted.len();
            unread += passed.map_or(0, |passed| deleted.iter().filter(|number| **number > passed).count());
        }
    }
}

impl std::fmt::Debug for Trimmer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Trimmer").finish_non_exhaustive()
    }
}

/// Forgets what may be forgotten, soon after it may.
pub(super) async fn keep_trimming(trimmer: Trimmer) {
    let claims = trimmer.claims.clone();
    let trimmer = Arc::new(Mutex::new(trimmer));
    let mut next_look = Instant::now();
    loop {
        tokio::select! {
            () = claims.moved.notified() => {}
            () = sleep_until(next_look) => {}
        }
        next_look = Instant::now() + LOOK_EVERY;
        let trimmer = Arc::clone(&trimmer);
        let round = move || trimmer.lock().unwrap_or_else(PoisonError::into_inner).round(SystemTime::now());
        match tokio::task::spawn_blocking(round).await {
            Ok(Ok(Forgotten { records, unread })) => {
                for (table, records) in unread {
                    tracing::warn!(
                        table,
                        records,
                        "changes were trimmed from the stream after 24 hours, before they were read"
                    );
                }
                if records > 0 {
                    tracing::debug!(records, "stream records forgotten");
                }
            }
            Ok(Err(error)) => tracing::warn!(%error, "stream records could not be forgotten"),
            Err(error) => tracing::warn!(%error, "stream records could not be forgotten"),
        }
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests;
