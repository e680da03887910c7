//! Memory and processor time of a process, as Linux tells them.

use std::{fs, time::Duration};

/// What a process holds, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Resident {
    /// Now (`VmRSS`).
    pub(crate) now: u64,
    /// The most memory so far (`VmHWM`).
    pub(crate) peak: u64,
}

impl Resident {
    /// `None` where there is no `/proc`, or no such process.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
    }

    fn parse(status: &str) -> Option<Self> {
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
            Some(kibibytes * 1024)
        };
        Some(Self { now: bytes("VmRSS")?, peak: bytes("VmHWM")? })
    }
}

/// The processor time a process has used so far. `None` where there is no `/proc`, or no such process.
pub(crate) fn processor_time(pid: u32) -> Option<Duration> {
    processor_time_in(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// User and system time are the 14th and 15th field, in hundredths of a second; the name in the second may contain anything.
fn processor_time_in(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let hundredths = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(hundredths * 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_time_are_added_whatever_the_name_of_the_process() {
        let stat = "77 (a) b) S 1 77 77 0 -1 4194560 1234 0 0 0 150 25 0 0 20 0 9 0 1111 2222 333";
        assert_eq!(processor_time_in(stat), Some(Duration::from_millis(1750)));
        assert_eq!(processor_time_in("77 (a"), None);
    }

    #[test]
    fn the_kernel_counts_in_kibibytes() {
        let status = "Name:\tcloud\nVmPeak:\t  999 kB\nVmHWM:\t   64 kB\nVmRSS:\t   10 kB\nRssAnon:\t 1 kB\n";
        assert_eq!(Resident::parse(status), Some(Resident { now: 10_240, peak: 65_536 }));
        assert_eq!(Resident::parse("Name:\tkthreadd\n"), None);
    }
}
