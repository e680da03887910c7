//! What goes wrong on purpose: for tests, and for people who want to see what their client makes of it (`--fault`).

use std::{
    str::FromStr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// One thing that goes wrong. Written as its name, with a value where it takes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// `drop-disconnect`: `$disconnect` is never sent. API Gateway promises no more than a best effort.
    DropDisconnect,
    /// `gone=300ms`: the management API answers 410 for connections younger than this.
    Gone(Duration),
    /// `throttle=20%`: the management API answers 429 to that many posts.
    Throttle(Often),
    /// `refuse`: the management API answers 429 to everything, as if the account had no calls left.
    Refuse,
    /// `stall=<connection id>`: posts to this connection are not answered.
    Stall(String),
    /// `duplicate=20%`: the event source delivers that many batches twice.
    Duplicate(Often),
    /// `reorder=20%`: that many batches are held back, so that batches of other users overtake them.
    Reorder(Often),
    /// `slow=message:500ms`: the function takes this much longer.
    Slow(String, Duration),
    /// `timeout=broadcast:6s`: the function has only so much time, instead of what the template gives it.
    Timeout(String, Duration),
    /// `empty-answers`: a two-way route whose function answers without a body sends an empty frame. Whether API Gateway
    /// does is not documented.
    EmptyAnswers,
    /// `fail=broadcast:2` or `fail=broadcast:20%`: the next invocations of the function fail, or that many of all.
    Fail(String, Often),
}

/// How often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Often {
    /// The next so many times.
    Next(u32),
    /// So many times of a hundred, by chance.
    Percent(u8),
}

impl Often {
    fn strikes(&mut self) -> bool {
        match self {
            Self::Next(0) => false,
            Self::Next(left) => {
                *left -= 1;
                true
            }
            Self::Percent(percent) => fastrand::u8(0..100) < *percent,
        }
    }
}

impl FromStr for Often {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let percent = text.strip_suffix('%').map(|number| number.parse().ok().filter(|n| *n <= 100).map(Self::Percent));
        let often = percent.unwrap_or_else(|| text.parse().ok().map(Self::Next));
        often.ok_or_else(|| format!("`{text}` is neither a number nor a percentage such as 20%"))
    }
}

/// The longest time that may be asked for: a year.
const LONGEST_MILLIS: u64 = 365 * 24 * 60 * 60 * 1000;

/// `300ms`, `2s`, or seconds.
///
/// # Errors
/// What a duration looks like.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1),
        None => (text.strip_suffix('s').unwrap_or(text), 1000),
    };
    let millis = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    let millis = millis.filter(|millis| *millis <= LONGEST_MILLIS);
    millis
        .map(Duration::from_millis)
        .ok_or_else(|| format!("`{text}` is no duration such as 300ms or 2s, up to a year"))
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        let of_function = || {
            value
                .split_once(':')
                .ok_or_else(|| format!("`{name}` wants a function and a value, such as {name}=message:1"))
        };
        match name {
            "drop-disconnect" => Ok(Self::DropDisconnect),
            "empty-answers" => Ok(Self::EmptyAnswers),
            "gone" => duration(value).map(Self::Gone),
            "refuse" => Ok(Self::Refuse),
            "stall" => Ok(Self::Stall(value.to_owned())),
            "throttle" => value.parse().map(Self::Throttle),
            "duplicate" => value.parse().map(Self::Duplicate),
            "reorder" => value.parse().map(Self::Reorder),
            "slow" => of_function().and_then(|(function, value)| Ok(Self::Slow(function.to_owned(), duration(value)?))),
            "timeout" => {
                of_function().and_then(|(function, value)| Ok(Self::Timeout(function.to_owned(), duration(value)?)))
            }
            "fail" => of_function().and_then(|(function, value)| Ok(Self::Fail(function.to_owned(), value.parse()?))),
            _ => Err(format!(
                "`{name}` is none of drop-disconnect, empty-answers, gone=300ms, throttle=20%, refuse, stall=<connection id>, \
                 duplicate=20%, reorder=20%, slow=message:500ms, timeout=broadcast:6s, fail=broadcast:2"
            )),
        }
    }
}

