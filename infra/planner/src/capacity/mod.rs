//! What happens with many sockets: `local-dev capacity --connections 100000`.
//!
//! Three scenes, simulated: everybody loses the network and comes back, a change is told to a large room, the heartbeat
//! does its minute. A model, not a measurement: it has the template's settings, a new account's quotas, and says what
//! else it assumes.

mod calls;
mod comeback;
mod minute;

use std::{collections::BTreeMap, fmt};

use emulator::template::{Template, TemplateError};

use self::{
    calls::{Calls, Progress, Retry},
    comeback::Comeback,
    minute::Minute,
};
use crate::cost::{comings, minutes, percentage};

/// Memory that comes with one whole virtual CPU; less is a part of it
/// (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>).
const MEGABYTES_PER_CPU: f64 = 1769.0;

/// What a call of the management API costs a function, in seconds of one CPU: signing, HTTP and JSON. An estimate, a little
/// more than half of what a delivery was measured to cost all of `local-dev`: 0.28 ms on an AMD EPYC, release build.
const CPU_PER_CALL: f64 = 0.000_16;

/// Calls of all kinds that an account may make, a second.
const REQUESTS: f64 = 10_000.0;

/// Seconds between two pings of a connection.
#[allow(clippy::cast_precision_loss, reason = "a few hundred seconds")]
const PING_INTERVAL: f64 = shared::heartbeat::PING_INTERVAL as f64;

/// How many there are.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Crowd {
    /// Sockets that are open.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    connections: u32,

    /// Sockets that hear a change [default: all].
    #[arg(long)]
    listeners: Option<u32>,

    /// Memory of the functions, in MB, which is also their share of a CPU [default: as in the template].
    #[arg(long, value_parser = clap::value_parser!(u32).range(128..=10_240))]
    memory: Option<u32>,

    /// How long API Gateway takes for a call, in milliseconds.
    #[arg(long, default_value_t = 8.0, value_parser = above_zero)]
    call_ms: f64,

    /// Connections that may be opened a second: a quota of the account.
    #[arg(long, default_value_t = 500.0, value_parser = at_least_ten)]
    new_per_second: f64,

    /// Minutes a token lives, and with it a connection that does not renew it.
    #[arg(long, default_value = "15", value_parser = minutes)]
    token_minutes: f64,

    /// Percentage of sockets that renew their token, and so stay for two hours.
    #[arg(long, default_value = "0", value_parser = percentage)]
    renewing: f64,
}

fn above_zero(text: &str) -> Result<f64, &'static str> {
    let number: f64 = text.parse().map_err(|_| "is not a number")?;
    if number.is_finite() && number > 0.0 { Ok(number) } else { Err("has to be above zero") }
}

/// The way back of ten million sockets is worked out in tenths of a second: with fewer a second it would take minutes.
fn at_least_ten(text: &str) -> Result<f64, &'static str> {
    above_zero(text).and_then(|number| if number >= 10.0 { Ok(number) } else { Err("has to be at least 10") })
}

/// What came of it.
pub struct Report {
    crowd: Crowd,
    listeners: u32,
    comeback: Comeback,
    broadcast: Function,
    telling: Telling,
    minute: Minute,
    posts: f64,
    /// What the sockets may send, a second.
    frames: f64,
}

/// A function as the template declares it.
struct Function {
    megabytes: u32,
    timeout: f64,
}

/// Attempts at telling a room, each of the function's time.
struct Telling {
    attempts: u32,
    allowed: u32,
    progress: Progress,
}

