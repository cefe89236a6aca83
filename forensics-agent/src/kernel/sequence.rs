//! Gaps in the numbering of records: how the agent knows that some were lost.

use std::collections::HashMap;

use super::records::Position;

/// Follows the sequence of each program on each CPU.
#[derive(Debug, Default)]
pub struct Sequences {
    last: HashMap<(u32, u32), u64>,
}

impl Sequences {
    /// Takes the next record; returns how many are missing before it.
    ///
    /// The programs count from 1 when they are loaded, so the first record too tells of losses before it.
    pub fn take(&mut self, position: Position) -> u64 {
        let last = self.last.entry((position.cpu, position.stream)).or_insert(0);
        let missing = position.seq.saturating_sub(*last).saturating_sub(1);
        *last = position.seq.max(*last);
        missing
    }

    /// CPU, program and number of the last record of each.
    pub fn last(&self) -> Vec<(u32, u32, u64)> {
        self.last.iter().map(|(&(cpu, stream), &seq)| (cpu, stream, seq)).collect()
    }

    /// Goes on after these, of programs that count since before the agent was there.
    pub fn go_on(&mut self, last: &[(u32, u32, u64)]) {
        self.last.extend(last.iter().map(|&(cpu, stream, seq)| ((cpu, stream), seq)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_is_missing_per_cpu_and_program() {
        let mut sequences = Sequences::default();
        let at = |cpu, stream, seq| Position { cpu, stream, seq, boot_ns: 0 };
        assert_eq!(sequences.take(at(0, 0, 1)), 0);
        assert_eq!(sequences.take(at(0, 0, 2)), 0);
        assert_eq!(sequences.take(at(1, 0, 3)), 2);
        assert_eq!(sequences.take(at(0, 1, 1)), 0);
        assert_eq!(sequences.take(at(0, 0, 7)), 4);
        assert_eq!(sequences.take(at(0, 0, 7)), 0);
    }
}
