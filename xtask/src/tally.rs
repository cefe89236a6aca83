//! Counting what test programs say.

use std::fmt;

/// Characters of the reason of a failure that the summary shows.
const LONGEST_REASON: usize = 300;

/// The results of all test programs.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// The kind of tests that runs.
    kind: String,
    /// What ran: name, number of tests.
    programs: Vec<(String, u64)>,
    passed: u64,
    /// Name, and why when it is known here.
    failed: Vec<(String, String)>,
    /// Name and reason.
    skipped: Vec<(String, String)>,
    current: Option<Program>,
    /// The failed test of which the next line that is not empty says why.
    explained: Option<String>,
    /// Failures when the running command began.
    failed_before: usize,
}

/// A test program that runs.
#[derive(Debug, Default)]
struct Program {
    name: String,
    /// Tests that it announced, and that have not been heard of yet.
    open: u64,
    /// Tests of it that passed and failed, as far as they were heard of.
    heard: [u64; 2],
    /// It came to its end.
    complete: bool,
}

impl Tally {
    /// What follows is of this kind.
    pub(crate) fn kind(&mut self, kind: &str) {
        kind.clone_into(&mut self.kind);
        self.failed_before = self.failed.len();
    }

    /// Reads a line of `cargo test`: of Cargo itself, of libtest, or of libtest-mimic.
    pub(crate) fn read(&mut self, line: &str) {
        let trimmed = line.trim();
        if let Some(name) = self.explained.take_if(|_| !trimmed.is_empty()) {
            self.explain(&name, trimmed);
        } else if let Some(name) = reported(line) {
            self.explained = Some(name.to_owned());
        } else if let Some(program) = trimmed.strip_prefix("Running ").and_then(|rest| rest.rsplit_once(" ("))
        {
            self.begin(program_name(program.0, program.1));
        } else if let Some(name) = trimmed.strip_prefix("Doc-tests ") {
            self.begin(format!("{name}, documentation"));
        } else if let Some(count) = announced(line) {
            if let Some(program) = &mut self.current {
                program.open += count;
                program.complete = false;
            }
            if let Some((_, tests)) = self.programs.last_mut() {
                *tests += count;
            }
        } else if line.starts_with("test result: ") {
            self.end_of_run(line);
        } else if let Some((name, result)) =
            line.strip_prefix("test ").and_then(|rest| rest.rsplit_once(" ... "))
        {
            self.result(name.trim_end(), result);
        }
    }

    fn begin(&mut self, name: String) {
        self.finish_program();
        self.programs.push((name.clone(), 0));
        self.current = Some(Program { name, ..Program::default() });
    }

    /// The closing line of a run. What something else wrote into the lines of some tests, it still counts.
    fn end_of_run(&mut self, line: &str) {
        let Some(program) = &mut self.current else { return };
        let [passed, failed] = [" passed", " failed"].map(|what| closing_count(line, what));
        let unheard = [passed.saturating_sub(program.heard[0]), failed.saturating_sub(program.heard[1])];
        program.heard = [0, 0];
        program.open = program.open.saturating_sub(unheard[0] + unheard[1]);
        program.complete = program.open == 0;
        self.passed += unheard[0];
        for _ in 0..unheard[1] {
            self.failed
                .push((program.name.clone(), "a test failed whose name was not understood".to_owned()));
        }
    }

    /// A failed test says why.
    fn explain(&mut self, test: &str, why: &str) {
        let Some(program) = &self.current else { return };
        let name = format!("{}: {test}", program.name);
        let failed = self.failed.iter_mut().rev().find(|(failed, known)| *failed == name && known.is_empty());
        if let Some((_, known)) = failed {
            *known = why.chars().take(LONGEST_REASON).collect();
        }
    }

    fn result(&mut self, name: &str, result: &str) {
        let program = self.current.get_or_insert_default();
        let name = format!("{}: {name}", program.name);
        if result == "ok" {
            self.passed += 1;
            program.heard[0] += 1;
        } else if result.starts_with("FAILED") {
            program.heard[1] += 1;
            self.failed.push((name, String::new()));
        } else if let Some(reason) = result.strip_prefix("ignored") {
            let reason = reason.trim_start_matches(',').trim();
            let reason = reason.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')).unwrap_or(reason);
            let reason = if reason.is_empty() { "no reason given" } else { reason };
            self.skipped.push((name, reason.to_owned()));
        } else {
            return;
        }
        program.open = program.open.saturating_sub(1);
    }

    /// A program that was killed or aborted tells no results; its tests did not pass.
    fn finish_program(&mut self) {
        let Some(Program { name, open, complete, .. }) = self.current.take() else { return };
        if !complete {
            for _ in 0..open.max(1) {
                self.failed.push((name.clone(), "the test program ended before its tests did".to_owned()));
            }
        }
    }

    /// The command has ended.
    pub(crate) fn end(&mut self, success: bool) {
        self.finish_program();
        if !success && self.failed.len() == self.failed_before {
            self.failed.push((self.kind.clone(), "cargo test failed, see above".to_owned()));
        }
    }

    /// Something went wrong outside the tests.
    pub(crate) fn fail(&mut self, what: &str, why: &str) {
        self.failed.push((what.to_owned(), why.to_owned()));
    }

