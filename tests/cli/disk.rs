//! A full disk is an error that leaves whole files, and can be gone on from.

use std::path::PathBuf;
use std::process::Command;

use crate::desk::{Desk, SMALL};

/// A file system of a few KiB, in a folder of the desk.
struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// `None`, said on stderr, where this user may not mount.
    fn mount(desk: &Desk, name: &str, size: &str) -> Option<Self> {
        let path = desk.path(name);
        std::fs::create_dir(&path).unwrap();
        let options = format!("size={size}");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(&path)
            .output();
        match mount {
            Ok(output) if output.status.success() => Some(Self { path }),
            Ok(output) => {
                let reason = String::from_utf8_lossy(&output.stderr);
                eprintln!("skipped: cannot mount a tmpfs: {reason}");
                None
            }
            Err(error) => {
                eprintln!("skipped: cannot run `mount`: {error}");
                None
            }
        }
    }

    fn resize(&self, size: &str) {
        let status = Command::new("mount")
            .args(["-o", &format!("remount,size={size}")])
            .arg(&self.path)
            .status();
        assert!(status.unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.path).status();
    }
}

#[test]
fn a_full_disk_is_an_error_that_leaves_no_torn_file() {
    let desk = Desk::new();
    desk.sweep(&format!("{SMALL} --out whole")).succeeds();
    // The disk is full while the first, a later or the last records are written.
    for kib in [8, 12, 16, 24, 32, 40, 44, 48] {
        let name = format!("disk{kib}");
        let Some(disk) = SmallDisk::mount(&desk, &name, &format!("{kib}k")) else {
            return;
        };
        let run = format!("{name}/run");
        let outcome = desk.sweep(&format!("{SMALL} --quiet --out {run}"));
        outcome.refuses(1, &[&run, "cannot write", "No space left"]);
        for file in ["run.json", "trials.jsonl", "waves.jsonl"] {
            // Every line must be whole.
            let file = format!("{run}/{file}");
            match file.ends_with(".json") {
                true => drop(desk.json(&file)),
                false => drop(desk.json_lines(&file)),
            }
        }
        for folder in [run.clone(), format!("{run}/checkpoint")] {
            let names = desk.names(&folder);
            let partial = |name: &String| name.starts_with('.');
            assert!(!names.iter().any(partial), "{names:?}");
        }
        disk.resize("4m");
        desk.sweep(&format!("--resume --out {run}")).succeeds();
        for file in ["trials.jsonl", "cv_results.csv"] {
            assert_eq!(
                desk.read(&format!("{run}/{file}")),
                desk.read(&format!("whole/{file}")),
                "{file} of {run}"
            );
        }
    }
}

#[test]
fn a_checkpoint_that_does_not_fit_is_an_error() {
    let desk = Desk::new();
    let Some(disk) = SmallDisk::mount(&desk, "disk", "16k") else {
        return;
    };
    let sweep = "--data digits --epochs 3 --hidden 64 --set batch_size=64";
    desk.sweep(&format!("{sweep} --out whole")).succeeds();
    desk.sweep(&format!(
        "{sweep} --checkpoint-every 0 --quiet --out disk/run"
    ))
    .refuses(1, &["disk/run", "cannot write", "No space left"]);
    assert_eq!(desk.names("disk/run/checkpoint"), [""; 0]);
    disk.resize("8m");
    desk.sweep("--resume --out disk/run").succeeds();
    assert_eq!(
        desk.read("disk/run/trials.jsonl"),
        desk.read("whole/trials.jsonl")
    );
}

#[test]
fn the_system_s_reason_is_said_once() {
    let desk = Desk::new();
    desk.write("file", "plain");
    let outcome = desk.sweep(&format!("{SMALL} --quiet --out file/run"));
    let outcome = outcome.refuses(1, &["file/run", "os error"]);
    let said = outcome.stderr.matches("os error").count();
    assert_eq!(said, 1, "{outcome:#?}");
}
