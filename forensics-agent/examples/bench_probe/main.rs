//! Measures what can only be measured from within the library; `cargo xtask bench` drives it.

mod programs;
mod snapshot;
mod stored;

use anyhow::{Context as _, Result, bail};

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    match words.next().context("nothing to measure")?.as_str() {
        "programs" => programs::run(),
        "snapshot" => snapshot::run(words),
        "stored" => stored::run(words),
        other => bail!("{other:?} is none of programs, snapshot and stored"),
    }
}
