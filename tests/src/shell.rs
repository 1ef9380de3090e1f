//! A shell into which the commands of documents are typed.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use crate::page::Block;
use crate::process::binary;

/// How long a command may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// A shell that keeps its variables and its jobs from one command to the next. Our programs are on its path. Its
/// jobs end with it.
pub struct Shell {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Shell {
    /// Starts one in that folder, with these variables.
    pub fn start(folder: &Path, settings: &[(String, String)]) -> Self {
        let programs = binary("campaignctl");
        let programs = programs.parent().expect("a program is in a folder");
        let path = std::env::var("PATH").unwrap_or_default();
        let mut child = Command::new("bash")
            .current_dir(folder)
            .env("PATH", format!("{}:{path}", programs.display()))
            .env("XDG_CONFIG_HOME", folder)
            .envs(settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("bash can be run");
        let output = child.stdout.take().expect("its output is ours");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let read = BufReader::new(output).lines().map_while(Result::ok);
            read.take_while(|line| sender.send(line.clone()).is_ok())
                .for_each(drop);
        });
        let input = child.stdin.take().expect("its input is ours");
        Self {
            child,
            input,
            lines,
        }
    }

    /// Does what a block says: writes the file that it is, or types its commands. Returns what they printed.
    ///
    /// # Panics
    /// When a command does not do what it shows.
    pub fn follow(&mut self, block: &Block) -> String {
        if let Some(name) = block.file() {
            let here = self.succeed("pwd");
            let path = Path::new(&here).join(name);
            let folder = path.parent().expect("a file is in a folder");
            std::fs::create_dir_all(folder).expect("a folder");
            std::fs::write(path, &block.text).expect("a file");
        }
        if block.language() == "sh" && block.file().is_none() {
            return self.succeed(&block.text);
        }
        let mut all = String::new();
        for step in block.steps() {
            let (printed, code) = self.run(&step.command);
            step.check(&printed, Some(code));
            all.push_str(&printed);
        }
        all
    }

    /// Runs commands, each of which must succeed. Returns what they printed.
    pub fn succeed(&mut self, commands: &str) -> String {
        let (printed, code) = self.run(&format!("set -e\n{commands}\nset +e"));
        assert_eq!(code, 0, "{commands}\n{printed}");
        printed
    }

    /// Runs a command. Returns what it printed and how it ended.
    ///
    /// # Panics
    /// When it does not end within two minutes, or the shell with it.
    pub fn run(&mut self, command: &str) -> (String, i32) {
        writeln!(
            self.input,
            "{{ {command}\n}} 2>&1 < /dev/null; printf '\\n<<%d>>\\n' $?"
        )
        .expect("the shell listens");
        let mut printed = Vec::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|why| panic!("{command}: {why}: {printed:#?}"));
            let code = line.strip_prefix("<<");
            match code.and_then(|code| code.strip_suffix(">>")?.parse().ok()) {
                Some(code) => {
                    // The empty line before the mark ends what had no end of line.
                    if printed.last().is_some_and(String::is_empty) {
                        printed.pop();
                    }
                    return (printed.join("\n"), code);
                }
                None => printed.push(line),
            }
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // It may have ended its jobs, or itself, already.
        let _ = writeln!(self.input, "kill $(jobs -p) 2> /dev/null; wait; exit");
        let _ = self.child.wait();
    }
}
