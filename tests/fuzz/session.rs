//! A whole session: greeter and worker as they are, over a socket to a client who says the input, with a helper of our own behind the
//! channel. Only the giving up of privilege is left out (sys/confine.rs). Whatever the client says, each command has one final reply,
//! replies are lines of RFC 959, helper hears no message out of order, and it all ends.

use super::inside::Jail;
use super::state::Session;
use super::{Class, Client, Greeting, Handover, Rules, Secured, Verdict, greet, rights};
use crate::config::{self, Config, Loaded, Source};
use crate::ftp::line::{Command, LineBuffer};
use crate::place::Place;
use crate::sys::confine::{self, Fences, Isolation, Plan, Root};
use crate::sys::seccomp::Rights;
use crate::sys::socket::{self, Parcel};
use crate::sys::tree::{Tree, VirtualPath};
use crate::wire::{
    AfterLogin, AfterLoginReply, BeforeLogin, BeforeLoginReply, Change, Channel, Event, Outcome,
};
use nix::sys::signal::{SigHandler, SigSet, Signal};
use nix::unistd::{getgid, getuid};
use std::cell::OnceCell;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::mem::ManuallyDrop;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread::Scope;
use std::time::Duration;

/// Longer inputs say nothing that shorter ones do not.
const LONGEST: usize = 6000;
/// How long the server may say nothing: longer than anything it waits for here.
const PATIENCE: Duration = Duration::from_secs(10);

/// What every session is told, then what makes it one of its kind.
const COMMON: &str = "idle_session_timeout=60\naccept_timeout=1\nconnect_timeout=1\ndata_connection_timeout=2\nsetproctitle_enable=NO\n";
const KINDS: [(Rules, &str); 6] = [
    (Rules::Anonymous, ""),
    (
        Rules::Anonymous,
        "write_enable=YES\nanon_upload_enable=YES\nanon_mkdir_write_enable=YES\nanon_other_write_enable=YES\nlog_ftp_protocol=YES\n\
         anon_world_readable_only=NO\nno_anon_password=YES\nanon_hash_enable=YES\n",
    ),
    (
        Rules::Local,
        "local_enable=YES\nwrite_enable=YES\nls_recurse_enable=YES\nascii_upload_enable=YES\nascii_download_enable=YES\n\
         mdtm_write=YES\nhash_enable=YES\nlog_ftp_protocol=YES\n",
    ),
    (
        Rules::Local,
        "local_enable=YES\nwrite_enable=YES\natomic_uploads=YES\ndeny_file={*.mp3,*.mov,.private}\nhide_file={*.mp3,.hidden}\n\
         client_charset=GBK\nuserlist_enable=YES\ndirmessage_enable=YES\nlock_upload_files=YES\n",
    ),
    (
        Rules::Local,
        "local_enable=YES\nssl_enable=YES\nforce_local_logins_ssl=NO\nforce_local_data_ssl=NO\nuserlist_enable=YES\nuserlist_deny=NO\n\
         cmds_denied=SITE,MKD\nport_promiscuous=YES\nforce_dot_files=YES\n",
    ),
    (
        Rules::Local,
        "local_enable=YES\nwrite_enable=YES\ncmds_allowed=USER,PASS,QUIT,NOOP,LIST,PASV,EPSV,ABOR,RETR,STOR,STAT\nchown_uploads=YES\n\
         max_per_ip=3\nlocal_max_rate=100000000\nuse_sendfile=NO\n",
    ),
];

