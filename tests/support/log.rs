//! The server's logs, with what changes from run to run (date, process id, rate) checked for its form and then masked.

use super::wait;
use std::fs;

pub const VSFTPD: &str = "/var/log/vsftpd.log";
pub const XFERLOG: &str = "/var/log/xferlog";

/// The lines of vsftpd.log after `DATE [pid N] `, once there are `count`; rates read `RATE`.
#[track_caller]
pub fn vsftpd(count: usize) -> Vec<String> {
    lines(VSFTPD, count)
        .iter()
        .map(|line| vsftpd_line(line))
        .collect()
}

/// vsftpd.log once it has this text: helper writes a line beside the reply.
#[track_caller]
pub fn until(text: &str) -> String {
    wait(&format!("{text:?} in the log"), || {
        let log = fs::read(VSFTPD).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        log.contains(text).then_some(log)
    })
}

/// The lines of vsftpd.log so far.
pub fn vsftpd_now() -> Vec<String> {
    text(VSFTPD)
        .lines()
        .filter(|line| !line.contains(" DEBUG: "))
        .map(vsftpd_line)
        .collect()
}

/// The lines of xferlog after the date and the duration, once there are `count`.
#[track_caller]
pub fn xferlog(count: usize) -> Vec<String> {
    lines(XFERLOG, count)
        .iter()
        .map(|line| xferlog_line(line))
        .collect()
}

fn lines(path: &str, count: usize) -> Vec<String> {
    let mut last = String::new();
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait("the log", || {
            // Ours adds a DEBUG line with the reason of a refusal (DIFFERENCES); everything else is the original's.
            last = text(path)
                .lines()
                .filter(|line| !line.contains(" DEBUG: "))
                .fold(String::new(), |all, line| all + line + "\n");
            (last.lines().count() >= count && last.ends_with('\n'))
                .then(|| last.lines().map(str::to_owned).collect())
        })
    }));
    found.unwrap_or_else(|_| panic!("{path} has not {count} lines:\n{last}"))
}

fn text(path: &str) -> String {
    String::from_utf8(fs::read(path).unwrap_or_default()).expect("a log is ASCII")
}

fn vsftpd_line(line: &str) -> String {
    let rest = date(line)
        .strip_prefix("[pid ")
        .unwrap_or_else(|| panic!("no pid: {line}"));
    let (pid, rest) = rest
        .split_once("] ")
        .unwrap_or_else(|| panic!("no pid: {line}"));
    assert!(pid.parse::<u32>().is_ok(), "pid: {line}");
    let Some(head) = rest.strip_suffix("Kbyte/sec") else {
        return rest.to_owned();
    };
    let (head, rate) = head.rsplit_once(' ').unwrap();
    let (whole, cents) = rate
        .split_once('.')
        .unwrap_or_else(|| panic!("rate: {line}"));
    assert!(
        whole.parse::<u64>().is_ok() && cents.len() == 2 && cents.parse::<u8>().is_ok(),
        "rate: {line}"
    );
    format!("{head} RATE")
}

fn xferlog_line(line: &str) -> String {
    let (seconds, rest) = date(line).split_once(' ').unwrap();
    assert!(
        seconds.parse::<u32>().is_ok_and(|s| s >= 1),
        "duration: {line}"
    );
    rest.to_owned()
}

/// Checks `Www Mmm dd HH:MM:SS YYYY ` and returns what follows.
fn date(line: &str) -> &str {
    let (date, rest) = line
        .split_at_checked(25)
        .unwrap_or_else(|| panic!("short line: {line}"));
    let shape: String = date
        .chars()
        .map(|c| match c {
            '0'..='9' => '0',
            'A'..='Z' => 'A',
            'a'..='z' => 'a',
            other => other,
        })
        .collect();
    assert!(
        shape == "Aaa Aaa 00 00:00:00 0000 " || shape == "Aaa Aaa  0 00:00:00 0000 ",
        "date: {line}"
    );
    rest
}
