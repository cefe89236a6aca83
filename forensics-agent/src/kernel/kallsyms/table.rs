//! A compact table of names by address.

/// Symbols that are kept; a distribution's kernel with all its modules has some 200,000.
const MAX_SYMBOLS: usize = 1_000_000;

/// Collects symbols in any order.
#[derive(Debug, Default)]
pub(super) struct Builder {
    /// Address, and where the name starts in `names`.
    symbols: Vec<(u64, u32)>,
    names: String,
}

impl Builder {
    /// Adds a symbol; drops it when the table is full. A tab in the name (before the module) becomes a space.
    pub(super) fn push(&mut self, address: u64, name: &str) {
        let (Ok(at), true) = (u32::try_from(self.names.len()), self.symbols.len() < MAX_SYMBOLS) else {
            return;
        };
        self.symbols.push((address, at));
        self.names.extend(name.chars().map(|c| if c == '\t' { ' ' } else { c }));
        self.names.push('\n');
    }

    /// The table; none when there is no symbol.
    pub(super) fn finish(mut self) -> Option<Table> {
        // Stable, and of several names of one address the first stays: so does the kernel's own lookup.
        self.symbols.sort_by_key(|(address, _)| *address);
        self.symbols.dedup_by_key(|(address, _)| *address);
        if self.symbols.is_empty() {
            return None;
        }
        self.names.shrink_to_fit();
        let mut table = Table {
            segments: Vec::new(),
            starts: Vec::with_capacity(self.symbols.len()),
            name_at: self.symbols.iter().map(|(_, at)| *at).collect(),
            names: self.names,
        };
        let mut base = None;
        for (index, (address, _)) in self.symbols.iter().enumerate() {
            let start = base.and_then(|base| u32::try_from(address - base).ok()).unwrap_or_else(|| {
                base = Some(*address);
                table.segments.push((*address, index));
                0
            });
            table.starts.push(start);
        }
        Some(table)
    }
}

/// Symbols by address: 8 bytes each and the name.
#[derive(Debug)]
pub(super) struct Table {
    /// Runs of symbols within 4 GiB of a base: the base and the index of the first, ascending.
    segments: Vec<(u64, usize)>,
    /// Address less the base of the segment, by index.
    starts: Vec<u32>,
    /// Start of the name, by index.
    name_at: Vec<u32>,
    /// The names, each ended by a line feed.
    names: String,
}

impl Table {
    /// The last symbol that starts at or before an address, and where it starts.
    pub(super) fn at_or_before(&self, address: u64) -> Option<(u64, &str)> {
        let segment = self.segments.partition_point(|(base, _)| *base <= address).checked_sub(1)?;
        let (base, first) = *self.segments.get(segment)?;
        let end = self.segments.get(segment + 1).map_or(self.starts.len(), |(_, index)| *index);
        let offset = address - base;
        let starts = self.starts.get(first..end)?;
        let index = first + starts.partition_point(|start| u64::from(*start) <= offset).checked_sub(1)?;
        let name = self.names.get(*self.name_at.get(index)? as usize..)?;
        Some((base + u64::from(*self.starts.get(index)?), name.split('\n').next()?))
    }
}
