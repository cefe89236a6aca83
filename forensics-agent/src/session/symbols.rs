//! The kernel's symbols, read in the background: the 55 ms that this takes keep nobody waiting, unless the first
//! signal comes at once.

use std::{
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use crate::{kernel::kallsyms::Kallsyms, memory};

/// Symbols are read anew no sooner than this after the start, for the sake of modules and programs that came later; then after
/// twice as long, and so on: some addresses have no name at all.
const AGAIN: Duration = Duration::from_secs(60);
/// And no later than this.
const AT_MOST: Duration = Duration::from_secs(3600);

/// Names for kernel addresses, when the kernel tells them.
pub(super) struct Symbols {
    table: Option<Kallsyms>,
    /// Being read.
    loading: Option<Receiver<Option<Kallsyms>>>,
    /// When reading last began.
    began: Instant,
    /// How long after that they are read anew, when that is needed.
    patience: Duration,
}

impl Symbols {
    /// Starts to read them.
    pub(super) fn load() -> Self {
        Self { table: None, loading: start(), began: Instant::now(), patience: AGAIN }
    }

    /// The names on a stack; what has none is written as a hexadecimal address. When there is such a one, the symbols are read
    /// again for the next stack.
    pub(super) fn names(&mut self, stack: &[u64]) -> Vec<String> {
        if let Some(loading) = &self.loading {
            let read = match &self.table {
                None => loading.recv().map_err(|_| mpsc::TryRecvError::Disconnected),
                Some(_) => loading.try_recv(),
            };
            match read {
                Err(mpsc::TryRecvError::Empty) => {}
                read => {
                    self.table = read.ok().flatten().or(self.table.take());
                    self.loading = None;
                }
            }
        }
        let Some(table) = &self.table else {
            return stack.iter().map(|address| format!("{address:#x}")).collect();
        };
        let is_new = |address: &u64| table.resolve(*address).is_none();
        if stack.iter().any(is_new) && self.loading.is_none() && self.began.elapsed() >= self.patience {
            self.began = Instant::now();
            self.patience = (self.patience * 2).min(AT_MOST);
            self.loading = start();
        }
        table.names(stack)
    }

    /// True when stacks cannot be named.
    pub(super) fn are_hidden(&self) -> bool {
        self.table.is_none() && self.loading.is_none()
    }
}

/// Reads them; nothing comes when they are not to be had, which is said once.
fn start() -> Option<Receiver<Option<Kallsyms>>> {
    let (sender, receiver) = mpsc::channel();
    let read = move || {
        let symbols = Kallsyms::load_running();
        if let Err(error) = &symbols {
            log::warn!("{error}; how a signal came to be cannot be told");
        }
        memory::trim();
        // The start is over by now, and the code that it took came back with it.
        memory::release_code();
        // Nobody waits any more when the agent is on its way out.
        let _ = sender.send(symbols.ok());
    };
    match thread::Builder::new().name("kallsyms".to_owned()).spawn(read) {
        Ok(_) => Some(receiver),
        Err(error) => {
            log::warn!("cannot start a thread to read the kernel's symbols: {error}");
            None
        }
    }
}