/// What is tried again and again.
struct Stage {
    kinds: Vec<(Rules, &'static Loaded)>,
    place: Place,
}

/// The first bytes of an input: the kind of session, how helper answers, what the peers of data connections do, how the client speaks.
struct Setup {
    kind: usize,
    answers: u8,
    peer: u8,
    manner: u8,
}

thread_local! {
    static STAGE: OnceCell<Stage> = const { OnceCell::new() };
}

/// Four bytes of set-up, then what the client says.
pub fn run(data: &[u8]) {
    let Some(([kind, answers, peer, manner], said)) = data.split_first_chunk::<4>() else {
        return;
    };
    let setup = Setup {
        kind: usize::from(*kind) % KINDS.len(),
        answers: *answers,
        peer: *peer,
        manner: *manner,
    };
    let said = said.get(..LONGEST).unwrap_or(said);
    STAGE.with(|stage| play(stage.get_or_init(Stage::new), &setup, said));
}

impl Stage {
    fn new() -> Self {
        // What is written to a client who has gone is an error and no signal, as in the server.
        // SAFETY: no handler is installed.
        let ignored = unsafe { nix::sys::signal::signal(Signal::SIGPIPE, SigHandler::SigIgn) };
        ignored.expect("signal");
        // libFuzzer's clock would interrupt calls of the server, which knows no handler. What hangs is noticed by its client.
        let clock = SigSet::from(Signal::SIGALRM);
        clock.thread_block().expect("sigprocmask");
        let place = Place::new();
        let kinds = KINDS.iter().map(|(rules, lines)| {
            let file = place.write("conf", format!("{COMMON}{lines}").as_bytes());
            let loaded = config::load(&config::Own, &[Source::File(file)]).expect("settings");
            // A session keeps its settings for as long as its process lives.
            (*rules, &*Box::leak(Box::new(loaded)))
        });
        let kinds = kinds.collect();
        Self { kinds, place }
    }

