//! The heartbeat's minute: it reads the slot whose turn it is and what is due, pings, and closes.

use std::fmt;

use shared::heartbeat::SLOTS;

use super::{
    Crowd, Function,
    calls::{Calls, Progress},
};
use crate::cost::comings;

/// What a row that is read costs a function, in seconds of one CPU: a few hundred bytes of JSON. An estimate.
const CPU_PER_ROW: f64 = 0.000_01;

/// What there is to do, and how far it came.
pub(super) struct Minute {
    pub(super) pings: u32,
    pub(super) closes: u32,
    pub(super) rows: u32,
    pub(super) progress: Progress,
    function: Function,
}

impl Minute {
    /// A minute of this crowd. `calls` are those of the function, unpaced.
    pub(super) fn of(crowd: Crowd, function: Function, calls: Calls) -> Self {
        let Crowd { connections, token_minutes, renewing, .. } = crowd;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of the connections")]
        let each_minute = |part: f64| (f64::from(connections) * part).ceil() as u32;
        let pings = connections.div_ceil(u32::from(SLOTS));
        let closes = each_minute(comings(token_minutes, renewing).0);
        // Every connection has two rows in the course of its token: one for its CONNECT, one for its end; those that renew
        // theirs are looked at, too. Those that did not answer a ping are found by DynamoDB and are few.
        let rows = pings + 2 * each_minute(1.0 / token_minutes);
        let reading = f64::from(rows) * CPU_PER_ROW * calls.cpu / super::CPU_PER_CALL;
        // Its own pace is one more thing of which there is one for all calls.
        let calls = Calls { cpu: calls.cpu.max(1.0 / f64::from(heartbeat::CALLS_PER_SECOND)), ..calls };
        let left = function.timeout - heartbeat::RESERVE.as_secs_f64() - reading;
        let mut progress = calls.make(pings + closes, left.max(0.0));
        progress.seconds += reading;
        Self { pings, closes, rows, progress, function }
    }

    /// How the minute went, for a table.
    #[cfg(test)]
    pub(super) fn text(&self) -> String {
        let all = self.pings + self.closes;
        match self.progress.done {
            done if done < all => format!("{done} of {all} pings and closes only"),
            _ => super::after(self.progress.seconds),
        }
    }

    /// Whether something is left for later minutes.
    pub(super) fn is_too_short(&self) -> bool {
        self.progress.done < self.pings + self.closes
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pings, closes, rows, progress, function: Function { megabytes, timeout } } = self;
        writeln!(f, "The heartbeat's minute, with {megabytes} MB:")?;
        writeln!(
            f,
            "  {:.1} s for {rows} rows, {pings} pings, and {closes} sockets whose token ends; {timeout:.0} s are allowed",
            progress.seconds
        )?;
        if self.is_too_short() {
            writeln!(
                f,
                "  TOO MANY: {} of them come in later minutes, and clients give up after two and a half",
                pings + closes - progress.done
            )?;
        }
        Ok(())
    }
}
