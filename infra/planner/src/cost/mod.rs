//! What a month on AWS costs, from how much it is used: `local-dev cost --connections 1000 --mutations 100000`.
//!
//! A model, not a bill: it counts what the functions do for each thing that happens, and says what it assumes.

mod prices;
mod recovery;

pub use recovery::{RECOVERY, Recovery};

use std::fmt;

use shared::heartbeat::PING_INTERVAL;

use emulator::template::{Template, TemplateError};

/// Minutes of a month of 730 hours.
const MINUTES: f64 = 43_800.0;

/// Minutes after which API Gateway ends every connection, and the client comes back.
const LIFETIME: f64 = 120.0;

/// What one connection with a token uses from its CONNECT until it is closed because that token ends, beside the pings
/// between. A behaviour test (`bill`) counts it at a real one.
pub const CYCLE: Cycle = Cycle { frames: 3.0, invocations: 4.0, writes: 14.0, reads: 3.0 };

/// Calls of a connection that are billed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cycle {
    /// Frames in either direction.
    pub frames: f64,
    /// Invocations of all functions for it alone.
    pub invocations: f64,
    /// Write units.
    pub writes: f64,
    /// Read units of items that are asked for by their key.
    pub reads: f64,
}

/// What a token uses that is renewed on an open connection: an event and its acknowledgement.
pub const RENEWAL: Cycle = Cycle { frames: 2.0, invocations: 1.0, writes: 8.0, reads: 2.0 };

/// Bytes of logs at `LogLevel=info`, with the 26 that CloudWatch adds to each line: of a REST request (access log and the
/// function's line), of a change (the line about the room, and its metrics), of a minute of the heartbeat (its metrics),
/// of a connection that is closed (why).
const LOGGED: Logged = Logged { request: 600.0, change: 700.0, minute: 400.0, closed: 300.0 };

struct Logged {
    request: f64,
    change: f64,
    minute: f64,
    closed: f64,
}

/// How much it is used.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Load {
    /// Sockets that are open, day and night, on average.
    #[arg(long, value_parser = amount)]
    connections: f64,

    /// Changes of users in a month.
    #[arg(long, value_parser = amount)]
    mutations: f64,

    /// Sockets that hear the feed (administrators; every change goes to each of them) [default: 10, or all if fewer].
    #[arg(long, value_parser = amount)]
    listeners: Option<f64>,

    /// REST requests in a month beside the changes.
    #[arg(long, value_parser = amount, default_value = "0")]
    reads: f64,

    /// Minutes a token lives, and with it a connection that does not renew it.
    #[arg(long, value_parser = minutes, default_value = "15")]
    token_minutes: f64,

    /// Percentage of sockets that renew their token, and so stay for two hours.
    #[arg(long, value_parser = percentage, default_value = "0")]
    renewing: f64,

    /// Sockets a month that come back and are told what they have missed.
    #[arg(long, value_parser = amount, default_value = "0")]
    recoveries: f64,

    /// Users each of them is told of.
    #[arg(long, value_parser = amount, default_value = "10")]
    missed: f64,
}

/// Reads a number of minutes: at least one, which is how often anybody looks.
pub(crate) fn minutes(text: &str) -> Result<f64, String> {
    amount(text).and_then(|number| if number >= 1.0 { Ok(number) } else { Err("has to be 1 or more".to_owned()) })
}

pub(crate) fn percentage(text: &str) -> Result<f64, String> {
    amount(text).and_then(|number| if number <= 100.0 { Ok(number) } else { Err("has to be 100 or less".to_owned()) })
}

/// How often a socket connects and how often it renews its token, each minute it is open.
pub(crate) fn comings(token_minutes: f64, renewing: f64) -> (f64, f64) {
    let renewing = renewing / 100.0;
    let connects = renewing / LIFETIME + (1.0 - renewing) / token_minutes.min(LIFETIME);
    // The last token of a connection ends with it.
    let renewals = if token_minutes < LIFETIME { renewing * (1.0 / token_minutes - 1.0 / LIFETIME) } else { 0.0 };
    (connects, renewals)
}