    /// The same files for every input.
    fn root(&self) -> PathBuf {
        let root = self.place.path().join("root");
        let _ = std::fs::remove_dir_all(&root);
        std::fs::create_dir_all(root.join("pub/deep")).unwrap();
        std::fs::write(root.join("f"), b"line one\nline two\r\nno end").unwrap();
        std::fs::write(
            root.join("pub/.message"),
            b"230 hello\nsecond\r\n\xff\x1b[0m\n",
        )
        .unwrap();
        std::fs::write(root.join("pub/a.mp3"), [7; 3000]).unwrap();
        std::fs::write(
            root.join(OsStr::from_bytes(b"pub/odd\nname\r\xff\x1b")),
            b"",
        )
        .unwrap();
        std::fs::write(root.join("pub/\u{4e2d}\u{6587}"), b"x").unwrap();
        symlink("../../../..", root.join("pub/up")).unwrap();
        symlink("nowhere", root.join("pub/broken")).unwrap();
        root
    }
}

fn play(stage: &Stage, setup: &Setup, said: &[u8]) {
    let root = stage.root();
    let (rules, loaded) = stage.kinds[setup.kind];
    let (client, server) = UnixStream::pair().unwrap();
    // The greeting and a logged-in session's first words count as the reply to the connection.
    let heard = std::thread::scope(|scope| {
        let serve = scope.spawn(move || serve(scope, loaded, rules, setup, server.into(), root));
        let heard = talk(client, said);
        serve.join().unwrap();
        heard
    });
    judge(said, &heard, loaded.config.cmds_allowed.is_some());
}

/// The client: says it all, or a line now and one then, and listens until the server closes.
fn talk(mut client: UnixStream, said: &[u8]) -> Vec<u8> {
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.set_write_timeout(Some(PATIENCE)).unwrap();
    let mut writer = client.try_clone().unwrap();
    let mut heard = Vec::new();
    let half = said.len() / 2;
    let halves = [&said[..half], &said[half..]];
    // A server that has closed already does not take it all.
    if halves.iter().all(|part| writer.write_all(part).is_ok()) {
        let _ = writer.shutdown(Shutdown::Write);
    }
    let mut piece = [0; 16 * 1024];
    loop {
        match client.read(&mut piece) {
            Ok(0) => return heard,
            Ok(count) => heard.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return heard,
            Err(error) => panic!("hangs: {error}, after {}", heard.escape_ascii()),
        }
        assert!(
            heard.len() < 16 << 20,
            "more replies than anybody asked for"
        );
    }
}

/// Greeter, then the worker if helper grants a login.
fn serve<'scope>(
    scope: &'scope Scope<'scope, '_>,
    loaded: &'static Loaded,
    rules: Rules,
    setup: &'scope Setup,
    socket: OwnedFd,
    root: PathBuf,
) {
    let config: &'static Config = &loaded.config;
    let (uid, gid) = (getuid(), getgid());
    let plan = Plan {
        root: Root::Kept,
        uid,
        gid,
        groups: &[],
        keep: &[],
        limits: &[],
        isolation: Isolation::default(),
        parent: None,
        fences: &Fences::default,
    };
    let address = SocketAddr::from(([127, 0, 0, 1], 4000));
    let client = |socket: OwnedFd| Client {
        socket: Parcel::new(socket),
        peer: address,
        local: SocketAddr::from(([127, 0, 0, 1], 21)),
        clients: Some(1),
        secure: None,
    };
    let (ours, theirs) = Channel::<BeforeLogin, BeforeLoginReply>::pair().unwrap();
    let helper = scope.spawn(move || before(config, theirs, setup.answers));
    // Greeter closes its copy, of which its owner here must not know.
    let empty = ManuallyDrop::new(OwnedFd::from(std::fs::File::open("/").unwrap()));
    let greeting = if setup.manner & 1 == 0 {
        Greeting::Banner(None)
    } else {
        Greeting::Banner(Some(b"hello\n230 you\r\n\xff".to_vec()))
    };
    let lent = client(socket.try_clone().unwrap());
    greet(loaded, &lent, &empty, &plan, ours, greeting);
    drop(lent);
    let Some((name, rest)) = helper.join().unwrap() else {
        return;
    };
    let (ours, theirs) = Channel::<AfterLogin, AfterLoginReply>::pair().unwrap();
    let allowed = rights(config, rules);
    let after = scope.spawn(move || after(scope, config, theirs, allowed, setup.peer));
    let confined = confine::confine(&plan).unwrap();
    let tree = Tree::open(root.as_path()).unwrap();
    let class = match rules {
        Rules::Anonymous => Class::Anonymous {
            password: b"x@".to_vec(),
        },
        Rules::Local => Class::Local,
    };
    let verdict = Verdict {
        class,
        rules,
        name,
        uid,
        gid,
        groups: Vec::new(),
        home: "/".into(),
        extra: None,
        chroot: true,
        recorded: setup.manner & 2 == 0,
    };
    let jail = Jail {
        confined,
        tree,
        start: VirtualPath::root(),
    };
    let handover = Handover { rest, tls: None };
    Session::new(config, client(socket), verdict, jail, ours, handover).serve();
    after.join().unwrap();
}