    /// True when nothing was run, skipped or failed.
    pub(crate) fn is_empty(&self) -> bool {
        self.passed == 0 && self.failed.is_empty() && self.skipped.is_empty()
    }

    /// True when nothing failed.
    pub(crate) fn is_green(&self) -> bool {
        self.failed.is_empty()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nSummary")?;
        for (name, tests) in self.programs.iter().filter(|(_, tests)| *tests > 0) {
            writeln!(f, "  ran     {name}: {tests}")?;
        }
        for (name, reason) in &self.skipped {
            writeln!(f, "  SKIPPED {name}: {reason}")?;
        }
        for (name, why) in &self.failed {
            let why = if why.is_empty() { String::new() } else { format!(": {why}") };
            writeln!(f, "  FAILED  {name}{why}")?;
        }
        writeln!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed.len(), self.skipped.len())
    }
}

/// `a::two` of `---- a::two stdout ----`, as libtest, or of `---- a::two ----`, as libtest-mimic begins its report.
fn reported(line: &str) -> Option<&str> {
    let name = line.strip_prefix("---- ")?.strip_suffix(" ----")?;
    Some(name.strip_suffix(" stdout").unwrap_or(name))
}

/// 2 of `test result: ok. 2 passed; …` and ` passed`.
fn closing_count(line: &str, what: &str) -> u64 {
    let before = line.split(what).next().unwrap_or_default();
    before.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// 3 of `running 3 tests`.
fn announced(line: &str) -> Option<u64> {
    let rest = line.strip_prefix("running ")?;
    rest.strip_suffix(" tests").or_else(|| rest.strip_suffix(" test"))?.parse().ok()
}

/// `forensics_agent, src/lib.rs` of `unittests src/lib.rs` and `target/debug/deps/forensics_agent-0123456789abcdef)`.
fn program_name(source: &str, executable: &str) -> String {
    let file = executable.trim_end_matches(')').rsplit('/').next().unwrap_or(executable);
    let name = file.rsplit_once('-').map_or(file, |(name, _)| name);
    match source.strip_prefix("unittests ") {
        Some(source) => format!("{name}, {source}"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(output: &str, success: bool) -> Tally {
        let mut tally = Tally::default();
        tally.kind("tests");
        output.lines().for_each(|line| tally.read(line));
        tally.end(success);
        tally
    }

    fn closing(tally: &Tally) -> String {
        tally.to_string().lines().last().unwrap_or_default().to_owned()
    }

    #[test]
    fn counts_what_libtest_and_libtest_mimic_say() {
        let tally = tally(
            "     Running unittests src/lib.rs (target/debug/deps/agent-0123456789abcdef)\n\
             \n\
             running 3 tests\n\
             test a::one ... ok\n\
             test a::two - should panic ... ok\n\
             test a::three ... ignored, too slow\n\
             \n\
             test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
             \n\
             \x20    Running storms.rs (target/debug/deps/storms-0123456789abcdef)\n\
             running 2 tests\n\
             test flood       ... FAILED\n\
             test oom_of_many ... ignored (needs root)\n\
             test result: FAILED. 0 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s\n",
            false,
        );
        assert_eq!(closing(&tally), "2 passed, 1 failed, 2 skipped");
        let summary = tally.to_string();
        for line in [
            "ran     agent, src/lib.rs: 3",
            "SKIPPED agent, src/lib.rs: a::three: too slow",
            "SKIPPED storms: oom_of_many: needs root",
            "FAILED  storms: flood",
        ] {
            assert!(summary.contains(line), "{line:?} is missing in {summary}");
        }
        assert!(!tally.is_green());
    }

    #[test]
    fn a_program_that_dies_has_not_passed() {
        let tally = tally(
            "     Running unittests src/lib.rs (target/debug/deps/agent-0123456789abcdef)\n\
             running 3 tests\n\
             test one ... ok\n\
             error: test failed, to rerun pass `--lib`\n",
            false,
        );
        assert_eq!(closing(&tally), "1 passed, 2 failed, 0 skipped");
    }

    #[test]
    fn a_line_in_which_something_else_stands_is_counted() {
        let tally = tally(
            "     Running storms.rs (target/debug/deps/storms-0123456789abcdef)\n\
             running 3 tests\n\
             test flood ... Connection closed.ok\n\
             Spawning.test calm  ... ok\n\
             test oom ... FAILED\n\
             failures:\n\
             \n\
             ---- oom ----\n\
             no evidence says \"a\", in {\n\
             }\n\
             test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s\n",
            false,
        );
        assert_eq!(closing(&tally), "2 passed, 1 failed, 0 skipped");
        let summary = tally.to_string();
        assert!(summary.contains("FAILED  storms: oom: no evidence says \"a\", in {\n"), "{summary}");
    }

    #[test]
    fn a_build_that_fails_is_a_failure() {
        let tally = tally("error[E0433]: cannot find type\n", false);
        assert_eq!(closing(&tally), "0 passed, 1 failed, 0 skipped");
        assert!(!tally.is_green());
    }

    #[test]
    fn nothing_run_is_empty() {
        let output =
            "   Doc-tests agent\n\nrunning 0 tests\n\ntest result: ok. 0 passed; 0 failed; 0 ignored\n";
        let tally = tally(output, true);
        assert!(tally.is_empty() && tally.is_green());
    }
}
