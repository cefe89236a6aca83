//! What is to be done, by the command line and the configuration together.

use std::path::{Path, PathBuf};

use crate::cli::Globals;
use crate::host::{hierarchy, pidfile, proc};
use crate::kernel::pins;
use crate::request::Mode;
use crate::service::OnIncident;
use crate::session::Settings;
use crate::targets::{Selectors, TargetArgs};

use super::Args;
use crate::commands::{self, failure::Failure};

/// The whole of it.
pub(super) struct Plan {
    pub(super) settings: Settings,
    /// Incidents are written to the journal.
    pub(super) journald: bool,
    pub(super) on_incident: Option<OnIncident>,
    /// Pids and pidfiles of the command line, each of which must name a process.
    named: TargetArgs,
    /// Pidfiles of the configuration, whose services may be yet to start.
    pidfiles: Vec<PathBuf>,
}

impl Plan {
    /// Reads the configuration, when there is one.
    ///
    /// # Errors
    /// Usage: the configuration is wrong, or nothing selects a process.
    pub(super) fn read(globals: &Globals, args: &Args) -> Result<Self, Failure> {
        let config = commands::config(args.config.as_deref())?;
        let select_nothing = args.targets.select_nothing() && config.targets.select_nothing();
        if let (Some(path), true) = (&args.config, select_nothing) {
            return Err(Failure::usage(format!("the configuration {} names no targets", path.display())));
        }
        // Each by itself: a uid is that of its own user units.
        let selectors = args.targets.selectors()?.and(config.targets.selectors()?);
        if selectors.main_only && selectors.units.is_empty() {
            return Err(Failure::usage(
                "--main says which processes of a unit are meant, and no unit is named",
            ));
        }
        check_cgroups(&selectors)?;
        let settings = Settings {
            selectors,
            signals: args.signals.or(config.signals).unwrap_or_default(),
            show_cmdline: globals.show_cmdline.or(config.show_cmdline).unwrap_or_default(),
            hook: args.hook,
            instigator: args.instigator.or(config.instigator).unwrap_or_default(),
            ebpf_log: args.ebpf_log,
            events: args.events,
            follow_units: true,
            drain: args.drain_timeout.or(config.drain_timeout).map(commands::drain),
            markers: config.marker_specs().into(),
            store: args.store.path(),
            // With --once, the incident that is waited for is one to come.
            ledger: !args.once,
            socket: args.socket.path(),
            persist: args.persist.clone(),
        };
        let by_config = config.persist && args.persist.is_none() && !args.once;
        let settings = persisting(settings, by_config)?;
        Ok(Self {
            settings,
            journald: config.journald,
            on_incident: config.on_incident,
            named: args.targets.clone(),
            pidfiles: config.targets.pidfiles,
        })
    }

    /// The processes that are named by number. Of those that the configuration names, the ones that are there.
    ///
    /// # Errors
    /// Usage: the command line names one that is not there, or the agent itself. One that is not there may be one that an earlier
    /// agent watched: with `--persist`, that is found out later.
    pub(super) fn pids(&self) -> Result<Vec<u32>, Failure> {
        let mut pids = Vec::new();
        for &pid in &self.named.pids {
            match present(pid, &format!("--pid {pid}")) {
                Err(_) if self.settings.persist.is_some() && pid != std::process::id() => pids.push(pid),
                named => pids.push(named?),
            }
        }
        for path in &self.named.pidfiles {
            pids.push(of_pidfile(path)?);
        }
        for path in &self.pidfiles {
            match of_pidfile(path) {
                Ok(pid) => pids.push(pid),
                Err(failure) => log::warn!("{}", failure.message),
            }
        }
        Ok(pids)
    }
}

/// Whether the kernel programs can outlive the agent, where that is wanted: by the configuration, which gives way, or by name.
fn persisting(mut settings: Settings, by_config: bool) -> Result<Settings, Failure> {
    let why_not = if settings.store.is_none() {
        Some("what is to persist needs a store, and there is none with --store none")
    } else if settings.instigator == Mode::Syscalls {
        Some("tracepoints of system calls (--instigator syscalls) cannot persist")
    } else if settings.ebpf_log != log::LevelFilter::Off {
        Some("--ebpf-log does not go with --persist: nobody would read it when the agent is gone")
    } else {
        None
    };
    match why_not {
        Some(why) if settings.persist.is_some() => return Err(Failure::usage(why)),
        Some(why) if by_config => log::warn!("{why}; the kernel programs of this agent end with it"),
        None if by_config => settings.persist = Some(pins::DEFAULT_DIRECTORY.into()),
        _ => {}
    }
    Ok(settings)
}

/// Whether cgroups can be watched, and those that are named can be there.
fn check_cgroups(selectors: &Selectors) -> Result<(), Failure> {
    if !selectors.by_cgroup() {
        return Ok(());
    }
    let mounted = hierarchy::mounted().unwrap_or_default();
    if mounted.is_empty() {
        return Err(Failure::kernel(
            "no hierarchy of cgroups is mounted, so that units and cgroups cannot be watched; mount /sys/fs/cgroup",
        ));
    }
    match selectors.cgroups.iter().find(|cgroup| !cgroup.can_be_in(&mounted)) {
        Some(cgroup) => Err(Failure::usage(format!("{cgroup}: no hierarchy of cgroups is mounted there"))),
        None => Ok(()),
    }
}

fn of_pidfile(path: &Path) -> Result<u32, Failure> {
    let pidfile = pidfile::read(path).map_err(|error| Failure::usage(error.to_string()))?;
    present(pidfile.pid, &format!("--pidfile {}", path.display()))
}

/// A pid that the agent can watch.
fn present(pid: u32, option: &str) -> Result<u32, Failure> {
    if pid == std::process::id() {
        let message = format!("{option} is the agent itself; with --persist the next agent tells of its end");
        return Err(Failure::usage(message));
    }
    match proc::read_process_alone(pid) {
        Ok(_) => Ok(pid),
        Err(error) => Err(Failure::usage(format!("{option}: {error}"))),
    }
}
