//! Tests as functions that may fail, or say why they cannot run here.

use std::process::ExitCode;

use anyhow::Result;
use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::Skip;

/// A test. It fails with the error of `body`; with a [`Skip`] it is skipped for that reason.
pub fn test(name: &str, body: impl FnOnce() -> Result<()> + Send + 'static) -> Trial {
    Trial::ignorable_test(name, move || match body() {
        Ok(()) => Ok(Completion::Completed),
        Err(error) => match error.downcast_ref::<Skip>() {
            Some(Skip(reason)) => Ok(Completion::ignored_with(reason)),
            None => Err(Failed::from(format!("{error:?}"))),
        },
    })
}

/// The `main` of a test program: runs those of `tests` that the command line asks for.
pub fn main(tests: Vec<Trial>) -> ExitCode {
    libtest_mimic::run(&Arguments::from_args(), tests).exit_code()
}
