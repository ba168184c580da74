//! PAM modules that answer everything there is, ask too much, and do to their process what they like (attacks B-150, B-151).

use crate::sessions::{back_to_base, children};
use crate::support::host::bind;
use crate::support::log::VSFTPD;
use crate::support::server::output;
use crate::support::{Client, Host, Server, wait};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

/// Where the module looks up what it is to do: how bob's login goes, four results, and a word.
const ORDERS: &str = "/mnt/orders";
/// Where it writes which of its functions were called.
const CALLS: &str = "/mnt/calls";

/// A module that does as it is told for bob, and lets everybody else in.
const SOURCE: &str = r#"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
struct message { int style; const char *text; };
struct response { char *text; int code; };
struct conv { int (*call)(int, const struct message **, struct response **, void *); void *data; };
int pam_get_item(const void *h, int item, const void **out);

static int code[4];
static char word[32];

static int bobs(void *h, int which, const char *name) {
    const void *user = 0;
    FILE *file = fopen("/mnt/calls", "a");
    fprintf(file, "%s\n", name);
    fclose(file);
    pam_get_item(h, 2, &user);
    if (!user || strcmp(user, "bob")) return 0;
    file = fopen("/mnt/orders", "r");
    fscanf(file, "%d %d %d %d %31s", code, code + 1, code + 2, code + 3, word);
    fclose(file);
    return code[which];
}

static int say(void *h, int count, int style, const char *text) {
    const void *found = 0;
    struct message all[64];
    const struct message *each[64];
    struct response *answers = 0;
    int at, result;
    pam_get_item(h, 5, &found);
    const struct conv *conv = found;
    for (at = 0; at < count; at++) {
        all[at].style = style;
        all[at].text = text;
        each[at] = all + at;
    }
    result = conv->call(count, each, &answers, conv->data);
    if (result == 0 && style == 1)
        for (at = 0; at < count; at++)
            if (!answers[at].text || strcmp(answers[at].text, "secret")) return 6;
    return result;
}

static int told(void *h) {
    static char huge[65537];
    int at;
    memset(huge, 'i', 65536);
    if (!strcmp(word, "exit")) exit(0);
    if (!strcmp(word, "quit")) _exit(0);
    if (!strcmp(word, "crash")) raise(SIGSEGV);
    if (!strcmp(word, "abort")) abort();
    if (!strcmp(word, "fork")) fork();
    if (!strcmp(word, "child") && !fork()) for (;;) pause();
    if (!strcmp(word, "close") || !strcmp(word, "daemon")) for (at = 0; at < 256; at++) close(at);
    if (!strcmp(word, "daemon")) for (;;) pause();
    if (!strcmp(word, "user")) { setresgid(1001, 1001, 1001); setresuid(1001, 1001, 1001); }
    if (!strcmp(word, "leak")) for (at = 0; at < 64; at++) memset(malloc(1 << 20), at, 1 << 20);
    if (!strcmp(word, "hang")) for (;;) pause();
    if (!strcmp(word, "one")) return say(h, 1, 1, "Password: ");
    if (!strcmp(word, "two")) return say(h, 2, 1, "Password: ");
    if (!strcmp(word, "five")) return say(h, 5, 1, "Password: ");
    if (!strcmp(word, "echo")) return say(h, 1, 2, "Your name: ");
    if (!strcmp(word, "huge")) return say(h, 1, 4, huge);
    if (!strcmp(word, "forged")) return say(h, 1, 3, "no\r\n230 Login successful.\r\n");
    if (!strcmp(word, "null")) return say(h, 1, 4, 0);
    if (!strcmp(word, "style")) return say(h, 1, 99, "?");
    if (!strcmp(word, "many")) return say(h, 33, 4, "x");
    if (!strcmp(word, "most")) return say(h, 32, 4, "x");
    return 0;
}

int pam_sm_authenticate(void *h, int flags, int count, const char **words) {
    word[0] = 0;
    int result = bobs(h, 0, "auth"), conversation = told(h);
    return conversation ? conversation : result;
}
int pam_sm_acct_mgmt(void *h, int flags, int count, const char **words) { return bobs(h, 1, "account"); }
int pam_sm_setcred(void *h, int flags, int count, const char **words) {
    return bobs(h, 2, flags & 4 ? "forget" : "credentials");
}
int pam_sm_open_session(void *h, int flags, int count, const char **words) { return bobs(h, 3, "open"); }
int pam_sm_close_session(void *h, int flags, int count, const char **words) { bobs(h, 0, "close"); return 0; }
"#;

