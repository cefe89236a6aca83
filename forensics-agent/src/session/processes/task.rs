//! The process of a kernel record.

use forensics_common::{TaskInfo, task_missing};
use forensics_incident::{
    model::{Missing, Process, ProcessKey},
    text::shell_join,
};

use super::{Processes, place};
use crate::host::cgroup;
use crate::kernel::records::{self, CommandLine};

impl Processes {
    /// The process of a kernel record: as the kernel saw it, completed by what is known of it.
    pub(in crate::session) fn of_task(
        &mut self,
        info: &TaskInfo,
        cmdline: Option<&CommandLine>,
        cgroup: Option<&str>,
        missing: &mut Vec<Missing>,
        role: &str,
    ) -> Process {
        let has = |flag: u32| info.missing & flag == 0;
        let key = ProcessKey { pid: info.tgid, start_boot_ns: info.start_boot_ns };
        let known = self.lookup(key);
        let argv = cmdline.map(|cmdline| ((self.redact)(&cmdline.argv()), cmdline.truncated));
        let (argv, truncated) = match (argv, &known) {
            (Some((argv, truncated)), _) => (Some(argv), truncated),
            (None, Some(known)) => (known.argv.clone(), known.truncated),
            (None, None) => (None, false),
        };
        for (flag, field) in [
            (task_missing::START, "start_boot_ns"),
            (task_missing::CGROUP, "cgroup"),
            (task_missing::PPID, "ppid"),
            (task_missing::PGID, "pgid"),
            (task_missing::SID, "session"),
            (task_missing::NS_PID, "ns_pid"),
            (task_missing::UID, "uid"),
            (task_missing::COMM, "name"),
            (task_missing::TTY, "tty"),
        ] {
            if !has(flag) {
                missing.push(Missing {
                    field: format!("{role}.{field}"),
                    why: "the kernel's memory could not be read".to_owned(),
                });
            }
        }
        let mut process = Process {
            pid: info.tgid,
            tid: (info.tid != info.tgid).then_some(info.tid),
            ppid: has(task_missing::PPID).then_some(info.ppid),
            pgid: has(task_missing::PGID).then_some(info.pgid),
            start_boot_ns: info.start_boot_ns,
            name: records::text(&info.leader_comm),
            exe: known.as_ref().and_then(|known| known.exe.clone()),
            cmdline: argv.as_ref().map(|argv| shell_join(argv)),
            argv,
            cmdline_truncated: truncated.then_some(true),
            uid: has(task_missing::UID).then_some(info.uid),
            euid: has(task_missing::UID).then_some(info.euid),
            loginuid: (info.loginuid != u32::MAX).then_some(info.loginuid),
            session: has(task_missing::SID).then_some(info.sid),
            tty: tty_name(&records::text(&info.tty)),
            cgroup: cgroup.map(|path| self.below_root(path, info.cgroup_id)),
            ns_pid: ns_pid(info),
            ..Process::default()
        };
        place(&mut process);
        process
    }

    /// Where a process is whose record names the cgroup by its number alone.
    pub(in crate::session) fn locate(process: &mut Process, info: &TaskInfo) {
        process.cgroup = Some(info.cgroup_id)
            .filter(|_| info.missing & task_missing::CGROUP == 0)
            .and_then(cgroup::path_of_id);
        place(process);
    }

    /// A path of the kernel's as the agent sees it. Where its namespace has its root is learnt from the first cgroup that is
    /// still there, by its number.
    fn below_root(&mut self, path: &str, id: u64) -> String {
        if self.cgroup_root.is_none()
            && let Some(seen) = cgroup::path_of_id(id)
        {
            self.cgroup_root = path.strip_suffix(seen.as_str()).map(str::to_owned);
        }
        let root = self.cgroup_root.as_deref().unwrap_or_default();
        path.strip_prefix(root).filter(|rest| rest.starts_with('/')).unwrap_or(path).to_owned()
    }
}

/// How its own pid namespace calls a process, where that is not the initial one.
pub(in crate::session) fn ns_pid(info: &TaskInfo) -> Option<u32> {
    (info.ns_level > 0 && info.missing & task_missing::NS_PID == 0).then_some(info.ns_tgid)
}

/// The kernel's name of a terminal as people write it: `pts0` is `pts/0`.
fn tty_name(name: &str) -> Option<String> {
    match name.strip_prefix("pts") {
        Some(number) if number.bytes().all(|byte| byte.is_ascii_digit()) && !number.is_empty() => {
            Some(format!("pts/{number}"))
        }
        _ => (!name.is_empty()).then(|| name.to_owned()),
    }
}
