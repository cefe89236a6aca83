//! A service in Python that asks, an agent that it asks, and peers of other users.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use harness::{Agent, PATIENCE, Record, Victim, WorkDir, killer, needs_python, needs_root, output};
use serde_json::{Value, json};

/// A directory that another user may read, with the client and the service in it.
pub(crate) struct Scene {
    directory: WorkDir,
    python: PathBuf,
}

impl Scene {
    pub(crate) fn new() -> Result<Self> {
        needs_root()?;
        let (directory, python) = (WorkDir::new()?, needs_python()?);
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
        for from in ["../clients/python/forensics_agent.py", "programs/asking.py"] {
            let from = tests.join(from);
            let to = directory.join(from.file_name().context("a file")?);
            std::fs::copy(&from, &to)?;
            std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o644))?;
        }
        Ok(Self { directory, python })
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.join("run/agent.sock")
    }

    /// Starts a service. It waits long for the agent: what is tested is the answer, whatever else the machine does.
    pub(crate) fn service(&self, uid: u32) -> Result<Victim> {
        // The interpreter may be where only root may look.
        let python = if uid == 0 { self.python.as_path() } else { Path::new("/usr/bin/python3") };
        let mut command = Command::new(python);
        command.arg(self.directory.join("asking.py")).arg(self.directory.join("")).arg(self.socket());
        Victim::spawn(command.arg("5").uid(uid).gid(uid))
    }

    pub(crate) fn agent(&self, targets: &[&str]) -> Result<Agent> {
        let socket = self.socket().display().to_string();
        Agent::watch(&[targets, &["--socket", &socket]].concat())
    }

    pub(crate) fn connect(&self) -> Result<UnixStream> {
        let stream = UnixStream::connect(self.socket())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// One call, one reply.
    pub(crate) fn call(&self, method: &str, parameters: Value) -> Result<Record> {
        let mut stream = self.connect()?;
        stream.write_all(&message(method, parameters))?;
        reply(&mut stream)
    }

    /// One call by another user.
    pub(crate) fn call_as(&self, uid: u32, method: &str, parameters: &Value) -> Result<Record> {
        let script = "import json, socket, sys
peer = socket.socket(socket.AF_UNIX)
peer.connect(sys.argv[1])
peer.sendall(sys.argv[2].encode() + b'\\0')
reply = b''
while not reply.endswith(b'\\0'):
    reply += peer.recv(65536)
print(reply[:-1].decode())";
        let call = json!({ "method": method, "parameters": parameters }).to_string();
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-c", script]).arg(self.socket()).arg(call).uid(uid).gid(uid);
        let said = output(&mut command)?;
        Record::parse(said.stdout.trim()).with_context(|| format!("{said:?}"))
    }
}

pub(crate) fn message(method: &str, parameters: Value) -> Vec<u8> {
    let mut message = json!({ "method": method, "parameters": parameters }).to_string().into_bytes();
    message.push(0);
    message
}

/// The next reply on a connection.
pub(crate) fn reply(stream: &mut UnixStream) -> Result<Record> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    loop {
        ensure!(stream.read(&mut byte)? == 1, "closed after {:?}", String::from_utf8_lossy(&bytes));
        if byte == [0] {
            return Record::parse(std::str::from_utf8(&bytes)?);
        }
        bytes.extend(byte);
    }
}

/// Sends a signal to a service, and yields who did and what the service knows of it.
pub(crate) fn signalled(service: &Victim, number: i32) -> Result<(harness::Killer, Record)> {
    let killer = killer(&["kill", &service.pid().to_string(), &number.to_string()])?;
    let context = Record::parse(&service.line()?)?;
    context.expect("pid", service.pid())?;
    context.expect("signal_num", number)?;
    Ok((killer, context))
}
