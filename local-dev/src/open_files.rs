//! How many files this process may open, each socket being one.

/// Files that are open beside sockets: the database, ports, standard streams, REST requests under way.
const OTHERS: u64 = 224;

/// Files that calls between functions and services have open besides, where they go over connections: both ends of the
/// posts and of the calls of SDK clients that usually are under way; a pool of posts may have more.
const CONNECTIONS: u64 = 384;

/// Below so many sockets the limit is worth a line at the start.
const MANY: u64 = 10_000;

/// Raises the limit as far as the system lets a process raise its own, and returns it. What cannot be raised stays as it
/// is.
pub(crate) fn raise() -> u64 {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => limit,
        Err(error) => {
            tracing::debug!(%error, "the limit of open files cannot be raised");
            rlimit::getrlimit(rlimit::Resource::NOFILE).map_or(u64::MAX, |(soft, _)| soft)
        }
    }
}

/// Sockets that leave files for everything else, with so many files.
fn sockets_with(limit: u64, is_over_connections: bool) -> u64 {
    limit.saturating_sub(OTHERS + if is_over_connections { CONNECTIONS } else { 0 })
}

/// Sockets there may be now, where calls between functions and services go over connections, or do not.
pub(crate) fn sockets(is_over_connections: bool) -> usize {
    let limit = rlimit::getrlimit(rlimit::Resource::NOFILE).map_or(u64::MAX, |(soft, _)| soft);
    usize::try_from(sockets_with(limit, is_over_connections)).unwrap_or(usize::MAX)
}

/// A line for whoever starts the program, if there may be few sockets.
pub(crate) fn notice(limit: u64, is_over_connections: bool) -> Option<String> {
    let sockets = sockets_with(limit, is_over_connections);
    (sockets < MANY).then(|| {
        format!(
            "  This process may open {limit} files, which is enough for about {sockets} sockets. More takes a higher hard limit (`ulimit -Hn`).\n"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_low_limit_is_worth_a_line_and_it_says_for_how_many_sockets_it_is() {
        assert!(notice(1024, false).unwrap().contains("about 800 sockets"));
        assert!(notice(1024, true).unwrap().contains("about 416 sockets"), "calls have files open, too");
        assert!(notice(100, false).unwrap().contains("about 0 sockets"));
        assert_eq!(notice(65_536, true), None);
    }
}