/// Helper before login: what it hears must be what it would answer, one after the other.
fn before(
    config: &Config,
    mut channel: Channel<BeforeLoginReply, BeforeLogin>,
    answers: u8,
) -> Option<(Vec<u8>, crate::wire::Handover)> {
    let mut asked = 0_u32;
    while let Some(message) = channel.receive().expect("a message of greeter's") {
        let turn = answers.checked_shr(asked * 2).unwrap_or(0) & 3;
        let reply = match message {
            BeforeLogin::User { name } => {
                assert!(config.userlist_enable && name.len() <= 4096);
                match turn {
                    0 | 1 => BeforeLoginReply::Ask,
                    2 => BeforeLoginReply::Denied,
                    _ => BeforeLoginReply::DeniedLast,
                }
            }
            BeforeLogin::Login {
                name,
                password: _,
                rest,
            } => {
                assert!(!name.is_empty(), "a login without a name");
                match turn {
                    0 => {
                        channel.send(&BeforeLoginReply::Granted).unwrap();
                        // After that greeter has nothing more to ask.
                        while let Some(message) = channel.receive().expect("a message of greeter's")
                        {
                            assert!(
                                matches!(message, BeforeLogin::Said(_)),
                                "{message:?} after the login"
                            );
                        }
                        return Some((name, rest));
                    }
                    1 => BeforeLoginReply::Failed,
                    2 => BeforeLoginReply::Denied,
                    _ => BeforeLoginReply::Oops(b"no more\r\n230 yes".to_vec()),
                }
            }
            BeforeLogin::Said(_) => continue,
            BeforeLogin::Securing | BeforeLogin::Secured { .. } | BeforeLogin::Resumable { .. } => {
                panic!("{message:?} without TLS")
            }
            BeforeLogin::Host { .. } => {
                assert!(
                    config.host_config_dir.is_some(),
                    "{message:?} without hosts"
                );
                BeforeLoginReply::NoHost
            }
        };
        asked += 1;
        let last = reply.ends();
        // Greeter may be gone: its client is.
        if channel.send(&reply).is_err() {
            return None;
        }
        if last {
            while let Some(message) = channel.receive().expect("a message of greeter's") {
                assert!(
                    matches!(message, BeforeLogin::Said(_)),
                    "{message:?} after the last word"
                );
            }
            return None;
        }
    }
    None
}

/// Helper after login.
fn after<'scope>(
    scope: &'scope Scope<'scope, '_>,
    config: &Config,
    mut channel: Channel<AfterLoginReply, AfterLogin>,
    rights: Rights,
    peer: u8,
) {
    let unavailable = peer & 0x80 != 0;
    while let Some(message) = channel.receive().expect("a message of worker's") {
        let reply = match message {
            AfterLogin::Arrived => continue,
            AfterLogin::ListenPassive if unavailable => AfterLoginReply::Unavailable,
            AfterLogin::ListenPassive => {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let to = listener.local_addr().unwrap();
                let stream = TcpStream::connect(to).unwrap();
                scope.spawn(move || data(stream, peer));
                listener.set_nonblocking(true).unwrap();
                AfterLoginReply::Listening {
                    port: to.port(),
                    socket: listener.into(),
                }
            }
            AfterLogin::ConnectActive { port } => {
                assert!(port >= 1024 && config.port_enable);
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                let (stream, _) = listener.accept().unwrap();
                scope.spawn(move || data(stream, peer));
                near.set_nonblocking(true).unwrap();
                AfterLoginReply::Connecting {
                    socket: near.into(),
                }
            }
            AfterLogin::ConnectForeign { to } => {
                assert!(config.port_promiscuous && to.port() >= 1024);
                AfterLoginReply::Unavailable
            }
            AfterLogin::Chown { file: _ } => {
                assert!(config.chown_uploads && rights.upload);
                AfterLoginReply::Owned
            }
            AfterLogin::Event(event) => {
                allowed(&event, rights);
                continue;
            }
        };
        if channel.send(&reply).is_err() {
            return;
        }
    }
}

/// Nothing is reported as done that the session may not do.
fn allowed(event: &Event, rights: Rights) {
    if let Event::Changed {
        change,
        outcome: Outcome::Done,
        ..
    } = event
    {
        let may = match change {
            Change::Mkdir => rights.make,
            Change::Rmdir | Change::Delete | Change::Rename => rights.alter,
            Change::Chmod => rights.chmod || rights.alter,
        };
        assert!(may, "{event:?}");
    }
}

