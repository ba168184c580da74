//! The server under test: started in the test's private host, killed with everything it started when dropped.

use super::host::{CONFIG, Host, PROGRAM};
use super::wait;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What every server under test is told first; a test's own lines come after and win.
pub const BASE: &str = "listen=YES\nanonymous_enable=YES\nlocal_enable=YES\nwrite_enable=YES\n\
    delay_failed_login=0\ndelay_successful_login=0\nsecure_chroot_dir=/run/vsftpd/empty\n\
    pam_service_name=vsftpd\nxferlog_enable=YES\n";
const OUTPUT: &str = "/mnt/output";

/// A running server.
pub struct Server {
    master: Child,
}

impl Server {
    /// Starts the server and returns once it listens on port 21.
    pub fn start(host: &Host, lines: &str) -> Server {
        Server::start_with(host, lines, &[])
    }

    /// Starts it with this in its environment.
    pub fn start_with(_: &Host, lines: &str, environment: &[(&str, &str)]) -> Server {
        fs::write(CONFIG, format!("{BASE}{lines}")).unwrap();
        Server::listen(Server::launch(CONFIG, environment))
    }

    /// Starts it with a configuration that is there already.
    pub fn start_file(_: &Host, path: &str) -> Server {
        Server::listen(Server::launch(path, &[]))
    }

    /// Starts it with this configuration and nothing else; returns once it listens on `port`.
    pub fn exactly(host: &Host, text: &str, port: u16) -> Server {
        Server::bare(host, 0, text).up(port)
    }

    /// Starts it with this configuration and nothing else, as the user to whom it belongs, and waits for nothing.
    pub fn bare(host: &Host, uid: u32, text: &str) -> Server {
        fs::write(CONFIG, text).unwrap();
        host.own(CONFIG, uid);
        Server::launch_as(uid, CONFIG, &[])
    }

    fn listen(server: Server) -> Server {
        server.up(21)
    }

    /// Waits until it listens on `port`.
    pub fn up(mut self, port: u16) -> Server {
        wait("the server to listen", || {
            if let Some(status) = self.master.try_wait().unwrap() {
                panic!("the server ended at once, {status}: {}", output());
            }
            (listening_on(port) && self.is_complete()).then_some(())
        });
        self
    }

    /// Whether a master of ours that has no session yet has all that it keeps open, and its nursery, where it has one.
    fn is_complete(&self) -> bool {
        let serves = !super::ours() || serves(self.pid());
        serves
            && Server::everything().into_iter().all(|pid| {
                let told = |field| status(pid, field);
                let starts = told("PPid") == Some(self.pid()) && told("Uid") == Some(0);
                !starts || hears_signals(pid)
            })
    }

    /// The nursery of auths, which is there as long as passwords may be checked and the master lives.
    pub fn nursery(&self) -> i32 {
        wait("the nursery", || {
            let below = |pid: &i32| status(*pid, "PPid") == Some(self.pid()) && is_nursery(*pid);
            let [found] = Server::everything()
                .into_iter()
                .filter(below)
                .collect::<Vec<_>>()[..]
            else {
                return None;
            };
            Some(found)
        })
    }

    /// Starts it with this as its standard error.
    pub fn complaining_to(_: &Host, lines: &str, error: OwnedFd) -> Server {
        fs::write(CONFIG, format!("{BASE}{lines}")).unwrap();
        let mut command = Command::new(PROGRAM);
        command.arg(CONFIG).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::from(error));
        let master = command.process_group(0).spawn().expect("start the server");
        Server { master }.up(21)
    }

    /// Starts a server that must not come up; its exit status and all it said.
    pub fn refused(_: &Host, lines: &str) -> (ExitStatus, String) {
        fs::write(CONFIG, format!("{BASE}{lines}")).unwrap();
        let mut server = Server::launch(CONFIG, &[]);
        (server.wait_master(), output())
    }

    fn launch(path: &str, environment: &[(&str, &str)]) -> Server {
        Server::launch_as(0, path, environment)
    }

    fn launch_as(uid: u32, path: &str, environment: &[(&str, &str)]) -> Server {
        // The original writes its complaints to descriptor 0.
        let out = File::options()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(OUTPUT)
            .unwrap();
        let mut command = Command::new(PROGRAM);
        command
            .arg(path)
            .envs(environment.iter().copied())
            .stdin(Stdio::from(out.try_clone().unwrap()))
            .stdout(Stdio::from(out.try_clone().unwrap()))
            .stderr(Stdio::from(out));
        command.process_group(0);
        if uid != 0 {
            command.uid(uid).gid(uid);
        }
        Server {
            master: command.spawn().expect("start the server under test"),
        }
    }

    pub fn pid(&self) -> i32 {
        self.master.id() as i32
    }

    /// Waits for the master, and nothing else, to end.
    pub fn wait_master(&mut self) -> ExitStatus {
        wait("the master to end", || self.master.try_wait().unwrap())
    }

    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Every process of the private host but the test itself and the nursery, which is there all the time.
    pub fn processes() -> Vec<i32> {
        Server::but_nursery(&Server::everything())
    }

    /// These processes without the nursery, which is not known for one as long as it has not begun.
    pub fn but_nursery(of: &[i32]) -> Vec<i32> {
        let others = of.iter().copied();
        others.filter(|pid| !is_nursery(*pid)).collect()
    }

    /// Every process of the private host but the test itself.
    pub fn everything() -> Vec<i32> {
        let ours = fs::read_link("/proc/thread-self/ns/mnt").unwrap();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse::<i32>().ok())
            else {
                continue;
            };
            let same = fs::read_link(PathBuf::from(format!("/proc/{pid}/ns/mnt")))
                .is_ok_and(|ns| ns == ours);
            if same && pid != std::process::id() as i32 {
                found.push(pid);
            }
        }
        found.sort_unstable();
        found
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.master.kill();
        let _ = self.master.wait();
        for pid in Server::everything() {
            let _ = nix::sys::signal::kill(
                nix::unistd::Pid::from_raw(pid),
                nix::sys::signal::Signal::SIGKILL,
            );
        }
        // The next server begins alone. Whoever hangs in the kernel is not waited for.
        let begin = Instant::now();
        while !Server::everything().is_empty() && begin.elapsed() < Duration::from_secs(2) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The first number of a field of /proc/PID/status.
