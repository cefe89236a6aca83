//! The socket, and who comes through it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use super::admission::Admission;
use super::connection::serve;
use super::interface::Desk;
use super::peer::Peer;
use super::{Ask, place};

/// Questions that wait for the run of the agent.
const QUEUE: usize = 128;
/// How long to wait when there are no more descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Why nobody can ask.
#[derive(Debug, Error)]
pub enum SocketError {
    /// Something is there already.
    #[error("{} belongs to {by}", path.display())]
    Occupied {
        /// The path.
        path: PathBuf,
        /// What is there.
        by: &'static str,
    },
    /// The operating system refused.
    #[error("{}: {why}", path.display())]
    Failed {
        /// The socket or its directory.
        path: PathBuf,
        /// What the operating system said.
        why: io::Error,
    },
}

/// The socket while it is listened at. Dropping it closes all connections and removes it.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    /// The file that was made there: another agent's is not ours to remove.
    inode: Option<u64>,
    asks: mpsc::Receiver<Ask>,
    listening: JoinHandle<()>,
}

impl Server {
    /// Begins to listen. To be called within the event loop.
    ///
    /// # Errors
    /// [`SocketError`].
    pub fn start(path: &Path) -> Result<Self, SocketError> {
        let failed = |why| SocketError::Failed { path: path.to_owned(), why };
        let listener = UnixListener::from_std(place::listen(path)?).map_err(failed)?;
        let (sender, asks) = mpsc::channel(QUEUE);
        let listening = tokio::spawn(accept_all(listener, Desk::new(sender)));
        Ok(Self { path: path.to_owned(), inode: inode(path), asks, listening })
    }

    /// Waits for a question.
    pub async fn next(&mut self) -> Ask {
        match self.asks.recv().await {
            Some(ask) => ask,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.listening.abort();
        if self.inode.is_some() && inode(&self.path) == self.inode {
            // A socket that stays is replaced by the next agent.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn inode(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::symlink_metadata(path).ok().map(|file| file.ino())
}

async fn accept_all(listener: UnixListener, desk: Desk) {
    let admission = Admission::default();
    // Connections end with it.
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors or memory, which those who are connected may give back.
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let Ok(peer) = Peer::of(&stream) else { continue };
        // One too many is turned away at once, so that it does not wait in vain.
        let Some(ticket) = admission.admit(peer.uid, Instant::now()) else { continue };
        connections.spawn(serve(stream, peer, ticket, desk.clone()));
    }
}