/// The client's end of a data connection.
fn data(mut stream: TcpStream, peer: u8) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
    let _ = stream.set_write_timeout(Some(Duration::from_secs(2)));
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    // No connection of thousands stays behind in the kernel.
    let reset =
        || nix::sys::socket::setsockopt(&stream, nix::sys::socket::sockopt::Linger, &linger);
    match peer & 7 {
        0..=3 => {}
        4 => {
            let _ = reset();
            return;
        }
        // As many bytes as a pipe, a buffer, a page hold, and one more.
        kind => {
            let length = [65_537, 4097, 3][usize::from(kind - 5)];
            let text: Vec<u8> = b"abc\r\n\n\xff\r"
                .iter()
                .copied()
                .cycle()
                .take(length)
                .collect();
            let _ = stream.write_all(&text);
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
    let mut piece = [0; 16 * 1024];
    while stream.read(&mut piece).is_ok_and(|count| count > 0) {}
}

/// What the client has heard against what it has said. Where only listed commands are `allowed`, an empty line is one that is not
/// (reference §3.1), once somebody is logged in.
fn judge(said: &[u8], heard: &[u8], allowed: bool) {
    let finals = replies(heard);
    let (least, empty) = commands(said);
    let most = least + if allowed { empty } else { 0 };
    let shown = || {
        format!(
            "{least} to {most} commands, {} replies: {}",
            finals.len(),
            heard.escape_ascii()
        )
    };
    // One reply is to the connection.
    assert!(!finals.is_empty(), "{}", shown());
    let answered = finals.len() - 1;
    let last = finals.last().unwrap();
    let over = [
        "221 ",
        "421 ",
        "500 Input line too long.",
        "500 Too many errors.",
        "500 HTTP ",
        "500 This is an FTP server.",
        "500 OOPS: ",
        "530 Permission denied.",
    ];
    if over.iter().any(|end| last.starts_with(end.as_bytes())) {
        assert!(answered <= most + 1, "{}", shown());
    } else {
        assert!((least..=most).contains(&answered), "{}", shown());
    }
}

/// The final replies (RFC 959, 4.2), every line of which is checked.
fn replies(heard: &[u8]) -> Vec<Vec<u8>> {
    let mut finals = Vec::new();
    let mut within: Option<Vec<u8>> = None;
    for line in heard.split_inclusive(|byte| *byte == b'\n') {
        let bad = || format!("{} in {}", line.escape_ascii(), heard.escape_ascii());
        let text = line
            .strip_suffix(b"\r\n")
            .unwrap_or_else(|| panic!("no CRLF: {}", bad()));
        assert!(
            !text.contains(&b'\r') && !text.contains(&b'\n'),
            "{}",
            bad()
        );
        let head = text.split_first_chunk::<4>().map(|(head, _)| *head);
        if let Some(code) = &within {
            // Ends with the same code and a blank; no other line may look like that.
            if text.starts_with(&[code.as_slice(), b" "].concat()) {
                finals.push(text.to_vec());
                within = None;
            }
            continue;
        }
        let [a, b, c, mark] = head.unwrap_or_else(|| panic!("no reply: {}", bad()));
        assert!(
            (b'1'..=b'5').contains(&a) && b.is_ascii_digit() && c.is_ascii_digit(),
            "{}",
            bad()
        );
        match mark {
            b' ' if a == b'1' => {}
            b' ' => finals.push(text.to_vec()),
            b'-' => within = Some(vec![a, b, c]),
            _ => panic!("{}", bad()),
        }
    }
    assert!(
        within.is_none(),
        "a reply without its end: {}",
        heard.escape_ascii()
    );
    finals
}

/// How many commands and how many empty lines there are in it, as they are cut out of a stream.
fn commands(said: &[u8]) -> (usize, usize) {
    let mut buffer = LineBuffer::new();
    let mut found = (0, 0);
    let mut rest = said;
    loop {
        let space = buffer.space();
        let count = space.len().min(rest.len());
        space[..count].copy_from_slice(&rest[..count]);
        buffer.filled(count);
        rest = &rest[count..];
        loop {
            match buffer.next_line() {
                Ok(Some(line)) if Command::parse(line.bytes()).is_some() => found.0 += 1,
                Ok(Some(_)) => found.1 += 1,
                Ok(None) => break,
                Err(_) => return found,
            }
        }
        if rest.is_empty() {
            return found;
        }
    }
}
