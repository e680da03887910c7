//! Open files: every connection is one, and a process may have only so many.

/// Files that are kept for the database, for requests and for answers, at the least and at the most.
const KEPT: (u64, u64) = (32, 1024);

/// Below so many sockets it is worth saying how many there may be.
const FEW: usize = 4000;

/// How many files this process may have open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Files(u64);

impl Files {
    /// As many as whoever started the program lets it have. Systems set a lower limit at first (1,024 is usual), for the
    /// sake of programs that cannot count further; this one can.
    pub(crate) fn raised() -> Self {
        rlimit::increase_nofile_limit(u64::MAX).map_or_else(|_| Self::of_this_process(), Self)
    }

    /// As many as it may have now.
    #[cfg(unix)]
    pub(crate) fn of_this_process() -> Self {
        rlimit::Resource::NOFILE.get_soft().map_or(Self(u64::MAX), Self)
    }

    /// Sockets are no files here.
    #[cfg(not(unix))]
    pub(crate) fn of_this_process() -> Self {
        Self(u64::MAX)
    }

    /// Sockets that leave enough for everything else. Where functions call services over connections, each call takes one
    /// or two files, and so half of them are kept.
    pub(crate) fn sockets(self, calls_take_files: bool) -> usize {
        let kept = if calls_take_files { self.0 / 2 } else { (self.0 / 4).clamp(KEPT.0, KEPT.1) };
        usize::try_from(self.0.saturating_sub(kept)).unwrap_or(usize::MAX)
    }

    /// What to say at start, if there is something to say.
    pub(crate) fn advice(self, calls_take_files: bool) -> Option<String> {
        let sockets = self.sockets(calls_take_files);
        let few = || format!("up to {sockets}: this process may have {} open files (`ulimit -n` allows more)", self.0);
        (sockets < FEW).then(few)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_low_limit_is_good_for_is_said_and_a_high_one_is_not_spoken_of() {
        assert_eq!(Files(1024).sockets(false), 768);
        assert_eq!(Files(1024).sockets(true), 512);
        assert!(Files(1024).advice(false).unwrap().starts_with("up to 768: "));
        assert_eq!(Files(20_000).advice(false), None);
    }

    #[test]
    fn a_limit_too_low_for_anything_is_good_for_no_socket() {
        assert_eq!(Files(20).sockets(false), 0);
        assert_eq!(Files(u64::MAX).advice(true), None);
    }
}