/// The faults in force. They can be changed while the cloud runs.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    /// Replaces all faults.
    pub fn set(&self, faults: impl IntoIterator<Item = Fault>) {
        *self.faults() = faults.into_iter().collect();
    }

    /// The functions they name.
    pub(crate) fn functions(&self) -> Vec<String> {
        let name = |fault: &Fault| match fault {
            Fault::Slow(name, _) | Fault::Timeout(name, _) | Fault::Fail(name, _) => Some(name.clone()),
            _ => None,
        };
        self.faults().iter().filter_map(name).collect()
    }

    pub(crate) fn drops_disconnect(&self) -> bool {
        self.faults().contains(&Fault::DropDisconnect)
    }

    pub(crate) fn sends_empty_answers(&self) -> bool {
        self.faults().contains(&Fault::EmptyAnswers)
    }

    pub(crate) fn gone_for(&self) -> Option<Duration> {
        self.faults().iter().find_map(|fault| if let Fault::Gone(time) = fault { Some(*time) } else { None })
    }

    pub(crate) fn refuses(&self) -> bool {
        self.faults().contains(&Fault::Refuse)
    }

    pub(crate) fn stalls(&self, connection_id: &str) -> bool {
        self.faults().iter().any(|fault| matches!(fault, Fault::Stall(id) if id == connection_id))
    }

    pub(crate) fn throttles(&self) -> bool {
        self.strikes(|fault| if let Fault::Throttle(often) = fault { Some(often) } else { None })
    }

    pub(crate) fn duplicates(&self) -> bool {
        self.strikes(|fault| if let Fault::Duplicate(often) = fault { Some(often) } else { None })
    }

    pub(crate) fn reorders(&self) -> bool {
        self.strikes(|fault| if let Fault::Reorder(often) = fault { Some(often) } else { None })
    }

    pub(crate) fn slows(&self, function: &str) -> Option<Duration> {
        let slow = |fault: &Fault| {
            if let Fault::Slow(name, time) = fault { (name == function).then_some(*time) } else { None }
        };
        self.faults().iter().find_map(slow)
    }

    pub(crate) fn time_of(&self, function: &str) -> Option<Duration> {
        let time = |fault: &Fault| {
            if let Fault::Timeout(name, time) = fault { (name == function).then_some(*time) } else { None }
        };
        self.faults().iter().find_map(time)
    }

    pub(crate) fn fails(&self, function: &str) -> bool {
        self.strikes(
            |fault| if let Fault::Fail(name, often) = fault { (name == function).then_some(often) } else { None },
        )
    }

    fn strikes(&self, find: impl Fn(&mut Fault) -> Option<&mut Often>) -> bool {
        self.faults().iter_mut().find_map(find).is_some_and(Often::strikes)
    }

    fn faults(&self) -> std::sync::MutexGuard<'_, Vec<Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_as_they_are_written() {
        let read = |text: &str| text.parse::<Fault>();
        assert_eq!(read("drop-disconnect"), Ok(Fault::DropDisconnect));
        assert_eq!(read("empty-answers"), Ok(Fault::EmptyAnswers));
        assert_eq!(read("gone=300ms"), Ok(Fault::Gone(Duration::from_millis(300))));
        assert_eq!(read("timeout=broadcast:6s"), Ok(Fault::Timeout("broadcast".into(), Duration::from_secs(6))));
        assert_eq!(read("refuse"), Ok(Fault::Refuse));
        assert_eq!(read("stall=QQFxqeZfIAMCKRA="), Ok(Fault::Stall("QQFxqeZfIAMCKRA=".into())));
        assert_eq!(read("throttle=20%"), Ok(Fault::Throttle(Often::Percent(20))));
        assert_eq!(read("slow=message:2s"), Ok(Fault::Slow("message".into(), Duration::from_secs(2))));
        assert_eq!(read("fail=broadcast:2"), Ok(Fault::Fail("broadcast".into(), Often::Next(2))));
        for wrong in ["", "fail", "fail=broadcast", "fail=broadcast:often", "throttle=200%", "gone=soon", "rain"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_counted_fault_strikes_so_often_and_no_more() {
        let faults = Faults::default();
        faults.set([Fault::Fail("broadcast".into(), Often::Next(2))]);
        assert!(!faults.fails("message"));
        assert_eq!(
            [faults.fails("broadcast"), faults.fails("broadcast"), faults.fails("broadcast")],
            [true, true, false]
        );
    }
}
