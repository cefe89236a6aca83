//! `detach`: the kernel programs that outlived their agent are removed.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::{Format, Globals};
use crate::kernel::pins::{self, PinError, Pins, Removed};

use super::failure::Failure;

/// Options of `detach`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where they are pinned, as `watch --persist=DIR` was told
    #[arg(value_name = "DIR", default_value = pins::DEFAULT_DIRECTORY)]
    pub directory: PathBuf,
}

#[derive(Serialize)]
struct Line<'a> {
    schema: &'static str,
    directory: &'a Path,
    programs: usize,
    maps: usize,
}

/// Runs the command and yields the exit status.
///
/// # Errors
/// See [`Failure`]; 1 while an agent is at work with them.
pub fn run(globals: &Globals, args: &Args) -> Result<u8, Failure> {
    let removed = remove(&args.directory)?;
    let mut out = io::stdout().lock();
    let Removed { links: programs, maps } = removed;
    let directory = args.directory.as_path();
    let printed = match globals.output {
        Format::Json => {
            let line = Line { schema: "forensics-agent/detach/1", directory, programs, maps };
            serde_json::to_writer(&mut out, &line).map_err(io::Error::from).and_then(|()| writeln!(out))
        }
        Format::Text if globals.quiet => Ok(()),
        Format::Text if removed.is_nothing() => writeln!(out, "nothing is pinned in {}", directory.display()),
        Format::Text => {
            writeln!(out, "removed {programs} programs and {maps} maps from {}", directory.display())
        }
    };
    printed.map_err(|error| Failure::output(&error))?;
    Ok(0)
}

fn remove(directory: &Path) -> Result<Removed, Failure> {
    let pins = match Pins::take(directory) {
        Ok(pins) => pins,
        // Where nothing can be pinned, nothing is.
        Err(PinError::NoFileSystem { .. }) => return Ok(Removed::default()),
        Err(PinError::Failed { path, why })
            if why.kind() == io::ErrorKind::NotFound && Some(path.as_path()) == directory.parent() =>
        {
            return Ok(Removed::default());
        }
        Err(why @ PinError::Held { .. }) => {
            return Err(Failure { code: 1, message: format!("{why}; stop it first") });
        }
        Err(why) => return Err(Failure::kernel(why.to_string())),
    };
    let failed = |why: PinError| Failure::kernel(why.to_string());
    pins.next().remove().map_err(failed)?;
    let removed = pins.remove().map_err(failed)?;
    pins.forget().map_err(failed)?;
    Ok(removed)
}
