//! The lines that a program prints, as they come.

use std::io::{BufRead as _, BufReader, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Reads a stream in a thread of its own, so that waiting for a line can have a deadline.
#[derive(Debug)]
pub(crate) struct Lines {
    receiver: Receiver<Vec<u8>>,
}

impl Lines {
    pub(crate) fn new(stream: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            loop {
                let mut line = Vec::new();
                match stream.read_until(b'\n', &mut line) {
                    Ok(1..) if sender.send(line).is_ok() => {}
                    _ => break,
                }
            }
        });
        Self { receiver }
    }

    /// The next line with its line feed; none at the end of the stream.
    pub(crate) fn next(&self, deadline: Instant) -> Result<Option<String>> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.receiver.recv_timeout(left.max(Duration::from_millis(1))) {
            Ok(line) => Ok(Some(String::from_utf8_lossy(&line).into_owned())),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => bail!("no line came in time"),
        }
    }
}