fn amount(text: &str) -> Result<f64, String> {
    let number: f64 = text.replace('_', "").parse().map_err(|_| "is not a number".to_owned())?;
    if number.is_finite() && number >= 0.0 { Ok(number) } else { Err("has to be zero or more".to_owned()) }
}

/// One line of the bill.
#[derive(Debug, PartialEq)]
struct Item {
    what: &'static str,
    amount: f64,
    unit: &'static str,
    usd: f64,
}

/// The bill of a month.
pub struct Bill {
    load: Load,
    memory: Memory,
    items: Vec<Item>,
}

/// Megabytes of the functions, as the template declares them.
#[derive(Clone, Copy)]
struct Memory {
    /// The memory of the function for a client's frames; those around it have as much.
    message: f64,
    api: f64,
    broadcast: f64,
    heartbeat: f64,
}

impl Memory {
    fn of(template: &Template) -> Self {
        let of = |folder: &str| template.function(folder).map_or(0.0, |function| f64::from(function.memory_size));
        Self { message: of("message"), api: of("api"), broadcast: of("broadcast"), heartbeat: of("heartbeat") }
    }
}

/// Memory of a function in GB and how long it runs, in seconds.
fn gb_seconds(invocations: f64, megabytes: f64, milliseconds: f64) -> f64 {
    invocations * megabytes / 1024.0 * milliseconds / 1000.0
}

#[cfg(test)]
impl Load {
    /// A load with what the flags default to.
    pub(crate) fn example(connections: f64, mutations: f64, renewing: f64) -> Self {
        Self {
            connections,
            mutations,
            listeners: None,
            reads: 0.0,
            token_minutes: 15.0,
            renewing,
            recoveries: 0.0,
            missed: 10.0,
        }
    }
}

#[cfg(test)]
impl Bill {
    /// What and how much of it, for a table: cents where they are seen.
    pub(crate) fn rows(&self) -> Vec<(String, String)> {
        let usd = |usd: f64| if usd < 1000.0 { format!("{usd:.2}") } else { grouped(usd) };
        let total: f64 = self.items.iter().map(|item| item.usd).sum();
        let rows = self.items.iter().map(|item| (item.what.to_owned(), usd(item.usd)));
        rows.chain([("**together**".to_owned(), format!("**{}**", usd(total)))]).collect()
    }
}

impl Load {
    fn listeners(&self) -> f64 {
        self.listeners.unwrap_or_else(|| self.connections.min(10.0))
    }

