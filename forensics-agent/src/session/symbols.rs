//! The kernel's symbols, read in the background: the 55 ms that this takes keep nobody waiting, unless the first
//! signal comes at once.

use std::{sync::mpsc, thread};

use crate::{kernel::kallsyms::Kallsyms, memory};

/// Names for kernel addresses, when the kernel tells them.
pub(super) enum Symbols {
    /// Being read.
    Loading(mpsc::Receiver<Option<Kallsyms>>),
    /// Read.
    Loaded(Kallsyms),
    /// Not to be had, which was said.
    None,
}

impl Symbols {
    /// Starts to read them.
    pub(super) fn load() -> Self {
        let (sender, receiver) = mpsc::channel();
        let read = move || {
            let symbols = Kallsyms::load_running();
            if let Err(error) = &symbols {
                log::warn!("{error}; how a signal came to be cannot be told");
            }
            memory::trim();
            // Nobody waits any more when the agent is on its way out.
            let _ = sender.send(symbols.ok());
        };
        match thread::Builder::new().name("kallsyms".to_owned()).spawn(read) {
            Ok(_) => Self::Loading(receiver),
            Err(error) => {
                log::warn!("cannot start a thread to read the kernel's symbols: {error}");
                Self::None
            }
        }
    }

    /// The names on a stack; what has none is written as a hexadecimal address.
    pub(super) fn names(&mut self, stack: &[u64]) -> Vec<String> {
        if let Self::Loading(receiver) = self {
            *self = receiver.recv().ok().flatten().map_or(Self::None, Self::Loaded);
        }
        match self {
            Self::Loaded(symbols) => symbols.names(stack),
            Self::Loading(_) | Self::None => stack.iter().map(|address| format!("{address:#x}")).collect(),
        }
    }

    /// True when stacks cannot be named.
    pub(super) fn are_hidden(&self) -> bool {
        matches!(self, Self::None)
    }
}
