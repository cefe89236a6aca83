//! The conformance suite: ways to be killed, each a real kill of a real victim, and what is true of it.
//!
//! It runs against any tool that speaks the protocol of `docs/CONFORMANCE.md`. A [`Scenario`] is a row of a table
//! ([`SCENARIOS`]); a small program under `tests/programs` brings the end about and tells who did it; the tool's
//! incident is compared with that ([`Answer`]).

mod play;
mod report;
mod scenario;
mod score;
mod table;
mod tool;

pub use play::{Played, play};
pub use report::Report;
pub use scenario::{End, Scenario, Truth};
pub use score::{Answer, FACETS, Mark, score};
pub use table::SCENARIOS;
pub use tool::Tool;