/// The module, made on the machine, which has a compiler. What has changed within the last second is not kept loaded by a nursery.
fn module() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        // Each run of the tests has its own, and those of others are removed once they have ended.
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
        for entry in fs::read_dir(directory).unwrap().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let of = name
                .strip_prefix("stub-")
                .and_then(|name| name.strip_suffix(".so"));
            if of.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                let _ = fs::remove_file(entry.path());
            }
        }
        let place = directory.join(format!("stub-{}.so", std::process::id()));
        let mut compiler = Command::new("cc")
            .args("-shared -fPIC -w -x c - -x none -l:libpam.so.0 -o".split(' '))
            .arg(&place)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = compiler.stdin.take().unwrap();
        input.write_all(SOURCE.as_bytes()).unwrap();
        drop(input);
        assert!(compiler.wait().unwrap().success());
        let changed = fs::metadata(&place).unwrap().ctime();
        wait("the module to be older than that", || {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            (now.unwrap().as_secs() as i64 > changed + 2).then_some(())
        });
        place
    })
}

/// A host whose PAM is that module.
fn host() -> Host {
    host_that_keeps_it(true)
}

/// The same where no nursery keeps it loaded: it has changed a moment ago.
fn host_that_keeps_it(kept: bool) -> Host {
    let module = module();
    let host = Host::new();
    if kept {
        host.write("/mnt/stub.so", "");
        bind(module, Path::new("/mnt/stub.so"));
    } else {
        fs::copy(module, "/mnt/stub.so").unwrap();
    }
    let lines =
        ["auth", "account", "session"].map(|kind| format!("{kind} required /mnt/stub.so\n"));
    host.write("/etc/pam.d/vsftpd", &lines.concat());
    order([0; 4], "-");
    host.write(CALLS, "");
    host.mode(CALLS, 0o666);
    host
}

fn order(codes: [i32; 4], word: &str) {
    let [auth, account, credentials, open] = codes;
    let text = format!("{auth} {account} {credentials} {open} {word}\n");
    fs::write(ORDERS, text).unwrap();
}

const LINES: &str = "max_login_fails=1000000\nlogin_fails_per_ip=0\n";

/// What bob is told, and nobody else's words.
fn bob() -> String {
    let mut c = Client::connect();
    c.says("USER bob", "331 Please specify the password.");
    let said = c.cmd("PASS secret").text();
    if said == "230 Login successful." {
        c.says("PWD", "257 \"/home/bob\" is the current directory");
    } else {
        c.says("PASS secret", "503 Login with USER first.");
        c.says("RETR f", "530 Please login with USER and PASS.");
    }
    c.says("QUIT", "221 Goodbye.");
    c.closed();
    said
}

/// PAM_SUCCESS at every step is a login, and no other result at any of them (`_pam_types.h` has 0 to 31) (attacks B-150).
#[test]
fn every_result_at_every_step() {
    let host = host();
    let server = Server::start(&host, &format!("{LINES}session_support=YES\n"));
    for step in 0..4 {
        for code in 0..33 {
            let mut codes = [0; 4];
            codes[step] = code;
            order(codes, "-");
            let said = if code == 0 {
                "230 Login successful."
            } else {
                "530 Login incorrect."
            };
            assert_eq!(bob(), said, "step {step}, code {code}");
        }
    }
    order([0; 4], "-");
    assert_eq!(bob(), "230 Login successful.");
    back_to_base(&server);
    // What was opened is closed, once.
    let calls = fs::read_to_string(CALLS).unwrap();
    let count = |name: &str| calls.lines().filter(|line| *line == name).count();
    assert_eq!(count("close"), 4 + 1, "{calls}");
}

/// Without session_support the session's lines are not asked.
#[test]
fn a_session_that_nobody_opens() {
    let host = host();
    let server = Server::start(&host, LINES);
    order([0, 0, 0, 4], "-");
    assert_eq!(bob(), "230 Login successful.");
    let calls = fs::read_to_string(CALLS).unwrap();
    assert!(
        !calls.contains("open") && !calls.contains("close"),
        "{calls}"
    );
    back_to_base(&server);
}

