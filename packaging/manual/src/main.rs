//! `forensics-manual DIRECTORY`: writes the manual pages and the completions of `forensics-agent` there, for its package.
//!
//! A program of its own, so that the agent does not carry what makes them.

mod completions;
mod pages;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{CommandFactory as _, Parser};
use forensics_agent::cli::Cli;

/// Writes the manual pages and the completions of forensics-agent
#[derive(Parser)]
struct Args {
    /// Where `man`, `bash`, `zsh` and `fish` are made
    directory: PathBuf,
}

fn main() -> Result<()> {
    let Args { directory } = Args::parse();
    for (name, text) in pages::all(&Cli::command())? {
        write(&directory.join("man").join(name), &text)?;
    }
    for (name, text) in completions::all(&mut Cli::command()) {
        write(&directory.join(name), &text)?;
    }
    Ok(())
}

fn write(path: &Path, text: &[u8]) -> Result<()> {
    let parent = path.parent().context("a file is in no directory")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
