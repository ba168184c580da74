//! strace(1) on a process that runs already; runs in the test process.

use super::wait;
use std::fs::{self, File};
use std::process::{Child, Command, Stdio};

/// Where strace says what it does.
const SAID: &str = "/mnt/strace-said";

/// strace(1) with these words, which has this process, and with `-f` each of its threads. From now on every call is seen.
#[track_caller]
pub fn attach(pid: i32, words: &[&str]) -> Child {
    let child = Command::new("strace")
        .args(words)
        .args(["-p", &pid.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(SAID).unwrap())
        .spawn()
        .expect("the tests need strace");
    // All threads that are there by now, where they are followed.
    let tasks = || match fs::read_dir(format!("/proc/{pid}/task")) {
        Ok(tasks) if words.contains(&"-f") => tasks
            .flatten()
            .filter_map(|task| task.file_name().to_str()?.parse().ok())
            .collect(),
        Ok(_) | Err(_) => vec![pid],
    };
    let traced = |task: i32| {
        let status = fs::read_to_string(format!("/proc/{task}/status"));
        status.is_ok_and(|text| !text.contains("\nTracerPid:\t0\n"))
    };
    // A thread has a tracer before it is interrupted; what it calls in between is not seen. This is said behind the last one.
    let interrupted = format!("Process {pid} attached");
    wait("strace to attach", || {
        let said = fs::read_to_string(SAID).unwrap_or_default();
        (said.contains(&interrupted) && tasks().into_iter().all(traced)).then_some(())
    });
    child
}
