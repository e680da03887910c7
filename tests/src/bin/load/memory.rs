//! Memory of a process, as Linux tells it.

use std::fs;

/// What a process holds, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Resident {
    /// Now (`VmRSS`).
    pub(crate) now: u64,
    /// At most so far (`VmHWM`).
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_counts_in_kibibytes() {
        let status = "Name:\tcloud\nVmPeak:\t  999 kB\nVmHWM:\t   64 kB\nVmRSS:\t   10 kB\nRssAnon:\t 1 kB\n";
        assert_eq!(Resident::parse(status), Some(Resident { now: 10_240, peak: 65_536 }));
        assert_eq!(Resident::parse("Name:\tkthreadd\n"), None);
    }
}
