//! One connection: calls are answered in their order, as long as the peer keeps to the deadlines.

use std::io;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use super::admission::Ticket;
use super::interface::Desk;
use super::message::{self, Call};
use super::peer::Peer;

/// Longest call, bytes. Those that mean something have some hundred.
const CALL_CAP: usize = 16 << 10;
/// How long a peer may be silent, or take for one call.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a peer may take to read a reply that does not fit into its socket.
const READ_PATIENCE: Duration = Duration::from_secs(1);
/// How long one that asks too often is made to wait at a time.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves a peer until it leaves, or does not keep to the protocol.
pub(super) async fn serve(mut stream: UnixStream, peer: Peer, ticket: Ticket, desk: Desk) {
    let mut buffer = Vec::new();
    while let Ok(Ok(Some(bytes))) = timeout(PATIENCE, next_call(&mut stream, &mut buffer)).await {
        // What is no call cannot be answered: the protocol has no error for it.
        let Some(call) = Call::parse(&bytes) else { break };
        while !ticket.may_call(Instant::now()) {
            sleep(PAUSE).await;
        }
        let silent = call.oneway == Some(true);
        let result = desk.answer(&peer, call).await;
        if silent {
            continue;
        }
        let written = timeout(READ_PATIENCE, stream.write_all(&message::reply(&result))).await;
        if !matches!(written, Ok(Ok(()))) {
            break;
        }
        // A peer that has sent many calls at once is not the only one.
        tokio::task::yield_now().await;
    }
}

/// The next call without its NUL. None when the peer has closed; what comes after the call stays in `buffer`.
async fn next_call(stream: &mut UnixStream, buffer: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    loop {
        if let Some(end) = buffer.iter().position(|&byte| byte == 0) {
            let rest = buffer.split_off(end + 1);
            let mut call = std::mem::replace(buffer, rest);
            call.pop();
            return Ok(Some(call));
        }
        if buffer.len() >= CALL_CAP {
            return Err(io::Error::other("the call is too long"));
        }
        let room = (CALL_CAP - buffer.len()) as u64;
        if (&mut *stream).take(room).read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn calls_are_cut_at_their_nul() {
        let (mut ours, mut theirs) = UnixStream::pair().expect("a pair");
        let mut buffer = Vec::new();
        theirs.write_all(b"{\"a\":1}\0{}\0{").await.expect("written");
        assert_eq!(next_call(&mut ours, &mut buffer).await.expect("read"), Some(b"{\"a\":1}".to_vec()));
        assert_eq!(next_call(&mut ours, &mut buffer).await.expect("read"), Some(b"{}".to_vec()));
        theirs.write_all(b"}\0").await.expect("written");
        assert_eq!(next_call(&mut ours, &mut buffer).await.expect("read"), Some(b"{}".to_vec()));
        theirs.write_all(&vec![b' '; CALL_CAP]).await.expect("written");
        next_call(&mut ours, &mut buffer).await.expect_err("too long");
        assert!(buffer.len() <= 2 * CALL_CAP, "{}", buffer.len());
        drop(theirs);
        buffer.clear();
        assert_eq!(next_call(&mut ours, &mut buffer).await.expect("closed"), None);
    }
}
