use std::path::{Path, PathBuf};

use regex::Regex;

use super::{CgroupSelector, UnitSelector};
use crate::commands::failure::Failure;
use crate::host::systemd::unit::Scope;

/// The kernel keeps 15 bytes of a name (`TASK_COMM_LEN` in `include/linux/sched.h`).
const COMM_BYTES: usize = 15;
/// `PID_MAX_LIMIT` of 64-bit kernels, `include/linux/threads.h`.
const PID_MAX: i64 = 4 << 20;

/// The options that select targets, as they are written.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TargetArgs {
    /// This process
    #[arg(short, long = "pid", value_name = "PID", value_parser = clap::value_parser!(u32).range(1..=PID_MAX))]
    pub pids: Vec<u32>,
    /// The processes of this unit of the system manager, now and whenever it runs; aliases and patterns as in journalctl
    #[arg(short, long = "unit", value_name = "UNIT")]
    pub units: Vec<String>,
    /// The processes of this unit of a user's manager
    #[arg(long = "user-unit", value_name = "UNIT")]
    pub user_units: Vec<String>,
    /// The user whose units --user-unit names, instead of the caller
    #[arg(long, value_name = "UID", requires = "user_units")]
    pub uid: Option<u32>,
    /// The processes in this cgroup and those below it, now and whenever it is there
    #[arg(long = "cgroup", value_name = "PATH")]
    pub cgroups: Vec<String>,
    /// The process whose pid stands in this file
    #[arg(long = "pidfile", value_name = "FILE")]
    pub pidfiles: Vec<PathBuf>,
    /// Processes of this name, as ps -o comm shows it (its first 15 bytes count)
    #[arg(long = "comm", value_name = "NAME")]
    pub comms: Vec<String>,
    /// Processes that execute this file
    #[arg(long = "exe", value_name = "PATH")]
    pub exes: Vec<PathBuf>,
    /// Processes whose whole command line, joined by spaces, matches this regular expression
    #[arg(long = "match", value_name = "REGEX")]
    pub patterns: Vec<Regex>,
    /// Every process
    #[arg(long)]
    pub all: bool,
    /// Also the processes that a target starts
    #[arg(short, long)]
    pub follow_children: bool,
    /// Of units, only the main process
    #[arg(long = "main")]
    pub main_only: bool,
}

impl TargetArgs {
    /// # Errors
    /// Usage, when an option cannot match any process.
    pub fn check(&self) -> Result<(), Failure> {
        self.selectors().map(drop)
    }

    /// True when nothing selects a process.
    pub fn select_nothing(&self) -> bool {
        let Self {
            pids,
            units,
            user_units,
            uid: _,
            cgroups,
            pidfiles,
            comms,
            exes,
            patterns,
            all,
            follow_children: _,
            main_only: _,
        } = self;
        pids.is_empty()
            && units.is_empty()
            && user_units.is_empty()
            && cgroups.is_empty()
            && pidfiles.is_empty()
            && comms.is_empty()
            && exes.is_empty()
            && patterns.is_empty()
            && !all
    }

    /// The selectors, read for use.
    ///
    /// # Errors
    /// Usage, when an option cannot match any process.
    pub fn selectors(&self) -> Result<Selectors, Failure> {
        let Self {
            pids,
            units,
            user_units,
            uid,
            cgroups,
            pidfiles,
            comms,
            exes,
            patterns,
            all,
            follow_children,
            main_only,
        } = self;
        if comms.iter().any(String::is_empty) {
            return Err(Failure::usage("--comm is empty, and no process has an empty name"));
        }
        let system = units.iter().map(|name| UnitSelector::parse("--unit", name, Scope::System));
        let user = Scope::User { uid: uid.unwrap_or_else(|| rustix::process::getuid().as_raw()) };
        let users = user_units.iter().map(|name| UnitSelector::parse("--user-unit", name, user));
        Ok(Selectors {
            pids: pids.clone(),
            units: system.chain(users).collect::<Result<_, _>>()?,
            cgroups: cgroups.iter().map(|path| CgroupSelector::parse(path)).collect::<Result<_, _>>()?,
            pidfiles: pidfiles.clone(),
            comms: comms.clone(),
            exes: exes.iter().map(|path| ExeSelector::new(path)).collect::<Result<_, _>>()?,
            patterns: patterns.clone(),
            all: *all,
            follow_children: *follow_children,
            main_only: *main_only,
        })
    }
}

/// Which processes are targets. They add up: whatever one selector names is a target.
#[derive(Debug, Clone, Default)]
pub struct Selectors {
    /// Processes that are there now.
    pub pids: Vec<u32>,
    /// Units, whenever they run.
    pub units: Vec<UnitSelector>,
    /// Cgroups, whenever they are there.
    pub cgroups: Vec<CgroupSelector>,
    /// Files that name processes that are there now.
    pub pidfiles: Vec<PathBuf>,
    /// Kernel names, now and later.
    pub comms: Vec<String>,
    exes: Vec<ExeSelector>,
    patterns: Vec<Regex>,
    /// Every process, now and later.
    pub all: bool,
    /// And what the targets start.
    pub follow_children: bool,
    /// Of units, only the main process, as far as their manager says which that is.
    pub main_only: bool,
}

impl Selectors {
    /// None by themselves: the targets are named one by one, with their children or without.
    pub fn none(follow_children: bool) -> Self {
        Self { follow_children, ..Self::default() }
    }

