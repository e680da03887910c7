//! What connection state recovery costs: the log of the feed, which is written for every change, and the sockets that come
//! back.

use super::{Item, gb_seconds, prices};

/// What recovery uses. A behaviour test (`bill`) counts it.
pub const RECOVERY: Recovery = Recovery { writes: 2.0, queries: 2.0, reads: 1.0, frames: 1.0 };

/// Calls of recovery that are billed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recovery {
    /// Write units of a change: an entry of the log, and once more when everyone was told.
    pub writes: f64,
    /// Read units of queries of a recovery beside those of its CONNECT: the log, and the log again when all is told.
    pub queries: f64,
    /// Read units of each user the client is told of.
    pub reads: f64,
    /// Frames for each of them.
    pub frames: f64,
}

/// Lines of the bill, of a month with so many changes, recoveries, and users missed by each.
pub(super) fn items(changes: f64, recoveries: f64, missed: f64, megabytes: f64) -> [Item; 2] {
    let Recovery { writes, queries, reads, frames } = RECOVERY;
    let told = recoveries * missed;
    let duration = gb_seconds(recoveries, megabytes, 10.0 + missed);
    let usd = recoveries * queries * prices::READ
        + told * (reads * prices::READ + frames * prices::MESSAGE)
        + duration * prices::LAMBDA_GB_SECOND;
    [
        Item {
            what: "log of the feed",
            amount: changes * writes,
            unit: "units",
            usd: changes * writes * prices::WRITE,
        },
        Item { what: "recoveries", amount: recoveries, unit: "sockets", usd },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The costs are those that `infra/README.md` names.
    #[test]
    fn a_million_changes_cost_one_and_a_quarter_dollars_of_log_and_a_million_recoveries_eleven_and_a_half() {
        let [log, recovered] = items(1e6, 1e6, 10.0, 256.0);
        assert!((log.usd - 1.25).abs() < 0.001, "{log:?}");
        assert!((recovered.usd - 11.57).abs() < 0.01, "{recovered:?}");
        let [_, nothing_missed] = items(0.0, 1e6, 0.0, 256.0);
        assert!((nothing_missed.usd - 0.28).abs() < 0.01, "{nothing_missed:?}");
    }
}