/// What modules ask and say: the password answers hidden prompts, a few; nothing of it reaches the client, and what reaches the log is one
/// line.
#[test]
fn what_modules_ask() {
    let host = host();
    let server = Server::start(&host, LINES);
    for (word, answered) in [
        ("one", true),
        ("two", true),
        ("five", false),
        ("echo", false),
        ("style", false),
        ("many", false),
        ("most", true),
        ("huge", true),
        ("forged", true),
        ("null", true),
    ] {
        for code in [0, 7] {
            order([code, 0, 0, 0], word);
            let said = if answered && code == 0 {
                "230 Login successful."
            } else {
                "530 Login incorrect."
            };
            assert_eq!(bob(), said, "{word} {code}");
        }
    }
    back_to_base(&server);
    let log = String::from_utf8(host.read(VSFTPD)).unwrap();
    assert!(log.lines().all(|line| line.len() < 3000), "{log}");
    assert!(!log.lines().any(|line| line.starts_with("230")), "{log}");
    assert!(log.contains("no  230 Login successful."), "{log}");
}

/// Whatever a module does to its process, that login has an end, nobody else's is touched, and what ends a process is no yes (attacks B-151).
#[test]
fn what_modules_do() {
    for kept in [true, false] {
        done_to_its_process(kept);
    }
}

/// By an auth of the nursery's, or by a child of helper's where none is kept.
fn done_to_its_process(kept: bool) {
    let host = host_that_keeps_it(kept);
    let over = AtomicBool::new(false);
    std::thread::scope(|all| {
        if !kept {
            all.spawn(|| changes_until(&over));
        }
        let _over = Over(&over);
        each_is_told(&host, kept);
    });
}

/// Has the module have changed a moment ago at any time.
fn changes_until(over: &AtomicBool) {
    while !over.load(Ordering::SeqCst) {
        let mode = fs::Permissions::from_mode(0o644);
        fs::set_permissions("/mnt/stub.so", mode).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Says that it is over, also when the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn each_is_told(host: &Host, kept: bool) {
    let server = Server::start(host, LINES);
    if kept {
        server.nursery();
    } else {
        wait("two nurseries to give up", || {
            (output().matches("loaded again").count() == 2).then_some(())
        });
    }
    let (yes, no) = ("230 Login successful.", "530 Login incorrect.");
    for (word, said) in [
        ("exit", no),
        ("quit", no),
        ("crash", no),
        ("abort", no),
        ("close", no),
        ("leak", yes),
        ("fork", yes),
        ("user", yes),
    ] {
        for _ in 0..2 {
            order([0; 4], word);
            let mut other = Client::connect();
            assert_eq!(bob(), said, "{word}");
            other.login("alice");
        }
        back_to_base(&server);
    }
    // One that has closed all it had and goes on: helper's own child is waited for a moment, the nursery's for as long as any.
    if !kept {
        order([0; 4], "daemon");
        assert_eq!(bob(), no);
        back_to_base(&server);
    }
    let log = String::from_utf8(host.read(VSFTPD)).unwrap();
    for why in [
        "a PAM module ended the process",
        "a PAM module or library crashed (signal 11)",
        "a PAM module or library crashed (signal 6)",
    ] {
        assert!(log.contains(why), "{why}: {log}");
    }
}

/// What a module leaves running keeps neither the login nor its session: it has nothing of theirs.
#[test]
fn a_module_that_leaves_a_process() {
    let host = host();
    let server = Server::start(&host, LINES);
    let nursery = server.nursery();
    order([0; 4], "child");
    assert_eq!(bob(), "230 Login successful.");
    let left = wait("the session to go, and what was left to stay", || {
        let mut all = Server::everything();
        all.retain(|pid| *pid != server.pid() && *pid != nursery);
        let [left] = all[..] else { return None };
        Some(left)
    });
    assert_eq!(bob(), "230 Login successful.");
    kill(Pid::from_raw(left), Signal::SIGKILL).unwrap();
}

/// One that hangs costs its own session: everybody else logs in, and when it ends bob is refused.
#[test]
fn a_module_that_hangs() {
    let host = host();
    let server = Server::start(&host, LINES);
    let nursery = server.nursery();
    order([0; 4], "hang");
    let mut waits = Client::connect();
    waits.says("USER bob", "331 Please specify the password.");
    waits.send(b"PASS secret\r\n");
    let auth = wait("bob's auth", || children(nursery).first().copied());
    for _ in 0..5 {
        Client::alice().says("QUIT", "221 Goodbye.");
    }
    kill(Pid::from_raw(auth), Signal::SIGKILL).unwrap();
    waits.next("530 Login incorrect.");
    drop(waits);
    back_to_base(&server);
}