fn status(pid: i32, field: &str) -> Option<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Whether a process takes signals through a descriptor: master and nursery do, and no other; a nursery once all is loaded.
fn hears_signals(pid: i32) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    let mut links = files
        .flatten()
        .filter_map(|file| fs::read_link(file.path()).ok());
    links.any(|link| link.as_os_str() == "anon_inode:[signalfd]")
}

/// Whether this is a master of ours that serves: it has said so, and waits for clients.
pub fn serves(pid: i32) -> bool {
    hears_signals(pid) && polls(pid)
}

/// Whether a process waits in poll(2), as master does once it serves; yes where the kernel does not tell.
fn polls(pid: i32) -> bool {
    let Ok(call) = fs::read_to_string(format!("/proc/{pid}/syscall")) else {
        return true;
    };
    let calls = [
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll,
        libc::SYS_ppoll,
    ];
    let now = call.split(' ').next().and_then(|call| call.parse().ok());
    now.is_some_and(|now: libc::c_long| calls.contains(&now))
}

fn is_nursery(pid: i32) -> bool {
    hears_signals(pid) && status(pid, "PPid").is_some_and(hears_signals)
}

/// Whether port 21 is listened on in this network; looked up, because a probing connection would be counted.
pub fn listening() -> bool {
    listening_on(21)
}

/// Whether `port` is listened on in this network.
pub fn listening_on(port: u16) -> bool {
    let port = format!(":{port:04X}");
    any_socket(|local, _, state| local.ends_with(&port) && state == "0A")
}

/// Whether the server's end of a control connection from this port of the client's holds, as far as its kernel knows. One that is over may
/// have left the port to another, and is remembered for a minute (TIME_WAIT).
pub fn connected_from(port: u16) -> bool {
    let port = format!(":{port:04X}");
    any_socket(|local, peer, state| {
        local.ends_with(":0015") && peer.ends_with(&port) && state != "06"
    })
}

/// Whether there is such a TCP socket in this network, by its local address, its peer's and its state.
fn any_socket(is: impl Fn(&str, &str, &str) -> bool) -> bool {
    ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"]
        .iter()
        .any(|table| {
            let text = fs::read_to_string(table).unwrap_or_default();
            text.lines().any(|line| {
                let fields: Vec<&str> = line.split_whitespace().take(4).collect();
                matches!(fields[..], [_, local, peer, state] if is(local, peer, state))
            })
        })
}

/// All that the last server has said to its descriptors.
pub fn output() -> String {
    String::from_utf8_lossy(&fs::read(OUTPUT).unwrap_or_default()).into_owned()
}

/// For whoever reads why a test has failed: the processes of the private host, and what was said and logged last.
pub fn scene() -> String {
    let processes = Server::everything().into_iter().map(|pid| {
        let told = |field| status(pid, field).unwrap_or(-1);
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        let (parent, user) = (told("PPid"), told("Uid"));
        let calls = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
        let call = calls.split(' ').next().unwrap_or_default().trim();
        format!("process {pid} of {parent}, user {user}, in call {call}: {words}")
    });
    let logged = fs::read(super::log::VSFTPD).unwrap_or_default();
    let logged = String::from_utf8_lossy(&logged).into_owned();
    let last = |text: &str| {
        let lines: Vec<_> = text.lines().rev().take(5).map(str::to_owned).collect();
        lines.into_iter().rev()
    };
    let said = last(&output()).map(|line| format!("said: {line}"));
    let logged = last(&logged).map(|line| format!("logged: {line}"));
    let all: Vec<_> = processes.chain(said).chain(logged).collect();
    all.join("\n")
}
