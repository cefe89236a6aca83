//! How the socket gets to its place.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use super::server::SocketError;

/// Listens at a path, which anyone may connect to: what each may see is decided by who it is. A directory that is not there
/// is made, for all to enter. A socket that nobody listens at any more is replaced; any other file stays.
pub(super) fn listen(path: &Path) -> Result<UnixListener, SocketError> {
    let failed = |why| SocketError::Failed { path: path.to_owned(), why };
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        // The agent's own umask may be that of a service which keeps its files to itself.
        if !directory.exists() {
            DirBuilder::new().recursive(true).mode(0o755).create(directory).map_err(failed)?;
            std::fs::set_permissions(directory, Permissions::from_mode(0o755)).map_err(failed)?;
        }
    }
    match std::fs::symlink_metadata(path) {
        Ok(file) if !file.file_type().is_socket() => {
            return Err(SocketError::Occupied { path: path.to_owned(), by: "a file that is no socket" });
        }
        Ok(_) if UnixStream::connect(path).is_ok() => {
            return Err(SocketError::Occupied { path: path.to_owned(), by: "another agent" });
        }
        // Nobody listens there any more.
        Ok(_) => std::fs::remove_file(path).map_err(failed)?,
        Err(why) if why.kind() == io::ErrorKind::NotFound => {}
        Err(why) => return Err(failed(why)),
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o666)).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_replaced_only_when_it_is_dead() {
        let directory = std::env::temp_dir().join(format!("forensics-socket-{}", std::process::id()));
        let path = directory.join("below/agent.sock");
        let first = listen(&path).expect("nothing is there");
        let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&directory.join("below"))), (0o666, 0o755));
        assert!(matches!(listen(&path), Err(SocketError::Occupied { by: "another agent", .. })));
        drop(first);
        listen(&path).expect("nobody listens any more");
        std::fs::remove_file(&path).expect("a socket");
        std::fs::write(&path, "mine").expect("a file");
        assert!(matches!(listen(&path), Err(SocketError::Occupied { .. })));
        assert_eq!(std::fs::read(&path).expect("still there"), b"mine");
        std::fs::remove_dir_all(&directory).expect("our directory");
    }
}