impl Crowd {
    /// Plays the scenes.
    ///
    /// # Errors
    /// [`TemplateError`] if the template is none.
    pub fn simulate(self) -> Result<Report, TemplateError> {
        let template = Template::parse(crate::TEMPLATE)?;
        let listeners = self.listeners.unwrap_or(self.connections);
        // What the template's throttles leave for posts.
        let posts = REQUESTS - template.throttled_rate(&template.scope(&BTreeMap::new())?)?;
        let broadcast = self.function(&template, "broadcast");
        let source = template.function("broadcast").and_then(|function| function.event_sources.first());
        let age = source.and_then(|source| source.maximum_record_age_in_seconds).unwrap_or_default();
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "minutes"
        )]
        let attempts = (age as f64 / broadcast.timeout).floor() as u32;
        let telling = self.telling(&broadcast, listeners, attempts, posts);
        let heartbeat = self.function(&template, "heartbeat");
        let calls = self.calls(&heartbeat, heartbeat::CONCURRENCY, Retry::SDK, posts);
        Ok(Report {
            crowd: self,
            listeners,
            comeback: Comeback::of(self.connections, self.new_per_second),
            broadcast,
            telling,
            minute: Minute::of(self, heartbeat, calls),
            posts,
            frames: template
                .socket_throttle(&template.scope(&BTreeMap::new())?)?
                .default
                .map_or(f64::INFINITY, |limit| limit.rate),
        })
    }

    fn function(self, template: &Template, folder: &str) -> Function {
        let declared = template.function(folder);
        // What Lambda gives to those that say nothing.
        let (memory, timeout) = declared.map_or((128, 3), |function| (function.memory_size, function.timeout));
        #[allow(clippy::cast_precision_loss, reason = "at most 900 seconds")]
        Function { megabytes: self.memory.unwrap_or(memory), timeout: timeout as f64 }
    }

    fn calls(self, function: &Function, at_once: usize, retry: Retry, posts: f64) -> Calls {
        let share = (f64::from(function.megabytes) / MEGABYTES_PER_CPU).min(1.0);
        Calls { at_once, cpu: CPU_PER_CALL / share, way: self.call_ms / 1000.0, retry, rate: posts, burst: posts / 2.0 }
    }

    fn telling(self, broadcast: &Function, listeners: u32, allowed: u32, posts: f64) -> Telling {
        let calls = self.calls(broadcast, broadcast::CONCURRENCY, Retry::of_broadcast(), posts);
        let time = broadcast.timeout - broadcast::LAST_CALLS.as_secs_f64();
        let mut telling = Telling { attempts: 0, allowed, progress: Progress::default() };
        while telling.attempts < allowed && telling.progress.done < listeners {
            let more = calls.make(listeners - telling.progress.done, time);
            telling.attempts += 1;
            telling.progress.done += more.done;
            telling.progress.refused += more.refused;
            telling.progress.seconds += more.seconds;
        }
        telling
    }
}

#[cfg(test)]
impl Crowd {
    /// A crowd with what the flags default to.
    pub(crate) fn example(connections: u32) -> Self {
        let (listeners, memory, token_minutes, renewing) = (None, None, 15.0, 0.0);
        Self { connections, listeners, memory, call_ms: 8.0, new_per_second: 500.0, token_minutes, renewing }
    }
}

#[cfg(test)]
impl Report {
    /// What and how it went, for a table.
    pub(crate) fn rows(&self) -> Vec<(String, String)> {
        let Crowd { connections, token_minutes, .. } = self.crowd;
        let again = |crowd: Crowd| crowd.simulate().unwrap();
        let small = again(Crowd { memory: Some(512), ..self.crowd });
        let few = again(Crowd { listeners: Some(10), ..self.crowd });
        let each_second = |renewing| f64::from(connections) * comings(token_minutes, renewing).0 / 60.0;
        let beats = self.minute.text();
        let frames = each_second(0.0) + f64::from(connections) / PING_INTERVAL;
        let over =
            if frames > self.frames { format!(", above the throttle of {:.0}", self.frames) } else { String::new() };
        [
            ("All come back", format!("{}, {:.0} attempts each", after(self.comeback.all), self.comeback.attempts)),
            ("A change is heard by everybody", self.telling.text(self.listeners)),
            ("The same with 512 MB", small.telling.text(small.listeners)),
            ("A change is heard by ten administrators", few.telling.text(few.listeners)),
            ("A minute of the heartbeat", beats),
            ("Connections that end and come back, a second", format!("{:.1}", each_second(0.0))),
            ("The same where every token is renewed", format!("{:.1}", each_second(100.0))),
            ("Frames that arrive, a second", format!("{frames:.1}{over}")),
        ]
        .map(|(what, how)| (what.to_owned(), how))
        .to_vec()
    }
}

#[cfg(test)]
impl Telling {
    fn text(&self, listeners: u32) -> String {
        let Self { attempts, allowed, progress } = self;
        match attempts {
            _ if progress.done < listeners => format!("by {} in {allowed} attempts; the others never", progress.done),
            1 => after(progress.seconds),
            _ => format!("{}, {attempts} of {allowed} attempts", after(progress.seconds)),
        }
    }
}

