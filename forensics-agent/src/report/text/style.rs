use forensics_incident::model::{Intent, OutcomeKind};

/// Colours, when they are wanted (ECMA-48 SGR).
#[derive(Debug, Clone, Copy)]
pub(in crate::report) struct Style {
    pub(in crate::report) colour: bool,
}

impl Style {
    /// Labels and what matters less.
    pub(in crate::report) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// What the eye should find.
    pub(in crate::report) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// What weakens the rest.
    pub(in crate::report) fn warning(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// The verdict: red for a fault, yellow when someone wanted it, cyan for a mechanism, green when nothing died.
    pub(in crate::report) fn verdict(self, intent: Intent, outcome: OutcomeKind, text: &str) -> String {
        let code = match (outcome, intent) {
            (OutcomeKind::Survived, _) => "1;32",
            (_, Intent::Fault) => "1;31",
            (_, Intent::Deliberate) => "1;33",
            (_, Intent::Automatic) => "1;36",
            (_, Intent::Unknown) => "1",
        };
        self.paint(code, text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
