//! Pressure stall information: `kernel/sched/psi.c` `psi_show()`.

use std::path::Path;

use forensics_incident::model::Stall;

/// Reads a pressure file, of the host or of a cgroup.
pub(super) fn read(path: &Path) -> Option<Stall> {
    parse(&super::text(path)?)
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, and the same with `full`.
fn parse(text: &str) -> Option<Stall> {
    let line = |kind: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(kind)?.strip_prefix(' '))?;
        let value = |key: &str| line.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
        let average: f64 = value("avg10")?.parse().ok()?;
        Some((average, value("total")?.trim().parse().ok()?)).filter(|_| average.is_finite())
    };
    let (some_avg10, some_total_us) = line("some")?;
    let (full_avg10, full_total_us) = line("full").unzip();
    Some(Stall { some_avg10, some_total_us, full_avg10, full_total_us })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lines() {
        let text = "some avg10=61.99 avg60=38.05 avg300=33.01 total=201705368\n\
                    full avg10=0.10 avg60=0.26 avg300=0.22 total=4956273\n";
        let stall = Stall {
            some_avg10: 61.99,
            some_total_us: 201_705_368,
            full_avg10: Some(0.1),
            full_total_us: Some(4_956_273),
        };
        assert_eq!(parse(text), Some(stall));
    }

    /// Before 5.13 the file of the processor has no second line.
    #[test]
    fn one_line() {
        let stall = parse("some avg10=0.00 avg60=0.00 avg300=0.00 total=7\n");
        assert_eq!(stall, Some(Stall { some_total_us: 7, ..Stall::default() }));
        for junk in ["", "some", "some avg10=x total=1", "some avg10=NaN total=1", "some avg10=1.00"] {
            assert_eq!(parse(junk), None, "{junk}");
        }
    }
}
