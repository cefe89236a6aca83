//! Processes that a manager has forked and not yet made what they are to be.

use crate::host::proc::ProcDir;

/// More than the kernel's name of a process ever has, bytes.
const COMM_CAP: usize = 64;

/// True for a manager, and for what sets a service up: a copy of the manager, or the executor that it starts in its place with its
/// own environment (`exec_spawn()` in systemd's `src/core/execute.c`). Either bears the name of the service's program in
/// brackets towards the end (`rename_process_from_path()` in `src/core/exec-invoke.c`).
pub fn is_manager_yet(dir: &ProcDir) -> bool {
    let mut name = Vec::new();
    let is_named = dir.read(c"comm", &mut name, COMM_CAP).is_ok() && name.starts_with(b"(");
    is_named || dir.link(c"exe").is_ok_and(|exe| is_of_manager(&exe))
}

fn is_of_manager(exe: &[u8]) -> bool {
    let exe = exe.strip_suffix(b" (deleted)").unwrap_or(exe);
    exe.ends_with(b"/systemd") || exe.ends_with(b"/systemd-executor")
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn by_name_and_by_executable() {
        let directory = std::env::temp_dir().join(format!("executor-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        for (name, is_manager) in [
            ("systemd", true),
            ("systemd-executor", true),
            ("(gw)", true),
            ("gw", false),
            ("not-systemd", false),
        ] {
            let program = directory.join(name);
            std::fs::copy("/bin/sh", &program).unwrap();
            let mut command = Command::new(&program);
            command.args(["-c", "echo; read line"]).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = command.spawn().unwrap();
            // It has its name only some time after it has its memory.
            child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
            assert_eq!(is_manager_yet(&ProcDir::open(child.id()).unwrap()), is_manager, "{name}");
            drop(child.stdin.take());
            child.wait().unwrap();
        }
        std::fs::remove_dir_all(directory).unwrap();
        assert!(is_of_manager(b"/usr/lib/systemd/systemd (deleted)"));
    }
}
