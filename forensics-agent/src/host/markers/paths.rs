use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::fs::CWD;

use super::MarkerSpec;
use super::file::{FileError, open_root, read_file};

/// Largest `/etc/passwd` that is read, bytes.
const PASSWD_CAP: usize = 1 << 20;

/// Why a path could not be made. The texts continue a sentence that begins with what was to be found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HomeError {
    /// The target's `/etc/passwd` was not read.
    #[error("/etc/passwd of the target {0}")]
    Passwd(FileError),
    /// The user is not in it, or has no home: there is no such path, and no marker in it.
    #[error("uid {0} has no home in the target's /etc/passwd")]
    NoHome(u32),
    /// Relative to a directory that only the target knows.
    #[error("{0} is not an absolute path")]
    Relative(String),
    /// The configured path has a `%` that is not followed by `h`, `H` or `%`.
    #[error("unknown placeholder in the path {0}")]
    Placeholder(String),
}

/// Beneath which root the paths of a target mean something.
#[derive(Debug, Clone, Copy)]
pub(super) enum Root<'a> {
    /// The agent's own, which is opened only where it is needed.
    Own,
    /// That of the target.
    Of(BorrowedFd<'a>),
}

/// Makes the paths of one target, and looks its home up once at most.
pub(super) struct Paths<'a> {
    pub(super) root: Root<'a>,
    pub(super) uid: u32,
    pub(super) hermes_home: Option<&'a [u8]>,
    pub(super) home: Option<Result<Vec<u8>, HomeError>>,
}

impl Paths<'_> {
    /// The path of a marker as the target sees it.
    ///
    /// # Errors
    /// [`HomeError`]
    pub(super) fn path_of(&mut self, spec: &MarkerSpec) -> Result<Vec<u8>, HomeError> {
        let mut path = Vec::new();
        let mut bytes = spec.path.bytes();
        while let Some(byte) = bytes.next() {
            if byte != b'%' {
                path.push(byte);
                continue;
            }
            match bytes.next() {
                Some(b'%') => path.push(b'%'),
                Some(b'h') => path.extend(self.home()?),
                Some(b'H') => path.extend(self.hermes_home()?),
                _ => return Err(HomeError::Placeholder(spec.path.clone())),
            }
        }
        absolute(path)
    }

    /// `HERMES_HOME` of the target, else `~/.hermes` of its user.
    ///
    /// # Errors
    /// [`HomeError`]
    pub(super) fn hermes_home(&mut self) -> Result<Vec<u8>, HomeError> {
        match self.hermes_home {
            Some(home) => absolute(home.to_vec()),
            None => self.home().map(|home| [home.as_slice(), b"/.hermes"].concat()),
        }
    }

    fn home(&mut self) -> Result<Vec<u8>, HomeError> {
        let (root, uid) = (self.root, self.uid);
        self.home.get_or_insert_with(|| lookup_home(root, uid)).clone()
    }
}

fn absolute(path: Vec<u8>) -> Result<Vec<u8>, HomeError> {
    match path.first() {
        Some(b'/') => Ok(path),
        _ => Err(HomeError::Relative(String::from_utf8_lossy(&path).into_owned())),
    }
}

fn lookup_home(root: Root<'_>, uid: u32) -> Result<Vec<u8>, HomeError> {
    let read = |root: BorrowedFd<'_>| read_file(root, b"/etc/passwd", &[uid, 0], PASSWD_CAP);
    let passwd = match root {
        Root::Own => open_root(CWD, c"/").map_err(FileError::from).and_then(|root| read(root.as_fd())),
        Root::Of(root) => read(root),
    };
    match passwd {
        Ok(image) => home_in_passwd(&image.bytes, uid).ok_or(HomeError::NoHome(uid)),
        Err(FileError::Absent) => Err(HomeError::NoHome(uid)),
        Err(error) => Err(HomeError::Passwd(error)),
    }
}

/// The home of the first line with that uid, see `passwd(5)`.
fn home_in_passwd(text: &[u8], uid: u32) -> Option<Vec<u8>> {
    let uid = uid.to_string();
    text.split(|&b| b == b'\n').find_map(|line| {
        let mut fields = line.split(|&b| b == b':');
        let is_user = fields.nth(2)? == uid.as_bytes();
        let home = fields.nth(2)?;
        (is_user && home.first() == Some(&b'/')).then(|| home.strip_suffix(b"/").unwrap_or(home).to_vec())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes() {
        let passwd =
            b"root:x:0:0:root:/root:/bin/bash\n#\nbad\nw:x:33:33::/var/\xff:/bin/sh\nrel:x:34:1::home:/x\n";
        assert_eq!(home_in_passwd(passwd, 0).as_deref(), Some(b"/root".as_slice()));
        assert_eq!(home_in_passwd(passwd, 33).as_deref(), Some(b"/var/\xff".as_slice()));
        assert_eq!(home_in_passwd(passwd, 34), None);
        assert_eq!(home_in_passwd(passwd, 3), None);
    }

    #[test]
    fn placeholders() {
        let path_of = |hermes_home: Option<&[u8]>, path: &str| {
            let mut spec = MarkerSpec::builtin().remove(0);
            spec.path = path.to_owned();
            let home = Some(Ok(b"/home/u".to_vec()));
            Paths { root: Root::Own, uid: 1, hermes_home, home }.path_of(&spec)
        };
        assert_eq!(path_of(None, "%H/a%%b"), Ok(b"/home/u/.hermes/a%b".to_vec()));
        assert_eq!(path_of(Some(b"/x"), "%H/a"), Ok(b"/x/a".to_vec()));
        assert_eq!(path_of(Some(b"/x"), "%h/a"), Ok(b"/home/u/a".to_vec()));
        assert_eq!(path_of(Some(b"x"), "%H/a"), Err(HomeError::Relative("x".to_owned())));
        assert_eq!(path_of(None, "run/a"), Err(HomeError::Relative("run/a".to_owned())));
        assert_eq!(path_of(None, "/a%"), Err(HomeError::Placeholder("/a%".to_owned())));
    }
}