    /// The targets of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let Self { pids, units, cgroups, pidfiles, comms, exes, patterns, all, follow_children, main_only } =
            other;
        Self {
            pids: [self.pids, pids].concat(),
            units: [self.units, units].concat(),
            cgroups: [self.cgroups, cgroups].concat(),
            pidfiles: [self.pidfiles, pidfiles].concat(),
            comms: [self.comms, comms].concat(),
            exes: [self.exes, exes].concat(),
            patterns: [self.patterns, patterns].concat(),
            all: self.all || all,
            follow_children: self.follow_children || follow_children,
            main_only: self.main_only || main_only,
        }
    }

    /// True when a name selects, so that processes that start later can become targets and every exec must be
    /// looked at.
    pub fn by_name(&self) -> bool {
        !self.comms.is_empty() || !self.exes.is_empty() || !self.patterns.is_empty()
    }

    /// True when a unit or a cgroup selects, so that every cgroup that is made must be looked at.
    pub fn by_cgroup(&self) -> bool {
        !self.units.is_empty() || !self.cgroups.is_empty()
    }

    /// Whether a process is a target by what it is: its kernel name, executable and arguments (not redacted).
    pub fn matches(&self, comm: &str, exe: Option<&str>, argv: &[String]) -> bool {
        let name = |wanted: &String| kernel_name(wanted) == kernel_name(comm);
        let by_pattern = || {
            // As pgrep -f does, and without building the line when nobody asks for it.
            !self.patterns.is_empty() && {
                let line = argv.join(" ");
                self.patterns.iter().any(|pattern| pattern.is_match(&line))
            }
        };
        self.all
            || self.comms.iter().any(name)
            || exe.is_some_and(|exe| self.exes.iter().any(|wanted| wanted.matches(exe)))
            || by_pattern()
    }
}

/// What the kernel keeps of a name.
fn kernel_name(name: &str) -> &[u8] {
    let bytes = name.as_bytes();
    bytes.get(..COMM_BYTES).unwrap_or(bytes)
}

/// A path as it was given, and as the kernel shows it when links are followed (`/usr/bin/python3` is `python3.13`).
#[derive(Debug, Clone)]
struct ExeSelector {
    given: PathBuf,
    resolved: Option<PathBuf>,
}

impl ExeSelector {
    fn new(path: &Path) -> Result<Self, Failure> {
        if path.is_absolute() {
            return Ok(Self { given: path.to_owned(), resolved: path.canonicalize().ok() });
        }
        let resolved = path.canonicalize().map_err(|error| {
            let shown = path.display();
            Failure::usage(format!("--exe {shown}: {error}; give an absolute path, or the name to --comm"))
        })?;
        Ok(Self { given: resolved.clone(), resolved: Some(resolved) })
    }

    fn matches(&self, exe: &str) -> bool {
        // An executable that was replaced by an upgrade is still the one that was asked for.
        let exe = Path::new(exe.strip_suffix(" (deleted)").unwrap_or(exe));
        self.given == exe || self.resolved.as_deref() == Some(exe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    fn selectors(args: TargetArgs) -> Selectors {
        args.selectors().expect("valid")
    }

    #[test]
    fn names_count_as_far_as_the_kernel_keeps_them() {
        let by_name =
            selectors(TargetArgs { comms: vec!["gateway-service-main".into()], ..Default::default() });
        assert!(by_name.matches("gateway-service", None, &[]));
        assert!(!by_name.matches("gateway", None, &[]));
        assert!(by_name.by_name());
    }

    #[test]
    fn executables_by_link_and_after_an_upgrade() {
        let link = std::env::temp_dir().join(format!("exe-link-{}", std::process::id()));
        std::os::unix::fs::symlink("/proc/self/exe", &link).expect("symlink");
        let by_exe = selectors(TargetArgs { exes: vec![link.clone()], ..Default::default() });
        std::fs::remove_file(&link).expect("remove");
        let own = std::env::current_exe().expect("own exe");
        let own = own.to_str().expect("utf-8");
        assert!(by_exe.matches("x", Some(own), &[]));
        assert!(by_exe.matches("x", Some(&format!("{own} (deleted)")), &[]));
        assert!(!by_exe.matches("x", Some("/bin/other"), &[]));
        assert!(!by_exe.matches("x", None, &[]));
    }

    #[test]
    fn patterns_see_the_whole_line() {
        let pattern = Regex::new("java .*gateway").expect("regex");
        let by_line = selectors(TargetArgs { patterns: vec![pattern], ..Default::default() });
        assert!(by_line.matches("java", None, &argv("java -jar gateway.jar")));
        assert!(!by_line.matches("java", None, &argv("java -jar other.jar")));
    }

    #[test]
    fn user_units_of_two_users() {
        let of = |unit: &str, uid| {
            selectors(TargetArgs { user_units: vec![unit.to_owned()], uid, ..Default::default() })
        };
        let own = rustix::process::getuid().as_raw();
        for (uid, expected) in [(Some(1001), 1001), (None, own)] {
            let both = of("gw", uid).and(of("hermes", Some(1000)));
            let found: Vec<_> = both.units.iter().map(|unit| (unit.name.as_str(), unit.scope)).collect();
            let user = |uid| Scope::User { uid };
            assert_eq!(found, [("gw.service", user(expected)), ("hermes.service", user(1000))]);
        }
    }

    #[test]
    fn pids_say_nothing_about_later_processes() {
        let by_pid = selectors(TargetArgs { pids: vec![1], ..Default::default() });
        assert!(!by_pid.by_name() && !by_pid.matches("init", None, &[]));
    }

    #[test]
    fn a_relative_executable_that_is_not_there_is_refused() {
        let refused = TargetArgs { exes: vec!["no-such-program".into()], ..Default::default() }.check();
        assert_eq!(refused.expect_err("refused").code, 2);
    }
}
