//! The processes of sessions as /proc shows them, and what must be true after every attack (the oracles of attacks B.0).

use crate::support::{Client, Server, wait};
use std::fs;

pub const NOBODY: u32 = 65_534;

pub fn status(pid: i32, name: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim_start_matches(':').trim().to_owned())
}

fn first(pid: i32, name: &str) -> Option<i64> {
    status(pid, name)?.split_whitespace().next()?.parse().ok()
}

pub fn children(pid: i32) -> Vec<i32> {
    let of = |other: &i32| first(*other, "PPid") == Some(pid.into());
    Server::processes().into_iter().filter(of).collect()
}

/// Helper and its child in the only session, once the child runs as this user and its filter stands.
pub fn session(server: &Server, uid: u32) -> (i32, i32) {
    wait("the session's two processes", || {
        let [helper] = children(server.pid())[..] else {
            return None;
        };
        let [child] = children(helper)[..] else {
            return None;
        };
        let there = first(child, "Uid") == Some(uid.into()) && first(child, "Seccomp") == Some(2);
        there.then_some((helper, child))
    })
}

/// After login: helper has its filter too.
pub fn logged_in(server: &Server, uid: u32) -> (i32, i32) {
    wait("helper's filter", || {
        let (helper, worker) = session(server, uid);
        (first(helper, "Seccomp") == Some(2)).then_some((helper, worker))
    })
}

/// A session's worker that runs as this user, be there a filter or not.
pub fn worker(server: &Server, uid: u32) -> i32 {
    wait("the worker", || {
        let mut all = children(server.pid()).into_iter().flat_map(children);
        all.find(|pid| first(*pid, "Uid") == Some(uid.into()))
    })
}

pub fn descriptors(pid: i32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// Kilobytes in memory that are its own: how much of its files is there is the machine's affair.
pub fn memory(pid: i32) -> i64 {
    first(pid, "RssAnon").unwrap_or(0)
}

/// Nothing is left but the master, which still serves.
#[track_caller]
pub fn back_to_base(server: &Server) {
    wait("every session to go", || alone(server).then_some(()));
    let mut c = Client::anonymous();
    c.says("NOOP", "200 NOOP ok.");
    c.says("QUIT", "221 Goodbye.");
    c.ended();
    wait("the last session to go", || alone(server).then_some(()));
}

/// Nothing is left but the master, and it has booked out every session.
fn alone(server: &Server) -> bool {
    let pid = server.pid();
    let zombies = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let left = Server::everything();
    Server::processes() == [pid]
        && zombies.is_ok_and(|list| {
            let mut all = list.split_whitespace();
            all.all(|child| child.parse().is_ok_and(|child| left.contains(&child)))
        })
}
