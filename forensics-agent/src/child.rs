//! A command that is started, and held at a barrier before its program runs until it is watched.

use std::{
    ffi::OsString,
    io::{self, Read as _, Write as _},
    os::{
        fd::{AsRawFd as _, OwnedFd, RawFd},
        unix::process::CommandExt as _,
    },
    process::{Command, ExitStatus},
    thread,
};

use rustix::pipe::{PipeFlags, pipe_with};
use tokio::sync::oneshot;

/// The user that a command runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    uid: u32,
    gid: u32,
    groups: Vec<libc::gid_t>,
}

/// A command at the barrier, or running.
#[derive(Debug)]
pub(crate) struct Child {
    /// Its process id.
    pub(crate) pid: u32,
    barrier: OwnedFd,
    started: oneshot::Receiver<io::Result<()>>,
    ended: oneshot::Receiver<io::Result<ExitStatus>>,
}

impl User {
    /// Finds a user by name or number, with the groups that a login would have.
    ///
    /// # Errors
    ///
    /// A sentence that names the user.
    pub(crate) fn find(name: &str) -> Result<Self, String> {
        let c_name = std::ffi::CString::new(name).map_err(|_| format!("no user is called {name}"))?;
        let mut buffer = vec![0; 16 << 10];
        let mut record = std::mem::MaybeUninit::<libc::passwd>::zeroed();
        let mut found = std::ptr::null_mut();
        // SAFETY: all pointers are to live memory of the sizes given; `record` is read only when `found` says so.
        let entry = unsafe {
            libc::getpwnam_r(
                c_name.as_ptr(),
                record.as_mut_ptr(),
                buffer.as_mut_ptr(),
                buffer.len(),
                &raw mut found,
            );
            if found.is_null()
                && let Ok(uid) = name.parse::<u32>()
            {
                libc::getpwuid_r(uid, record.as_mut_ptr(), buffer.as_mut_ptr(), buffer.len(), &raw mut found);
            }
            (!found.is_null()).then(|| record.assume_init())
        };
        match (entry, name.parse::<u32>()) {
            (Some(entry), _) => {
                let mut groups = vec![0; 256];
                let mut count = 256;
                // SAFETY: `pw_name` points into `buffer`; `groups` has room for `count` entries.
                let fits = unsafe {
                    libc::getgrouplist(entry.pw_name, entry.pw_gid, groups.as_mut_ptr(), &raw mut count)
                };
                let count = usize::try_from(count).unwrap_or(0);
                if fits < 0 {
                    return Err(format!("the user {name} is in {count} groups, more than 256"));
                }
                groups.truncate(count);
                Ok(Self { uid: entry.pw_uid, gid: entry.pw_gid, groups })
            }
            // A number needs no account.
            (None, Ok(uid)) => Ok(Self { uid, gid: uid, groups: vec![uid] }),
            (None, Err(_)) => Err(format!("no user is called {name}")),
        }
    }
}

impl Child {
    /// Starts a command up to the barrier.
    ///
    /// The thread that starts it also waits for it: were it to end earlier, a command that asked for a signal at its
    /// parent's end (`PR_SET_PDEATHSIG`, which means the parent *thread*) would be killed by that.
    ///
    /// # Errors
    ///
    /// No process could be made.
    pub(crate) fn start(command: &[OsString], user: Option<User>) -> io::Result<Self> {
        let (program, args) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let (mut ready, ready_end) = pipe()?;
        let (go, go_end) = pipe()?;
        let (started_sender, started) = oneshot::channel();
        let (ended_sender, ended) = oneshot::channel();
        let mut command = Command::new(program);
        command.args(args);
        let at_barrier =
            AtBarrier { ready: ready_end.as_raw_fd(), go: go.as_raw_fd(), other_end: go_end.as_raw_fd() };
        // SAFETY: between fork and exec only system calls are made; nothing is allocated or locked.
        unsafe {
            command.pre_exec(move || {
                if let Some(user) = &user {
                    become_user(user)?;
                }
                at_barrier.wait()
            });
        }
        thread::Builder::new().name("child".to_owned()).spawn(move || {
            let spawned = command.spawn();
            // The child has its own ends now; what it never reached must not be waited for.
            drop((ready_end, go, command));
            match spawned {
                Ok(mut child) => {
                    let _ = started_sender.send(Ok(()));
                    let _ = ended_sender.send(child.wait());
                }
                Err(error) => {
                    let _ = started_sender.send(Err(error));
                }
            }
        })?;
        let mut pid = [0; 4];
        ready.read_exact(&mut pid)?;
        Ok(Self { pid: u32::from_ne_bytes(pid), barrier: go_end, started, ended })
    }

    /// Opens the barrier and waits until the program runs.
    ///
    /// # Errors
    ///
    /// It could not be executed: `NotFound`, `PermissionDenied` and what else `execve(2)` says.
    pub(crate) async fn release(self) -> io::Result<oneshot::Receiver<io::Result<ExitStatus>>> {
        let Self { pid: _, barrier, started, ended } = self;
        std::fs::File::from(barrier).write_all(&[1])?;
        started.await.map_err(io::Error::other)??;
        Ok(ended)
    }
}

fn pipe() -> io::Result<(std::fs::File, OwnedFd)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    Ok((read.into(), write))
}

/// The child's side of the barrier, between fork and exec.
struct AtBarrier {
    ready: RawFd,
    go: RawFd,
    /// The child's copy of the agent's end, without which the child sees when the agent ends.
    other_end: RawFd,
}

impl AtBarrier {
    fn wait(&self) -> io::Result<()> {
        let pid = std::process::id().to_ne_bytes();
        let mut byte = [0u8];
        // SAFETY: descriptors of this process, buffers of the lengths given.
        unsafe {
            libc::close(self.other_end);
            if libc::write(self.ready, pid.as_ptr().cast(), pid.len()) < 0 {
                return Err(io::Error::last_os_error());
            }
            loop {
                match libc::read(self.go, byte.as_mut_ptr().cast(), 1) {
                    1 => return Ok(()),
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    _ => {
                        let error = io::Error::last_os_error();
                        if error.kind() != io::ErrorKind::Interrupted {
                            return Err(error);
                        }
                    }
                }
            }
        }
    }
}

/// Changes groups, group and user, in the order in which it is still allowed.
fn become_user(user: &User) -> io::Result<()> {
    // SAFETY: `groups` is a live array of its length.
    unsafe {
        if libc::setgroups(user.groups.len(), user.groups.as_ptr()) != 0
            || libc::setgid(user.gid) != 0
            || libc::setuid(user.uid) != 0
        {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