#[cfg(test)]
fn after(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 0.1 => format!("in {:.0} ms", seconds * 1000.0),
        seconds if seconds < 120.0 => format!("in {seconds:.1} s"),
        seconds => format!("in {:.1} min", seconds / 60.0),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Crowd { connections, call_ms, new_per_second, .. } = self.crowd;
        let Comeback { half, all, attempts, refused } = self.comeback;
        writeln!(f, "{connections} sockets, simulated.\n\nAll lose their network at once, and it comes back:")?;
        writeln!(f, "  half of them are back after {half:.1} s, all after {all:.1} s")?;
        writeln!(
            f,
            "  each tries {attempts:.1} times; the gateway refuses {refused:.0} attempts a second at the most\n"
        )?;

        let Telling { attempts, allowed, progress } = &self.telling;
        let Function { megabytes, timeout } = self.broadcast;
        writeln!(f, "A change is told to {} sockets, with {megabytes} MB:", self.listeners)?;
        writeln!(
            f,
            "  {} know after {:.1} s, {:.0} a second; {} calls were throttled",
            progress.done,
            progress.seconds,
            f64::from(progress.done) / progress.seconds.max(0.001),
            progress.refused
        )?;
        writeln!(f, "  {attempts} of {allowed} attempts of {timeout:.0} s; the next change of that user waits for it")?;
        if progress.done < self.listeners {
            writeln!(
                f,
                "  TOO MANY: {} are never told, and the change is a dead letter",
                self.listeners - progress.done
            )?;
        }

        writeln!(f, "\n{}", self.minute)?;
        let Crowd { token_minutes, renewing, .. } = self.crowd;
        let (connects, renewals) = comings(token_minutes, renewing);
        let each_second = |amount: f64| f64::from(connections) * amount / 60.0;
        let frames = each_second(connects + renewals) + f64::from(connections) / PING_INTERVAL;
        writeln!(f, "All the time, each second:")?;
        writeln!(
            f,
            "  {:.1} connections end and come back, of {new_per_second:.0} that may; {:.1} tokens are renewed",
            each_second(connects),
            each_second(renewals)
        )?;
        writeln!(f, "  {frames:.1} frames arrive, pongs and CONNECTs among them, of {:.0} that may", self.frames)?;
        if each_second(connects) > new_per_second || frames > self.frames {
            writeln!(f, "  TOO MANY: raise the quota or the throttle, or have tokens renewed")?;
        }
        writeln!(f, "\nAssumed:")?;
        for line in [
            format!(
                "{new_per_second:.0} new connections a second (--new-per-second); clients retry after 1 to 5 s, as socket.io-client does"
            ),
            format!(
                "a call takes API Gateway {call_ms} ms (--call-ms) and the function {:.2} ms of a CPU; {MEGABYTES_PER_CPU} MB are one CPU",
                CPU_PER_CALL * 1000.0
            ),
            format!(
                "{:.0} posts a second are left of the account's {REQUESTS:.0}; a refused one is made again as each function does it",
                self.posts
            ),
            "one stream shard and one change at a time".to_owned(),
            format!(
                "a token lives {token_minutes} minutes (--token-minutes) and a connection as long; {renewing} of a hundred renew it \
                 (--renewing); the heartbeat makes {} calls a second at the most",
                heartbeat::CALLS_PER_SECOND
            ),
        ] {
            writeln!(f, "  - {line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(connections: u32, listeners: u32) -> Report {
        let crowd = Crowd {
            connections,
            listeners: Some(listeners),
            memory: None,
            call_ms: 8.0,
            new_per_second: 500.0,
            token_minutes: 15.0,
            renewing: 0.0,
        };
        crowd.simulate().unwrap()
    }

    #[test]
    fn a_thousand_sockets_are_no_effort() {
        let report = report(1000, 1000);
        assert_eq!((report.telling.attempts, report.telling.progress.done), (1, 1000));
        assert_eq!((report.minute.pings, report.minute.closes, report.minute.progress.done), (125, 67, 192));
        assert!(report.comeback.all < 10.0, "{}", report.comeback.all);
        assert!(!report.to_string().contains("TOO MANY"));
    }

    #[test]
    fn a_million_sockets_fit_into_a_minute_of_the_heartbeat_as_the_template_has_it() {
        let minute = report(1_000_000, 10).minute;
        assert_eq!((minute.pings, minute.rows), (125_000, 125_000 + 2 * 66_667));
        assert!(!minute.is_too_short() && minute.progress.seconds < 50.0, "{minute}");
    }

    #[test]
    fn a_room_that_is_too_large_is_said_to_be() {
        let report = report(10_000_000, 10_000_000);
        assert_eq!(report.telling.attempts, report.telling.allowed);
        // Room, pings, and what arrives.
        assert_eq!(report.to_string().matches("TOO MANY").count(), 3, "{report}");
    }

    #[test]
    fn a_gateway_that_lets_nobody_in_is_no_scene() {
        assert_eq!(above_zero("500"), Ok(500.0));
        for wrong in ["0", "-1", "nan", "inf", "many"] {
            assert!(above_zero(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ten_listeners_hear_at_once_however_many_sockets_there_are() {
        assert!(report(1_000_000, 10).telling.progress.seconds < 0.1);
    }
}
