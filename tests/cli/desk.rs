//! A temporary folder to run the program in.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// A sweep of 12 trials, 36 members, in three waves (networks of three shapes), without warnings.
/// Its waves are mixed, so that none of its records holds a time.
pub const SMALL: &str = "--data iris --epochs 2 --set learning_rate=0.01,0.1 \
                         --set optimizer=sgd,adam --set batch_size=32 --hidden 8,16,8x4";
/// Trials of [`SMALL`].
pub const SMALL_TRIALS: usize = 12;

/// What the folder of a finished run holds.
pub const RUN_FILES: [&str; 7] = [
    "best.safetensors",
    "checkpoint",
    "cv_results.csv",
    "run.json",
    "summary.json",
    "trials.jsonl",
    "waves.jsonl",
];

/// A folder of its own for every test.
pub struct Desk {
    folder: TempDir,
}

/// What the program did.
#[derive(Debug)]
pub struct Outcome {
    /// The command line.
    pub command: String,
    /// `None` when a signal ended it.
    pub code: Option<i32>,
    /// Results.
    pub stdout: String,
    /// Progress, warnings, errors.
    pub stderr: String,
}

impl Desk {
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("regatta-cli-").tempdir();
        Self {
            folder: folder.unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, and the folders that it is in.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        let path = self.path(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    /// The lines of `trials.jsonl` or its like; each must end.
    pub fn json_lines(&self, name: &str) -> Vec<Value> {
        let text = self.read(name);
        assert!(text.is_empty() || text.ends_with('\n'), "{name} is torn");
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    pub fn exists(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// The names in a folder, sorted.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap();
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<String> = entries
            .map(|entry| name(entry).into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Every file below a folder, with its bytes.
    pub fn contents(&self, folder: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        collect(&self.path(folder), &mut found);
        found
    }

    /// The program in this folder, ready to start; arguments are divided at spaces.
    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_regatta"));
        command
            .args(arguments.split_whitespace())
            .current_dir(self.folder.path())
            .env_remove("NO_COLOR")
            .env("REGATTA_CACHE_DIR", self.path("cache"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &str) -> Outcome {
        finish(arguments, self.command(arguments).spawn().unwrap())
    }

    /// Runs `regatta sweep`.
    pub fn sweep(&self, arguments: &str) -> Outcome {
        self.run(&format!("sweep {arguments}"))
    }

    /// Starts `regatta sweep`.
    pub fn spawn_sweep(&self, arguments: &str) -> Child {
        self.command(&format!("sweep {arguments}")).spawn().unwrap()
    }

    /// Waits until a file is there, or the process has ended; whether the file is there.
    pub fn wait_for(&self, name: &str, child: &mut Child) -> bool {
        loop {
            let ended = child.try_wait().unwrap().is_some();
            if self.exists(name) || ended {
                return self.exists(name);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn collect(path: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            collect(&path, found);
        } else if path.is_file() {
            found.insert(path.clone(), fs::read(path).unwrap());
        }
    }
}

/// Waits for the end of a process and takes what it printed.
pub fn finish(command: &str, child: Child) -> Outcome {
    let output = child.wait_with_output().unwrap();
    Outcome {
        command: command.to_owned(),
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Outcome {
    /// Checks the exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "`{}`: {self:#?}", self.command);
        self
    }

    #[track_caller]
    pub fn succeeds(self) -> Self {
        self.exits(0)
    }

    /// Checks that stdout has each of these words.
    #[track_caller]
    pub fn prints(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stdout.contains(word), "no `{word}`: {self:#?}");
        }
        self
    }

    /// Checks that stderr has each of these words.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stderr.contains(word), "no `{word}`: {self:#?}");
        }
        self
    }

    /// The one line of stderr that is an error; all others must be warnings.
    #[track_caller]
    pub fn error_line(&self) -> &str {
        let not_warning = |line: &&str| !line.starts_with("warning: ");
        let lines: Vec<&str> = self.stderr.lines().filter(not_warning).collect();
        let one = lines.len() == 1 && lines[0].starts_with("error: ");
        assert!(one, "not one line of error: {self:#?}");
        lines[0]
    }

    /// Checks that this is a refusal: exit code, one sentence with these words, no results.
    #[track_caller]
    pub fn refuses(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert_eq!(self.stdout, "", "{self:#?}");
        let line = self.error_line();
        for word in words {
            assert!(line.contains(word), "no `{word}`: {self:#?}");
        }
        self
    }
}
