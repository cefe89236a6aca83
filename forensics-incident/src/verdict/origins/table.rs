//! The table: what a process that signals may belong to.

/// One kind of place that an act comes from.
#[derive(Debug)]
pub(in crate::verdict) struct Origin {
    /// Names of the programs that mean it, see [`super::super::programs::is_called`].
    pub(super) programs: &'static [&'static str],
    /// Parts of the path of an executable that mean it.
    pub(super) paths: &'static [&'static str],
    /// File names behind `-jar` that mean it.
    pub(super) jars: &'static [&'static str],
    /// Units that mean it, whatever runs in them.
    pub(super) units: &'static [&'static str],
    /// What to say when such a program is an ancestor of the sender: the beginning of a sentence.
    pub(super) above: &'static str,
    /// What to say when it is the sender itself: a whole sentence. Nothing where that says nothing.
    pub(super) itself: &'static str,
    /// Nobody sat there and decided it.
    pub(super) automatic: bool,
    /// Names in the environment by which it finds what it ends.
    pub(super) cookies: &'static [&'static str],
    /// What to change when it is the sender itself.
    pub(super) advice: &'static str,
}

const NONE: Origin = Origin {
    programs: &[],
    paths: &[],
    jars: &[],
    units: &[],
    above: "",
    itself: "",
    automatic: false,
    cookies: &[],
    advice: "",
};

/// Those that end what a job leaves behind come first: they are what decides when they are the sender.
pub(super) const ORIGINS: &[Origin] = &[
    // actions/runner, src/Runner.Worker/JobExtension.cs: "Terminate orphan process", by RUNNER_TRACKING_ID.
    Origin {
        programs: &["Runner.Worker", "Runner.Listener"],
        above: "It was a step of a GitHub Actions job",
        itself: "GitHub's runner ends what a job leaves behind, which its log calls an orphan process.",
        automatic: true,
        cookies: &["RUNNER_TRACKING_ID"],
        advice: "Start it outside of the job, or in the job with an empty RUNNER_TRACKING_ID.",
        ..NONE
    },
    // hudson.util.ProcessTree kills by these names: https://wiki.jenkins.io/display/JENKINS/ProcessTreeKiller
    Origin {
        jars: &["agent.jar", "remoting.jar", "slave.jar", "swarm-client.jar", "jenkins.war"],
        above: "It was a step of a Jenkins build",
        itself: "Jenkins ends what a build leaves behind: its ProcessTreeKiller goes by names in the environment.",
        automatic: true,
        cookies: &["BUILD_ID", "JENKINS_NODE_COOKIE", "JENKINS_SERVER_COOKIE", "HUDSON_SERVER_COOKIE"],
        advice: "Start it outside of the build, or with JENKINS_NODE_COOKIE=dontKillMe (BUILD_ID=dontKillMe for freestyle jobs).",
        ..NONE
    },
    // gitlab-runner, helpers/process/killer_unix.go: the process group of the job.
    Origin {
        programs: &["gitlab-runner", "gitlab-ci-multi-runner"],
        above: "It was a step of a GitLab CI job",
        itself: "GitLab's runner ends the process group of a job that is over or cancelled.",
        automatic: true,
        cookies: &["CI_JOB_ID"],
        advice: "Start it outside of the job, or as a service.",
        ..NONE
    },
    Origin {
        programs: &[
            "buildkite-agent",
            "circleci-agent",
            "act_runner",
            "forgejo-runner",
            "woodpecker-agent",
            "drone-runner-exec",
        ],
        above: "It was a step of a CI job",
        itself: "A CI agent ends what a job leaves behind.",
        automatic: true,
        ..NONE
    },
    Origin {
        programs: &[
            "falcon-sensor",
            "falcond",
            "wazuh-execd",
            "osqueryd",
            "wdavdaemon",
            "cbagentd",
            "s1-agent",
        ],
        above: "It was run by a security agent",
        itself: "It is a security agent, which ends what its rules forbid; its own log says which rule that was.",
        automatic: true,
        ..NONE
    },
    Origin {
        programs: &["logrotate"],
        units: &["logrotate.service"],
        above: "It was a script of logrotate, which has services reopen their logs",
        itself: "logrotate has services reopen their logs.",
        automatic: true,
        ..NONE
    },
    Origin {
        programs: &[
            "apt",
            "apt-get",
            "aptitude",
            "dpkg",
            "unattended-upgr*",
            "needrestart",
            "dnf",
            "dnf5",
            "yum",
            "rpm",
            "zypper",
            "apk",
            "pacman",
            "packagekitd",
            "snapd",
        ],
        units: &[
            "apt-daily.service",
            "apt-daily-upgrade.service",
            "unattended-upgrades.service",
            "packagekit.service",
            "dnf-automatic.service",
            "dnf-automatic-install.service",
            "snapd.service",
        ],
        above: "It was part of an installation or upgrade of packages",
        itself: "It installs and upgrades packages.",
        automatic: true,
        ..NONE
    },
    Origin {
        programs: &["AnsiballZ_*", "puppet", "chef-client", "salt-minion", "cf-agent"],
        above: "It was a task of configuration management",
        itself: "It was a task of configuration management.",
        automatic: true,
        ..NONE
    },
    Origin {
        programs: &["cron", "crond", "anacron", "fcron"],
        units: &["cron.service", "crond.service", "anacron.service"],
        above: "It was a scheduled job",
        automatic: true,
        ..NONE
    },
    Origin {
        programs: &["atd"],
        units: &["atd.service"],
        above: "It was a job left for at(1)",
        automatic: true,
        ..NONE
    },
    Origin {
        programs: &["claude", "codex", "aider", "cursor-agent", "opencode", "gemini"],
        above: "It was a tool call of an AI agent",
        itself: "It is an AI agent.",
        automatic: true,
        ..NONE
    },
    Origin {
        programs: &["amazon-ssm-agent", "ssm-*", "qemu-ga", "waagent", "cockpit-bridge"],
        above: "It came in by remote management",
        ..NONE
    },
    Origin {
        programs: &[
            "code",
            "code-insiders",
            "code-server",
            "codium",
            "cursor",
            "windsurf",
            "zed",
            "zed-editor",
            "vi",
            "vim",
            "vim.*",
            "nvim",
            "emacs*",
            "kak",
            "hx",
        ],
        paths: &["/.vscode-server/", "/.cursor-server/", "/.windsurf-server/", "/.zed_server/"],
        above: "It was run in an editor",
        ..NONE
    },
    Origin {
        programs: &["tmux", "screen", "SCREEN", "zellij"],
        above: "It was run in a terminal that outlives logins",
        ..NONE
    },
    Origin { programs: &["sshd", "sshd-session", "dropbear"], above: "It came in over SSH", ..NONE },
];
