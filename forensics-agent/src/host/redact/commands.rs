//! Commands that take a secret in an option or operand whose name does not say so.

use std::ops::Range;

use super::is_one_of;

/// Which part of a value is the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// What follows this character, as the password in `user:password`. Without the character nothing is, and
    /// all of it when nothing follows (an API key in the place of the user).
    After(char),
}

impl Part {
    /// The range of `value` that is secret.
    pub(super) fn of(self, value: &str) -> Option<Range<usize>> {
        let start = match self {
            Part::Whole => 0,
            Part::After(separator) => value.find(separator)? + separator.len_utf8(),
        };
        let start = if start == value.len() { 0 } else { start };
        (start < value.len()).then_some(start..value.len())
    }
}

/// How an option takes its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `-pVALUE`; a bare `-p` asks for it.
    Attached,
    /// `-p VALUE`.
    Separate,
    /// Either.
    Both,
}

/// Commands, the subcommand needed ("" for none), the options, their form, the secret part.
type OptionRule = (&'static [&'static str], &'static str, &'static [&'static str], Form, Part);

const OPTIONS: &[OptionRule] = {
    use Form::{Attached, Both, Separate};
    use Part::{After, Whole};
    &[
        (
            &[
                "mysql",
                "mysqldump",
                "mysqladmin",
                "mysqlimport",
                "mysqlshow",
                "mysqlcheck",
                "mysqlpump",
                "mysqlsh",
                "mysqlslap",
                "mysqlbinlog",
                "mariadb",
                "mariadb-dump",
                "mariadb-admin",
                "mycli",
            ],
            "",
            &["-p"],
            Attached,
            Whole,
        ),
        (&["7z", "7za", "7zr", "7zz", "rar", "unrar"], "", &["-p", "-hp"], Attached, Whole),
        (&["sshpass", "cypher-shell", "rdesktop"], "", &["-p"], Both, Whole),
        (
            &["mongo", "mongosh", "mongodump", "mongorestore", "mongoexport", "cqlsh"],
            "",
            &["-p"],
            Both,
            Whole,
        ),
        (
            &["docker", "podman", "nerdctl", "buildah", "skopeo", "helm", "oras", "crane"],
            "login",
            &["-p"],
            Both,
            Whole,
        ),
        (&["az", "cf", "oc", "ibmcloud"], "login", &["-p"], Both, Whole),
        (&["curl"], "", &["-u", "-U", "--user", "--proxy-user", "-E", "--cert"], Both, After(':')),
        (&["curl"], "", &["-b"], Both, After('=')),
        (&["http", "https", "xh"], "", &["-a"], Both, After(':')),
        (&["etcdctl"], "", &["--user"], Both, After(':')),
        (&["lftp"], "", &["-u"], Both, After(',')),
        (&["smbclient", "rpcclient", "net", "smbget"], "", &["-U", "--user"], Both, After('%')),
        (&["redis-cli", "valkey-cli"], "", &["-a"], Separate, Whole),
        (
            &["zip", "unzip", "sqlcmd", "bcp", "tsql", "ipmitool", "mosquitto_pub", "mosquitto_sub"],
            "",
            &["-P"],
            Both,
            Whole,
        ),
        (
            &["ldapsearch", "ldapadd", "ldapmodify", "ldapdelete", "ldapwhoami", "ldappasswd", "ldapcompare"],
            "",
            &["-w"],
            Both,
            Whole,
        ),
        (&["snmpwalk", "snmpget", "snmpset", "snmpbulkwalk"], "", &["-c", "-A", "-X"], Both, Whole),
        (&["plink", "pscp", "psftp", "putty"], "", &["-pw"], Separate, Whole),
        (&["xfreerdp", "wlfreerdp"], "", &["/p:"], Attached, Whole),
        (&["ssh-keygen"], "", &["-N", "-P"], Separate, Whole),
        (&["openssl"], "", &["-k", "-K"], Separate, Whole),
        (&["useradd", "usermod"], "", &["-p"], Both, Whole),
        (&["kubectl", "oc"], "secret", &["--from-literal"], Both, After('=')),
        (&["gh"], "secret", &["-b", "--body"], Both, Whole),
    ]
};

/// Commands, the subcommand, and which operand after it is the secret (1 is the next one).
const OPERANDS: &[(&[&str], &str, usize)] = &[
    (&["vault", "bao"], "login", 1),
    (&["vault", "bao"], "unwrap", 1),
    (&["vault", "bao"], "unseal", 1),
    (&["rabbitmqctl"], "add_user", 2),
    (&["rabbitmqctl"], "change_password", 2),
    (&["rabbitmqctl"], "authenticate_user", 2),
    (&["mc"], "set", 4),
    (&["nmcli"], "password", 1),
    (&["wpa_passphrase"], "", 2),
    (&["htpasswd"], "", 3),
];

/// Commands that keep settings: an operand with a secret name is followed by its value.
const SETTERS: [&str; 12] =
    ["aws", "npm", "yarn", "pnpm", "pip", "poetry", "git", "composer", "gcloud", "heroku", "consul", "snap"];

/// Commands whose rule ends where the command that they start begins.
const STARTERS: [&str; 1] = ["sshpass"];

/// Commands that end the rules of the one before and have none of their own.
const PLAIN: [&str; 4] = ["ssh", "scp", "rsync", "sftp"];

/// Commands whose operands are patterns, names or pids, never commands.
const INSPECTORS: [&str; 12] =
    ["pkill", "pgrep", "killall", "kill", "skill", "grep", "egrep", "fgrep", "rg", "ag", "man", "which"];

/// The command that the words belong to, as far as the rules need to know it.
#[derive(Debug, Default)]
pub(super) struct Command {
    name: String,
    /// Its operands are never commands.
    inspector: bool,
    /// Subcommands met, with the number of operands that followed each.
    subcommands: Vec<(&'static str, usize)>,
    /// A `set` or `config` came before, in a command that keeps settings.
    setting: bool,
}

impl Command {
    /// The option of this command that `word` carries, if its value is a secret: the attached value's part of the
    /// word, or what to redact of the next word.
    pub(super) fn option(&self, word: &str) -> Option<Taken> {
        if !word.starts_with(['-', '/']) {
            return None;
        }
        let rules = OPTIONS.iter().filter(|(commands, subcommand, ..)| {
            is_one_of(commands, &self.name)
                && (subcommand.is_empty() || self.subcommands.iter().any(|(seen, _)| seen == subcommand))
        });
        for &(_, _, options, form, part) in rules {
            for option in options {
                // `-su user:pass`: short switches of curl in front of the option.
                let clustered = self.name == "curl"
                    && option.len() == 2
                    && word.len() <= 8
                    && !word.starts_with("--")
                    && word.ends_with(option.trim_start_matches('-'));
                if (word == *option || clustered) && form != Form::Attached {
                    return Some(Taken::Next(part));
                }
                let Some(value) = word.strip_prefix(option) else { continue };
                let long = option.starts_with("--");
                let value = if long { value.strip_prefix('=') } else { Some(value) };
                if let Some(value) = value.filter(|v| !v.is_empty() && form != Form::Separate) {
                    let offset = word.len() - value.len();
                    return part.of(value).map(|range| Taken::Here(range.start + offset..range.end + offset));
                }
            }
        }
        None
    }

    /// True when this operand is itself the secret.
    pub(super) fn is_secret_operand(&self, word: &str) -> bool {
        // `vault login username=u` is no bare token.
        !word.starts_with('-')
            && !word.trim_end_matches('=').contains('=')
            && OPERANDS.iter().any(|&(commands, subcommand, nth)| {
                is_one_of(commands, &self.name)
                    && self.subcommands.iter().any(|&(seen, count)| seen == subcommand && count + 1 == nth)
            })
    }

    /// True when an operand that names a secret setting is followed by its value.
    pub(super) fn sets_next(&self) -> bool {
        self.setting
    }

    /// Takes note of a word that no rule took for a value. `may_be_value` is true when it may be the value of an
    /// option that the rules do not know, so that it starts no new command.
    pub(super) fn advance(&mut self, word: &str, may_be_value: bool) {
        if matches!(word, "|" | "||" | "&&" | "&" | ";") || word.ends_with(';') {
            *self = Self::default();
            return;
        }
        if word.starts_with('-') {
            return;
        }
        let base = word.rsplit('/').next().unwrap_or(word).trim_start_matches(['(', '`', '$']);
        let first = self.name.is_empty();
        if first || (!self.inspector && !may_be_value && is_known(base)) {
            // `env A=b mysql`: an assignment is no command.
            if !word.contains('=') {
                let subcommands =
                    OPERANDS.iter().filter(|(c, s, _)| s.is_empty() && is_one_of(c, base)).count();
                *self = Self {
                    name: base.to_owned(),
                    inspector: is_one_of(&INSPECTORS, base),
                    subcommands: if subcommands > 0 { vec![("", 0)] } else { Vec::new() },
                    setting: false,
                };
            }
            return;
        }
        if is_one_of(&STARTERS, &self.name) {
            *self = Self { name: base.to_owned(), ..Self::default() };
            return;
        }
        for (_, count) in &mut self.subcommands {
            *count = count.saturating_add(1);
        }
        let of_options = OPTIONS.iter().map(|rule| rule.1);
        let known =
            of_options.chain(OPERANDS.iter().map(|rule| rule.1)).find(|s| !s.is_empty() && *s == word);
        if let Some(subcommand) = known.filter(|k| self.subcommands.iter().all(|(seen, _)| seen != k)) {
            self.subcommands.push((subcommand, 0));
        }
        if is_one_of(&SETTERS, &self.name) && matches!(word, "set" | "config" | "config:set") {
            self.setting = true;
        }
    }
}

/// Where an option has its secret.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// In this range of the word itself.
    Here(Range<usize>),
    /// In the next word.
    Next(Part),
}

fn is_known(base: &str) -> bool {
    is_one_of(&PLAIN, base)
        || is_one_of(&SETTERS, base)
        || OPTIONS.iter().any(|rule| is_one_of(rule.0, base))
        || OPERANDS.iter().any(|rule| is_one_of(rule.0, base))
}
