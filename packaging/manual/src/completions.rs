//! Completions, each under the path that it has below the directory.

use clap::Command;
use clap_complete::{Shell, generate};

/// For each shell that Debian's packages commonly serve.
const SHELLS: [(Shell, &str); 3] = [
    (Shell::Bash, "bash/forensics-agent"),
    (Shell::Zsh, "zsh/_forensics-agent"),
    (Shell::Fish, "fish/forensics-agent.fish"),
];

/// All of them: path and content.
pub(crate) fn all(command: &mut Command) -> Vec<(String, Vec<u8>)> {
    let name = command.get_name().to_owned();
    let one = |(shell, path): (Shell, &str)| {
        let mut text = Vec::new();
        generate(shell, command, name.clone(), &mut text);
        (path.to_owned(), text)
    };
    SHELLS.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use forensics_agent::cli::Cli;

    #[test]
    fn every_shell_knows_every_command() {
        let completions = super::all(&mut Cli::command());
        assert_eq!(completions.len(), 3);
        for (path, text) in completions {
            let text = String::from_utf8(text).expect("UTF-8");
            for command in Cli::command().get_subcommands() {
                assert!(text.contains(command.get_name()), "{path} lacks {}", command.get_name());
            }
            assert!(text.contains("drain-timeout"), "{path} lacks an option");
        }
    }
}
