//! Manual pages: one for the program, one for each of its commands.

use std::io::Write as _;

use anyhow::Result;
use clap::Command;
use clap_mangen::Man;

/// All of them: file name and content.
pub(crate) fn all(command: &Command) -> Result<Vec<(String, Vec<u8>)>> {
    let mut command = command.clone().disable_help_subcommand(true);
    command.build();
    let mut pages = vec![page(&command)?];
    for subcommand in command.get_subcommands() {
        pages.push(page(subcommand)?);
    }
    Ok(pages)
}

fn page(command: &Command) -> Result<(String, Vec<u8>)> {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let man = Man::new(command.clone())
        .title(name.to_uppercase())
        .source(concat!("forensics-agent ", env!("CARGO_PKG_VERSION")))
        .manual("User Commands");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    if let Some(details) = command.get_after_help() {
        // Its lines are laid out already.
        writeln!(text, ".SH DETAILS\n.nf")?;
        details.to_string().lines().try_for_each(|line| writeln!(text, "{}", literal(line)))?;
        writeln!(text, ".fi")?;
    }
    writeln!(text, ".SH FILES\n.TP\n/etc/forensics\\-agent/config.toml\nconfiguration of the service")?;
    writeln!(text, ".SH SEE ALSO\n{}", see_also(&name))?;
    Ok((man.get_filename(), text))
}

/// The page of the program leads to journalctl(1), those of its commands to the program's.
fn see_also(name: &str) -> String {
    let others: &[&str] = if name.contains("agent-") {
        &["forensics-agent", "journalctl"]
    } else {
        &["journalctl", "systemctl"]
    };
    let links: Vec<String> = others.iter().map(|other| format!("\\fB{}\\fR(1)", literal(other))).collect();
    links.join(", ")
}

/// A line that troff prints as it is.
fn literal(line: &str) -> String {
    let escaped = line.replace('\\', "\\e").replace('-', "\\-");
    if escaped.starts_with(['.', '\'']) { format!("\\&{escaped}") } else { escaped }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use forensics_agent::cli::Cli;

    use super::*;

    #[test]
    fn every_command_has_a_page_with_its_options() {
        let pages = all(&Cli::command()).expect("pages");
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.first(), Some(&"forensics-agent.1"));
        for command in Cli::command().get_subcommands() {
            let name = format!("forensics-agent-{}.1", command.get_name());
            assert!(names.contains(&name.as_str()), "{name} is not among {names:?}");
        }
        let (_, watch) = pages.iter().find(|(name, _)| name.ends_with("watch.1")).expect("watch");
        let watch = String::from_utf8(watch.clone()).expect("UTF-8");
        assert!(watch.contains("\\-\\-pidfile") && watch.contains("Selectors add up"), "{watch}");
    }

    #[test]
    fn nothing_in_a_line_is_a_request() {
        assert_eq!(literal(".SH x"), "\\&.SH x");
        assert_eq!(literal("a\\b --c"), "a\\eb \\-\\-c");
    }
}
