//! The target among its kin: ancestors above it, descendants below.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::Redact;
use super::processes::{Entry, command};

/// Lines of the tree.
const LINES_MAX: usize = 60;

/// The tree around `pid`, which is marked.
pub(super) fn tree(pid: u32, entries: &[Entry], deadline: Instant, redact: &Redact) -> Vec<String> {
    let by_pid: BTreeMap<u32, &Entry> = entries.iter().map(|entry| (entry.stat.pid, entry)).collect();
    let mut rows = rows(pid, |pid| by_pid.get(&pid).map(|entry| entry.stat.ppid), entries);
    if !by_pid.contains_key(&pid) {
        return vec![format!("process {pid} does not exist any more")];
    }
    let hidden = rows.len().saturating_sub(LINES_MAX);
    rows.truncate(LINES_MAX);
    let line = |(depth, row): (usize, u32)| {
        let shown = by_pid.get(&row).map(|entry| command(&entry.stat, deadline, redact)).unwrap_or_default();
        let mark = if row == pid { " <== the target" } else { "" };
        format!("{}{row} {shown}{mark}", "  ".repeat(depth.min(40)))
    };
    let mut lines: Vec<_> = rows.into_iter().map(line).collect();
    if hidden > 0 {
        lines.push(format!("... and {hidden} more"));
    }
    lines
}

/// Depths and pids in the order of the tree. Processes come and go while they are read, so that even a cycle is possible:
/// nobody is visited twice.
fn rows(pid: u32, parent_of: impl Fn(u32) -> Option<u32>, entries: &[Entry]) -> Vec<(usize, u32)> {
    let mut seen = BTreeSet::from([pid]);
    let mut ancestors = Vec::new();
    let mut next = parent_of(pid);
    while let Some(parent) = next.filter(|&parent| parent != 0 && seen.insert(parent)) {
        ancestors.push(parent);
        next = parent_of(parent);
    }
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in entries.iter().rev() {
        children.entry(entry.stat.ppid).or_default().push(entry.stat.pid);
    }
    let mut rows: Vec<_> = ancestors.into_iter().rev().enumerate().collect();
    let mut stack = vec![(rows.len(), pid)];
    while let Some((depth, row)) = stack.pop() {
        rows.push((depth, row));
        let unseen = children.get(&row).into_iter().flatten().filter(|&&child| seen.insert(child));
        stack.extend(unseen.map(|&child| (depth + 1, child)));
    }
    rows
}