    /// What this load costs.
    ///
    /// # Errors
    /// [`TemplateError`] if the template is none.
    pub fn bill(self) -> Result<Bill, TemplateError> {
        let memory = Memory::of(&Template::parse(crate::TEMPLATE)?);
        let Self { connections, mutations, reads, token_minutes, renewing, recoveries, missed, .. } = self;
        let listeners = self.listeners();
        let (connects, renewals) = comings(token_minutes, renewing);
        let (connects, renewals) = (connects * connections * MINUTES, renewals * connections * MINUTES);
        let cycles = |of: fn(Cycle) -> f64| connects * of(CYCLE) + renewals * of(RENEWAL);
        #[allow(clippy::cast_precision_loss, reason = "a few hundred seconds")]
        let pings = connections * MINUTES * 60.0 / PING_INTERVAL as f64;
        let deliveries = mutations * listeners;
        // Open packet, CONNECT and its answer; ping and pong; one frame per listener.
        let messages = cycles(|cycle| cycle.frames) + pings * 2.0 + deliveries;
        let dear = messages.min(prices::MESSAGE_TIER);
        // connect, handshake, message, disconnect; message for a pong; api and broadcast; heartbeat.
        let frames = cycles(|cycle| cycle.invocations) + pings;
        let requests = frames + mutations * 2.0 + reads + MINUTES;
        // An eighth of them is pinged in a minute, at the heartbeat's pace.
        let heartbeat_ms = (100.0 + connections / 8.0 * 0.2).min(55_000.0);
        let duration = gb_seconds(frames, memory.message, 8.0)
            + gb_seconds(mutations + reads, memory.api, 15.0)
            + gb_seconds(mutations, memory.broadcast, 15.0 + listeners * 0.16)
            + gb_seconds(MINUTES, memory.heartbeat, heartbeat_ms);
        // A pong 1; a change is the profile, and nothing else.
        let writes = cycles(|cycle| cycle.writes) + pings + mutations;
        // A change reads the room. The heartbeat reads two slots and what is due, in 24 partitions or more.
        let rooms = (listeners * 100.0 / 4096.0).max(1.0);
        let beats = MINUTES * (12.0 + connections / 4.0 * 500.0 / 4096.0 / 2.0);
        let read_units = cycles(|cycle| cycle.reads) + mutations * (1.0 + rooms) + reads + beats;
        let gigabytes = (deliveries * 600.0 + connects * 600.0 + pings * 60.0 + (mutations + reads) * 1000.0) / 1e9;
        let logged = (mutations + reads) * LOGGED.request
            + mutations * LOGGED.change
            + MINUTES * LOGGED.minute
            + connects * LOGGED.closed;
        let [log, recovered] = recovery::items(mutations, recoveries, missed, memory.message);
        let items = vec![
            item("connection minutes", connections * MINUTES, "minutes", prices::CONNECTION_MINUTE),
            Item {
                what: "WebSocket messages",
                amount: messages,
                unit: "messages",
                usd: dear * prices::MESSAGE + (messages - dear) * prices::MESSAGE_ABOVE,
            },
            item("REST requests", mutations + reads, "requests", prices::HTTP_REQUEST),
            item("Lambda requests", requests, "requests", prices::LAMBDA_REQUEST),
            item("Lambda duration", duration, "GB-seconds", prices::LAMBDA_GB_SECOND),
            item("DynamoDB writes", writes, "units", prices::WRITE),
            item("DynamoDB reads", read_units, "units", prices::READ),
            log,
            recovered,
            item("logs", logged / 1e9, "GB", prices::LOG_GB),
            Item {
                what: "transfer out",
                amount: gigabytes,
                unit: "GB",
                usd: (gigabytes - prices::TRANSFER_FREE_GB).max(0.0) * prices::TRANSFER_GB,
            },
        ];
        Ok(Bill { load: self, memory, items })
    }
}

fn used(Cycle { frames, invocations, writes, reads }: Cycle) -> String {
    format!("{frames} messages, {invocations} invocations, {writes} write and {reads} read units")
}

fn item(what: &'static str, amount: f64, unit: &'static str, price: f64) -> Item {
    Item { what, amount, unit, usd: amount * price }
}

