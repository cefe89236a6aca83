use std::ffi::CStr;

use super::dir::ProcDir;
use rustix::io::Errno;

/// What the agent keeps of an environment; everything else is dropped unread, since that is where secrets live.
///
/// It is the environment that the program was started with: later `setenv(3)` calls do not show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environ {
    /// `INVOCATION_ID`, set by systemd for services.
    pub invocation_id: Option<String>,
    /// `JOURNAL_STREAM`, set by systemd when stdout or stderr is the journal.
    pub journal_stream: Option<String>,
    /// `HERMES_HOME`, in whatever bytes it was given.
    pub hermes_home: Option<Vec<u8>>,
    /// Which of the names are there by which CI systems find what a job leaves behind; their values are not kept.
    pub job_cookies: Vec<&'static str>,
}

/// Names by which CI systems find what a job leaves behind. An empty value is how a process is kept from it.
const JOB_COOKIES: [&str; 6] = [
    "BUILD_ID",
    "CI_JOB_ID",
    "HUDSON_SERVER_COOKIE",
    "JENKINS_NODE_COOKIE",
    "JENKINS_SERVER_COOKIE",
    "RUNNER_TRACKING_ID",
];

/// How much of an environment is looked at, bytes; `execve(2)` allows a quarter of the stack limit, 2 MiB by default.
const ENVIRON_CAP: usize = 2 << 20;

impl Environ {
    /// Reads `/proc/PID/environ` into `buffer` and picks from it; `waits` as for [`ProcDir::read_memory`].
    ///
    /// # Errors
    /// `EACCES` without the right to ptrace the process, `ESRCH` or `ENOENT` when it is gone, `ETIMEDOUT`.
    pub fn read(dir: &ProcDir, buffer: &mut Vec<u8>, waits: bool) -> Result<Environ, Errno> {
        dir.read_memory(c"environ", buffer, ENVIRON_CAP, waits)?;
        let environ = Environ::parse(buffer);
        buffer.clear();
        Ok(environ)
    }

    /// Picks from NUL-separated `NAME=value` entries; the first of equal names counts, as for `getenv(3)`,
    /// and an empty value counts as none.
    pub fn parse(bytes: &[u8]) -> Environ {
        let mut environ = Environ::default();
        let mut rest = bytes;
        while !rest.is_empty() {
            // Finds the NUL a word at a time, where a closure would look at each byte. The last entry may be cut off.
            let entry = CStr::from_bytes_until_nul(rest).map_or(rest, CStr::to_bytes);
            rest = rest.get(entry.len() + 1..).unwrap_or_default();
            // Most entries begin otherwise, which is seen without a call.
            if !matches!(entry.first(), Some(b'B' | b'C' | b'H' | b'I' | b'J' | b'R')) {
                continue;
            }
            if let Some(value) = entry.strip_prefix(b"INVOCATION_ID=") {
                environ.invocation_id.get_or_insert_with(|| lossy(value));
            } else if let Some(value) = entry.strip_prefix(b"JOURNAL_STREAM=") {
                environ.journal_stream.get_or_insert_with(|| lossy(value));
            } else if let Some(value) = entry.strip_prefix(b"HERMES_HOME=") {
                environ.hermes_home.get_or_insert_with(|| value.to_vec());
            } else if let Some(name) = job_cookie(entry)
                && !environ.job_cookies.contains(&name)
            {
                environ.job_cookies.push(name);
            }
        }
        environ.invocation_id = environ.invocation_id.filter(|value| !value.is_empty());
        environ.journal_stream = environ.journal_stream.filter(|value| !value.is_empty());
        environ.hermes_home = environ.hermes_home.filter(|value| !value.is_empty());
        environ
    }
}

/// The name of an entry that is one of [`JOB_COOKIES`] and has a value.
fn job_cookie(entry: &[u8]) -> Option<&'static str> {
    let value = |name: &str| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=");
    JOB_COOKIES.into_iter().find(|name| value(name).is_some_and(|value| !value.is_empty()))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_three_values_and_nothing_else() {
        let bytes = b"TOKEN=s3cret\0INVOCATION_ID=\0HERMES_HOME=/h\xff\0HERMES_HOME=/other\0XJOURNAL_STREAM=1\0JOURNAL_STREAM=8:1\0";
        let expected = Environ {
            invocation_id: None,
            journal_stream: Some("8:1".to_owned()),
            hermes_home: Some(b"/h\xff".to_vec()),
            job_cookies: Vec::new(),
        };
        assert_eq!(Environ::parse(bytes), expected);
    }

    #[test]
    fn of_job_cookies_only_the_names_are_kept() {
        let bytes = b"JENKINS_NODE_COOKIE=s3cret\0BUILD_ID=\0BUILD_ID_X=1\0RUNNER_TRACKING_ID=github_1\0RUNNER_TRACKING_ID=2\0BUILD";
        let environ = Environ::parse(bytes);
        assert_eq!(environ.job_cookies, ["JENKINS_NODE_COOKIE", "RUNNER_TRACKING_ID"]);
        assert!(!format!("{environ:?}").contains("s3cret"));
    }
}
