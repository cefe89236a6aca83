//! A program of the host that is asked a question: no shell, nothing of the agent's environment, no more output
//! than asked for.
//!
//! Whoever asks sets the deadline around it: the program is killed when the future is dropped.

use std::process::Stdio;

use forensics_incident::text;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

/// What is kept of an error message at most, bytes.
const MAX_COMPLAINT: u64 = 4096;

/// What a program said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its standard output, up to the limit.
    pub stdout: Vec<u8>,
    /// There was more.
    pub cut: bool,
}

/// A program with an environment that gives nothing away: the child may run as a user who can read it there.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("LC_ALL", "C")
        .env("PATH", "/usr/local/bin:/usr/bin:/bin:/run/current-system/sw/bin")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs a program of [`command`] and reads `limit` bytes of its output at most.
///
/// # Errors
/// A part of a sentence: it cannot be run, or failed, with the first line of what it complained of.
pub async fn run(mut command: Command, limit: u64) -> Result<Said, String> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().map_err(|error| format!("{name} cannot be run: {error}"))?;
    let (stdout, stderr) =
        tokio::join!(read(child.stdout.take(), limit), read(child.stderr.take(), MAX_COMPLAINT));
    let cut = stdout.len() as u64 >= limit;
    if cut {
        // Its pipe is closed, and it ends of that, or with the value.
        return Ok(Said { stdout, cut });
    }
    let status = child.wait().await.map_err(|error| format!("{name} was lost: {error}"))?;
    if !status.success() {
        let stderr = String::from_utf8_lossy(&stderr);
        let first = stderr.lines().next().map(str::to_owned);
        let first = first.unwrap_or_else(|| format!("{name} failed without a word"));
        return Err(text::escape(first.trim_end_matches('.')));
    }
    Ok(Said { stdout, cut })
}

/// Reads a pipe to its end or to the limit, and closes it.
async fn read(pipe: Option<impl AsyncRead + Unpin>, limit: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        // What came before an error is as good as what there is.
        let _ = pipe.take(limit).read_to_end(&mut bytes).await;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sh(script: &str, limit: u64) -> Result<Said, String> {
        let mut command = command("sh");
        command.args(["-c", script]);
        run(command, limit).await
    }

    #[tokio::test]
    async fn what_it_says_up_to_a_limit() {
        let said = |text: &str, cut| Ok(Said { stdout: text.as_bytes().to_vec(), cut });
        assert_eq!(sh("echo a", 64).await, said("a\n", false));
        assert_eq!(sh("exec yes", 4).await, said("y\ny\n", true));
    }

    #[tokio::test]
    async fn what_it_complains_of() {
        assert_eq!(sh("printf 'no\\033.\\nmore' >&2; exit 1", 64).await, Err("no\\x1b".to_owned()));
        assert_eq!(sh("exit 3", 64).await, Err("sh failed without a word".to_owned()));
        let missing = run(command("/nowhere/tool"), 64).await;
        assert!(missing.is_err_and(|why| why.starts_with("/nowhere/tool cannot be run")));
    }

    #[tokio::test]
    async fn nothing_of_the_environment() {
        let said = sh("echo \"$HOME$CARGO\"; test -t 0 || cat", 64).await;
        assert_eq!(said.map(|said| said.stdout), Ok(b"\n".to_vec()));
    }
}