/// The number with separators between the thousands.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl fmt::Display for Bill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Load { connections, mutations, reads, token_minutes, renewing, .. } = self.load;
        let listeners = grouped(self.load.listeners());
        writeln!(f, "A month on AWS, list prices of us-east-1 in USD as of {}:\n", prices::AS_OF)?;
        for Item { what, amount, unit, usd } in &self.items {
            writeln!(f, "  {what:<20} {:>18} {unit:<12} {usd:>12.2}", grouped(*amount))?;
        }
        let total: f64 = self.items.iter().map(|item| item.usd).sum();
        writeln!(f, "  {:<20} {:>18} {:<12} {total:>12.2}\n", "together", "", "")?;
        writeln!(f, "Assumed:")?;
        let minutes = PING_INTERVAL / 60;
        let Memory { message, api, broadcast, .. } = self.memory;
        for line in [
            format!(
                "{} sockets open at any time, {} changes and {} other REST requests a month",
                grouped(connections),
                grouped(mutations),
                grouped(reads)
            ),
            format!("each change is heard by {listeners} sockets (--listeners), 600 bytes each"),
            format!(
                "a token lives {token_minutes} minutes (--token-minutes) and a connection as long; {renewing} of a hundred renew it \
                 (--renewing) and stay for two hours"
            ),
            format!("connecting and closing: {}; renewing: {}", used(CYCLE), used(RENEWAL)),
            format!("a ping and a pong every {minutes} minutes: 2 messages, 1 invocation, 1 write unit"),
            format!(
                "a change writes {} units of the log for sockets that are away; a recovery (--recoveries) reads {} of it, and {} \
                 for each of {} users (--missed), who are a message each",
                RECOVERY.writes, RECOVERY.queries, RECOVERY.reads, self.load.missed
            ),
            "the heartbeat reads 500 bytes of a quarter of the connections every minute, half a read unit per 4 KB"
                .to_owned(),
            format!(
                "8 ms for a frame at {message} MB, 15 ms for a REST request at {api} MB; a login takes longer, few do it"
            ),
            format!("15 ms and 0.16 ms for each who hears it for a change at {broadcast} MB"),
            "logs at LogLevel=info: some hundred bytes for a REST request, a change, a connection that is closed; none for a message"
                .to_owned(),
            "no free tiers; without the alarms, the dashboard, the secrets and backups, about 10 USD".to_owned(),
        ] {
            writeln!(f, "  - {line}")?;
        }
        writeln!(
            f,
            "\nPrices change: https://aws.amazon.com/api-gateway/pricing/, /lambda/pricing/, /dynamodb/pricing/on-demand/"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bill(connections: f64, mutations: f64, listeners: f64) -> Bill {
        let listeners = Some(listeners);
        Load { listeners, ..Load::example(connections, mutations, 100.0) }.bill().unwrap()
    }

    fn usd(bill: &Bill, what: &str) -> f64 {
        bill.items.iter().find(|item| item.what == what).unwrap().usd
    }

    #[test]
    fn ten_thousand_sockets_are_109_50_of_minutes_and_their_pings() {
        let bill = bill(10_000.0, 0.0, 10.0);
        assert!((usd(&bill, "connection minutes") - 109.50).abs() < 0.001);
        // 5,475 pings with their pongs, 365 handshakes, and 2,555 more tokens, for each.
        let messages = 10_000.0 * (5_475.0 * 2.0 + 365.0 * CYCLE.frames + 2_555.0 * RENEWAL.frames);
        assert!((usd(&bill, "WebSocket messages") - messages / 1e6).abs() < 0.001);
    }

    #[test]
    fn a_connection_lasts_as_long_as_its_token_unless_that_is_renewed() {
        let (connects, renewals) = comings(15.0, 0.0);
        assert_eq!((connects * MINUTES, renewals), (2_920.0, 0.0));
        let (connects, renewals) = comings(15.0, 100.0);
        assert_eq!((connects * MINUTES, (renewals * MINUTES).round()), (365.0, 2_555.0));
        // A token that outlives the connection is never renewed on it.
        assert_eq!(comings(600.0, 0.0), comings(600.0, 100.0));
        let usd = |renewing| {
            let load = Load::example(1000.0, 0.0, renewing);
            load.bill().unwrap().items.iter().map(|item| item.usd).sum::<f64>()
        };
        assert!(usd(0.0) > usd(50.0) && usd(50.0) > usd(100.0));
    }

    #[test]
    fn a_change_costs_a_message_for_everyone_who_hears_it() {
        let one = usd(&bill(1000.0, 1e6, 1.0), "WebSocket messages");
        let hundred = usd(&bill(1000.0, 1e6, 100.0), "WebSocket messages");
        assert!((hundred - one - 99.0).abs() < 0.001);
    }

    #[test]
    fn messages_beyond_a_thousand_million_are_cheaper() {
        let bill = bill(0.0, 2e6, 1000.0);
        assert!((usd(&bill, "WebSocket messages") - 1800.0).abs() < 0.001);
    }

    #[test]
    fn nothing_costs_the_heartbeat_only() {
        let total: f64 = bill(0.0, 0.0, 0.0).items.iter().map(|item| item.usd).sum();
        assert!(total < 0.25, "{total}");
    }

    #[test]
    fn what_is_printed_says_what_it_assumes() {
        let text = bill(1000.0, 100_000.0, 10.0).to_string();
        for part in ["43,800,000", "together", "Assumed:", prices::AS_OF, "aws.amazon.com", "8 minutes", "at 1769 MB"] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn amounts_have_to_be_amounts() {
        assert_eq!(amount("1_000"), Ok(1000.0));
        assert!(minutes("0").is_err() && minutes("15") == Ok(15.0));
        assert!(percentage("101").is_err() && percentage("100") == Ok(100.0));
        assert!(amount("many").is_err() && amount("-1").is_err() && amount("inf").is_err());
    }
}
