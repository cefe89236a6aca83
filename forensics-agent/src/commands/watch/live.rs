//! The live view of `watch` on a terminal: what is watched, in place, below what is reported.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use rustix::process::getpgrp;
use rustix::termios::{tcgetpgrp, tcgetwinsize};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::cli::{Format, Globals};
use crate::host::clock;
use crate::host::proc;
use crate::report::live::{Row, Screen, block};
use crate::session::Overview;

/// How often it is drawn anew.
const EVERY: Duration = Duration::from_secs(1);
/// Targets that are shown.
pub(super) const MAX_ROWS: usize = 10;

/// The view, where there is a terminal for it.
#[derive(Debug)]
pub(super) struct Live {
    screen: Screen,
    clock: Interval,
    colour: bool,
}

impl Live {
    /// One for standard output, unless that is no terminal that can move its cursor, or text is not wanted there. To be called
    /// within the event loop.
    pub(super) fn of(globals: &Globals, screen: &Screen) -> Option<Self> {
        let can_move = std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
        let wanted = globals.output == Format::Text && !globals.quiet && can_move;
        if !wanted || !io::stdout().is_terminal() {
            return None;
        }
        let mut clock = interval(EVERY);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Some(Self { screen: screen.clone(), clock, colour: globals.color.wanted(&io::stdout()) })
    }

    /// Waits until the view is to be drawn anew.
    pub(super) async fn tick(&mut self) {
        self.clock.tick().await;
    }

    /// True when something was printed over it.
    pub(super) fn is_gone(&self) -> bool {
        !self.screen.is_drawn()
    }

    /// Draws it. In the background, the terminal is somebody else's.
    pub(super) fn draw(&self, heading: &str, overview: &Overview) {
        let stdout = io::stdout();
        let (Ok(size), Ok(foreground)) = (tcgetwinsize(&stdout), tcgetpgrp(&stdout)) else { return };
        if foreground != getpgrp() {
            return;
        }
        let room = usize::from(size.ws_row / 2).clamp(1, MAX_ROWS);
        let shown = overview.targets.iter().take(room);
        let rows: Vec<Row<'_>> = shown
            .map(|(target, last)| Row { target, state: proc::state(target.pid), last: last.as_ref() })
            .collect();
        let more = overview.count.saturating_sub(rows.len());
        let width = if size.ws_col == 0 { 80 } else { usize::from(size.ws_col) };
        let lines = block(heading, &rows, more, clock::boot_ns(), width, self.colour);
        // A terminal that is gone is noticed by the next report.
        let _ = self.screen.draw(&lines);
    }

    /// Takes it away.
    pub(super) fn clear(&self) {
        let _ = self.screen.clear();
    }
}
