//! The report for people.

use std::fmt::{self, Display, Formatter};

use crate::report::{Memory, Percentiles, Report};

/// The report as a table.
pub(crate) fn of(report: &Report) -> impl Display {
    fmt::from_fn(move |f| {
        head(f, report)?;
        if report.mutations > 0 {
            latencies(f, report)?;
            deliveries(f, report)?;
        }
        connecting(f, report)?;
        match &report.memory_bytes {
            Some(memory) => memory_of(f, memory),
            None => writeln!(f, "memory       not known: it takes Linux and, with --url, --pid"),
        }
    })
}

fn head(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    let Report { sockets, users, mutations, edge, .. } = report;
    if *mutations == 0 {
        return writeln!(f, "{sockets} sockets on edge {edge}");
    }
    let pace = match (report.clients, report.rate) {
        (Some(_), _) => "each client as fast as it is answered".to_owned(),
        (None, 0.0) => "one after another".to_owned(),
        (None, rate) => format!("{rate} per second"),
    };
    writeln!(f, "{sockets} sockets on edge {edge}, {mutations} renames of {users} users, {pace}")?;
    if report.history > 0 {
        writeln!(f, "{} renames were made before", report.history)?;
    }
    if report.debug_build {
        writeln!(f, "A debug build: the counts hold, the times mean nothing. Use cargo run --release.")?;
    }
    if report.sent < *mutations {
        writeln!(f, "Stopped after {} renames, as the last one was not heard by all sockets.", report.sent)?;
    }
    Ok(())
}

fn latencies(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    writeln!(f, "\n{:<22}{:>9}{:>9}{:>9}{:>9}", "ms from the request to", "p50", "p90", "p99", "max")?;
    let latencies = &report.milliseconds;
    for (name, Percentiles { p50, p90, p99, max }) in [
        ("response", latencies.response),
        ("first socket", latencies.first_socket),
        ("median socket", latencies.median_socket),
        ("last socket", latencies.last_socket),
    ] {
        writeln!(f, "  {name:<20}{p50:>9.2}{p90:>9.2}{p99:>9.2}{max:>9.2}")?;
    }
    Ok(())
}

fn deliveries(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    let heard = &report.deliveries;
    writeln!(
        f,
        "\ndeliveries   {} of {} in {:.2} s, {:.0} per second, of {:.0} changes per second",
        heard.received, heard.expected, report.run_seconds, heard.per_second, report.changes_per_second
    )?;
    if let Some(microseconds) = report.processor_microseconds_per_delivery {
        writeln!(f, "processor    {microseconds:.0} µs of the server for each delivery")?;
    }
    if report.silent > 0 {
        writeln!(
            f,
            "silent       {} sockets that did not read, {} of them still open",
            report.silent, report.silent_open
        )?;
    }
    writeln!(
        f,
        "faults       {} missing, {} doubled, {} reordered, {} sockets lost",
        heard.missing,
        heard.doubled,
        heard.reordered,
        heard.lost_sockets.len()
    )?;
    Ok(())
}

fn connecting(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    let (seconds, rate) = (report.connecting_seconds, report.connects_per_second);
    writeln!(f, "connecting   {seconds:.2} s for all sockets, {rate:.0} per second")?;
    if let Some(why) = report.deliveries.lost_sockets.first() {
        writeln!(f, "             the first socket was lost because: {why}")?;
    }
    Ok(())
}

fn memory_of(f: &mut Formatter<'_>, memory: &Memory) -> fmt::Result {
    let mb = |bytes: u64| bytes as f64 / 1e6;
    writeln!(
        f,
        "memory       {:.1} MB idle, {:.1} MB before sockets, {:.1} MB with them ({:.1} kB each), {:.1} MB after the run, \
         {:.1} MB at most",
        mb(memory.idle),
        mb(memory.before_sockets),
        mb(memory.with_sockets),
        memory.per_socket as f64 / 1e3,
        mb(memory.after_run),
        mb(memory.peak)
    )
}
