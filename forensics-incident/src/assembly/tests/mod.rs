//! Every race between records.

use std::collections::BTreeSet;

use crate::model::{Context, Lost, MarkerKind, Missing, SendResult};
use crate::sample::{BOOT, ignored, kill, nginx, ns, process, signal, systemd};
use crate::signals::*;

use super::*;

mod decisive;
mod folding;
mod groups;
mod lives;
mod surroundings;
mod survivors;

const SURVIVE_S: f64 = 300.0;

/// Drives an assembly by seconds since boot, as the agent would.
struct Drive {
    assembler: Assembler,
    folds: u64,
}

impl Drive {
    fn new() -> Self {
        Self::with(AssemblyConfig {
            survive_after_ns: ns(SURVIVE_S),
            unix_minus_boot_s: BOOT,
            report_signals: u64::MAX,
            report_unasked: true,
        })
    }

    fn with(config: AssemblyConfig) -> Self {
        let mut next = 0;
        let ids = move || {
            next += 1;
            format!("g{next}")
        };
        Self { assembler: Assembler::new(config, ids), folds: 0 }
    }

    fn watching(target: &Process) -> Self {
        let mut drive = Self::new();
        drive.watch(target);
        drive
    }

    fn watch(&mut self, target: &Process) -> Vec<Output> {
        self.assembler.push(ns(50.0), Input::Watch { target: target.clone() })
    }

    fn signal(&mut self, target: &Process, signal: Signal) -> Vec<Output> {
        self.folds += 1;
        self.record(target, self.folds, 0, signal)
    }

    fn record(&mut self, target: &Process, fold_id: u64, folded_before: u64, signal: Signal) -> Vec<Output> {
        let (now, target) = (signal.boot_ns, target.clone());
        let missing = Vec::new();
        let record = SignalRecord { target, fold_id, folded_before, signal, missing };
        self.assembler.push(now, Input::Signal(record))
    }

    fn exit(&mut self, target: &Process, at: f64, wait_status: u32) -> Vec<Output> {
        self.exit_with(target, at, wait_status, None, Vec::new())
    }

    fn exit_with(
        &mut self,
        target: &Process,
        at: f64,
        wait_status: u32,
        signals_seen: Option<u64>,
        folds: Vec<Fold>,
    ) -> Vec<Output> {
        let exit = ExitRecord {
            target: target.key(),
            boot_ns: ns(at),
            wait_status,
            tid: target.pid,
            tracer: None,
            thread: "nginx".to_owned(),
            caller: (wait_status & 0x7f == 0).then(|| (target.pid + 1, "worker".to_owned())),
            kernel_stack: vec!["do_exit".to_owned()],
            signals_seen,
            folds,
        };
        self.assembler.push(ns(at), Input::Exit(exit))
    }
}

/// The incident of outputs that hold just one.
fn closed(outputs: Vec<Output>) -> Closed {
    let mut closed = outputs.into_iter().filter_map(|output| match output {
        Output::Closed(closed) => Some(*closed),
        Output::TerminationRequested { .. } => None,
    });
    let one = closed.next().expect("an incident");
    assert!(closed.next().is_none(), "only one incident");
    one
}

fn killer() -> Process {
    process(4431, "kill -9 812")
}

fn near(seconds: Option<f64>, wanted: f64) -> bool {
    seconds.is_some_and(|seconds| (seconds - wanted).abs() < 1e-5)
}
