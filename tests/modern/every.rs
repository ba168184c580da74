//! Every command with typical and with odd arguments, in sessions of every kind and with every option turned, under the filter: no process
//! makes a call that is not on its list. What there is to try is asked of the program, so that nothing new is forgotten.

use crate::support::client::connect_from;
use crate::support::tls::{self, BOTH, Ftps, offer};
use crate::support::{Client, Host, Server, utmp};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

/// A kind of session: who logs in, how, and what is turned.
struct Kind {
    name: &'static str,
    user: &'static str,
    tls: bool,
    lines: &'static str,
}

const KINDS: [Kind; 7] = [
    Kind {
        name: "guest, read-only",
        user: "ftp",
        tls: false,
        lines: "write_enable=NO\n",
    },
    Kind {
        name: "guest, writing",
        user: "ftp",
        tls: false,
        lines: "anon_upload_enable=YES\nanon_mkdir_write_enable=YES\nanon_other_write_enable=YES\nanon_world_readable_only=NO\n\
                chown_uploads=YES\nchown_username=bob\ndelete_failed_uploads=YES\nforce_dot_files=YES\ndirmessage_enable=YES\n\
                ascii_download_enable=YES\nascii_upload_enable=YES\nls_recurse_enable=YES\nhide_ids=YES\nuse_localtime=YES\n\
                log_ftp_protocol=YES\nasync_abor_enable=YES\ndual_log_enable=YES\nanon_hash_enable=YES\npasv_promiscuous=YES\n\
                use_sendfile=NO\nanon_max_rate=50000000\nno_log_lock=YES\n",
    },
    Kind {
        name: "local",
        user: "alice",
        tls: false,
        lines: "",
    },
    Kind {
        name: "local, in a jail, everything on",
        user: "alice",
        tls: false,
        lines: "chroot_local_user=YES\nallow_writeable_chroot=YES\npasswd_chroot_enable=YES\nascii_download_enable=YES\n\
                ascii_upload_enable=YES\nls_recurse_enable=YES\natomic_uploads=YES\nfsync_uploads=YES\nlock_upload_files=NO\n\
                connect_from_port_20=YES\nsyslog_enable=YES\nclient_charset=GBK\ndeny_file={*.none}\nhide_file={*.none}\n\
                trans_chunk_size=8192\nsession_support=YES\nsetproctitle_enable=YES\nport_promiscuous=YES\nxferlog_std_format=YES\n\
                utf8_filesystem=YES\nuserlist_enable=YES\nuserlist_deny=NO\ndelete_failed_uploads=YES\ndirmessage_enable=YES\n\
                local_max_rate=50000000\ntcp_wrappers=YES\nsandbox_minimum=0\nmode_z_enable=YES\n",
    },
    Kind {
        name: "local, sees the host",
        user: "alice",
        tls: false,
        lines: "text_userdb_names=YES\ntilde_user_enable=YES\nls_recurse_enable=YES\nuse_localtime=YES\nlog_ftp_protocol=YES\n\
                chmod_enable=NO\nmdtm_write=NO\nhash_enable=NO\npasv_address=127.0.0.1\nisolate=NO\nisolate_network=NO\n\
                use_sendfile=NO\nlocal_umask=022\ncheck_shell=NO\n",
    },
    Kind {
        name: "local, TLS",
        user: "alice",
        tls: true,
        lines: "",
    },
    Kind {
        name: "virtual user, TLS, everything on",
        user: "alice",
        tls: true,
        lines: "guest_enable=YES\nguest_username=bob\nvirtual_use_local_privs=YES\nchroot_local_user=YES\nallow_writeable_chroot=YES\n\
                ascii_download_enable=YES\nascii_upload_enable=YES\nls_recurse_enable=YES\natomic_uploads=YES\ndebug_ssl=YES\n\
                require_ssl_reuse=NO\nstrict_ssl_read_eof=NO\nstrict_ssl_write_shutdown=YES\nssl_request_cert=NO\n\
                force_local_data_ssl=NO\nforce_local_logins_ssl=NO\nlog_ftp_protocol=YES\nhide_ids=YES\nmode_z_enable=YES\n",
    },
];

/// Yes-or-no options that no session of KINDS turns, and why.
const ELSEWHERE: [(&str, &str); 36] = [
    ("background", "how master starts"),
    ("listen", "how master listens"),
    ("listen_ipv6", "how master listens"),
    ("run_as_launching_user", "compliance options::start"),
    ("one_process_model", "compliance options::start"),
    ("ptrace_sandbox", "without effect"),
    ("seccomp_sandbox", "the filter itself"),
    ("ftp_enable", "refuses to start"),
    ("http_enable", "refuses to start"),
    ("anonymous_enable", "before the filter: who may log in"),
    (
        "no_anon_password",
        "no command's path: compliance options::login",
    ),
    (
        "chroot_list_enable",
        "the worker's root, as chroot_local_user",
    ),
    ("deny_email_enable", "read by helper before login"),
    ("secure_email_list_enable", "read by helper before login"),
    ("download_enable", "shuts commands: modern gates"),
    ("dirlist_enable", "shuts commands: modern gates"),
    ("pasv_enable", "shuts commands: compliance options::data"),
    ("port_enable", "shuts commands: compliance options::data"),
    ("pasv_addr_resolve", "names are looked up by master"),
    ("implicit_ssl", "the greeter's first step: compliance tls"),
    ("force_anon_logins_ssl", "refuses a login: compliance tls"),
    ("force_anon_data_ssl", "refuses a transfer: compliance tls"),
    ("reverse_lookup_enable", "without effect"),
    ("userlist_log", "without effect"),
    ("log_die", "without effect"),
    ("better_stou", "without effect"),
    ("wc_logs_enable", "without effect"),
    ("allow_root_squashed_chroot", "without effect"),
    ("ssl_sslv2", "without effect"),
    ("ssl_sslv3", "without effect"),
    ("ssl_tlsv1", "without effect"),
    ("ssl_tlsv11", "without effect"),
    ("ssl_tlsv12", "which versions TLS offers: compliance tls"),
    ("ssl_tlsv13", "which versions TLS offers: compliance tls"),
    ("require_cert", "the handshake: compliance tls"),
    ("validate_cert", "the handshake: compliance tls"),
];

/// Each command with what it is tried with, in an order in which files come, are used, and go.
const ROWS: &[(&str, &[&str])] = &[
    ("HOST", &["a.example", "[::1]", "a/b"]),
    ("USER", &["alice", "ftp"]),
    ("PASS", &["x"]),
    ("ACCT", &["x"]),
    ("REIN", &[""]),
    ("SMNT", &["/"]),
    ("SYST", &[""]),
    ("HELP", &["", "LIST"]),
    ("FEAT", &[""]),
    ("NOOP", &[""]),
    ("CLNT", &["test"]),
    ("CSID", &["Name=x; Version=1;"]),
    ("LANG", &["ZH", "xx", "EN", ""]),
    (
        "OPTS",
        &[
            "UTF8 ON",
            "UTF8 OFF",
            "UTF8 ON",
            "MLST type;size;modify;perm;unique;UNIX.mode;UNIX.owner;UNIX.group;",
            "HASH SHA-512",
            "HASH",
            "MODE Z LEVEL 9",
            "X",
        ],
    ),
    ("AUTH", &["TLS", "SSL"]),
    ("PBSZ", &["0"]),
    ("PROT", &["C", "S", "P"]),
    ("CCC", &[""]),
    ("ALLO", &["100"]),
    ("MODE", &["S", "B"]),
    ("STRU", &["F", "R"]),
    ("STAT", &["", ".", "*", "-laR", "/", "none"]),
    ("TYPE", &["I", "A", "E", "L 8"]),
    ("PWD", &[""]),
    ("XPWD", &[""]),
    ("MKD", &["made", "made", "/"]),
    ("XMKD", &["xmade"]),
    ("CWD", &["made", "none", "f"]),
    ("CDUP", &[""]),
    ("XCWD", &["xmade", "~bob", "/", "~"]),
    ("XCUP", &[""]),
    ("PASV", &[""]),
    ("P@SW", &[""]),
    ("EPSV", &["", "1", "2"]),
    ("PORT", &["127,0,0,1,0,1", "10,0,0,1,200,200"]),
    ("EPRT", &["|1|127.0.0.1|80|", "|2|::1|5000|"]),
    ("STOR", &["new", "made/new", "none/x", "a b"]),
    ("APPE", &["new", "fresh"]),
    ("STOU", &["", "name"]),
    ("TYPE", &["I"]),
    ("STOR", &["new"]),
    ("REST", &["3"]),
    ("STOR", &["new"]),
    ("REST", &["3", "-1", "99999999999999999999", "2"]),
    ("RETR", &["new", "f", "pub/file", "none", "made", "."]),
    ("REST", &["4"]),
    ("RETR", &["new"]),
    ("RANG", &["0 3", "1 0"]),
    ("RETR", &["new"]),
    ("RANG", &["1 2"]),
    ("HASH", &["new", "f", "pub/file", "none"]),
    ("XCRC", &["new", "pub/file 0 3", "f"]),
    ("XMD5", &["new", "\"f\" 0 3"]),
    ("XSHA1", &["new", "pub/file"]),
    ("XSHA256", &["new", "f"]),
    ("XSHA512", &["new", "f"]),
    ("AVBL", &["", "made", "none"]),
    ("SIZE", &["new", "made", "none"]),
    ("MDTM", &["new", "none", "20200101000000 new"]),
    ("MFMT", &["20200101000000 new", "x new"]),
    (
        "MFF",
        &["Modify=20200101000000;UNIX.mode=0640; new", "x=1; new"],
    ),
    (
        "SITE",
        &[
            "HELP",
            "UMASK",
            "UMASK 022",
            "UMASK x",
            "CHMOD 640 new",
            "CHMOD 640 none",
            "UTIME 20200101000000 new",
            "X",
        ],
    ),
    ("MLST", &["new", "", "none"]),
    ("MLSD", &["", "made", "new", "none"]),
    (
        "LIST",
        &["", "-la", "-R", "*", "{new,made}", "-t none", "lnk", "~"],
    ),
    ("NLST", &["", "-a", "made/*", "none"]),
    // What is sent up then is no compressed stream.
    ("MODE", &["Z"]),
    ("LIST", &["-la"]),
    ("RETR", &["f", "none"]),
    ("STOR", &["zed"]),
    ("MODE", &["S"]),
    ("RNFR", &["new", "none"]),
    ("RNTO", &["x"]),
    ("RNFR", &["new"]),
    ("RNTO", &["made/moved"]),
    ("RNFR", &["made/moved"]),
    ("RNTO", &["moved"]),
    ("DELE", &["moved", "made", "none", "made/new"]),
    ("RMD", &["made", "f"]),
    ("XRMD", &["xmade", "none"]),
    ("ABOR", &[""]),
    ("QUIT", &[]),
];

/// What no command wants.
fn odd() -> Vec<String> {
    vec![
        String::new(),
        " ".into(),
        "..".into(),
        "../../../etc/passwd".into(),
        "\u{4e2d}\u{6587}".into(),
        "{*,{a,b}}?".into(),
        "~root/x".into(),
        "a".repeat(300),
        "/".repeat(3000),
        "\0\r\0".into(),
        "%s%n -1 \u{ff}".into(),
    ]
}

/// Ways to say a data connection is needed for.
const DATA: [&str; 7] = ["LIST", "NLST", "MLSD", "RETR", "STOR", "APPE", "STOU"];

/// The client of either kind.
enum Talk {
    Clear(Client),
    Secure(Box<Ftps>),
}

impl Talk {
    fn new(kind: &Kind) -> Talk {
        if kind.tls {
            Talk::Secure(Box::new(Ftps::upgrade(offer(BOTH, None))))
        } else {
            Talk::Clear(Client::connect())
        }
    }

    fn reply(&mut self) -> String {
        match self {
            Talk::Clear(c) => c.reply().text(),
            Talk::Secure(c) => c.reply(),
        }
    }

    fn cmd(&mut self, line: &str) -> String {
        let bytes = format!("{line}\r\n");
        match self {
            Talk::Clear(c) => c.send(bytes.as_bytes()),
            Talk::Secure(c) => c.send(bytes.as_bytes()),
        }
        let reply = self.reply();
        assert!(!reply.is_empty(), "the server closed at {line:?}");
        reply
    }

    fn login(&mut self, user: &str) {
        self.cmd(&format!("USER {user}"));
        let reply = self.cmd("PASS secret");
        assert!(reply.contains("230 "), "{reply}");
        self.cmd("PBSZ 0");
        self.cmd("PROT P");
    }

    /// A command that may move data, over a connection of either direction.
    fn transfer(&mut self, line: &str, active: bool) {
        let (near, listener) = if active {
            (None, self.active())
        } else {
            (self.passive(), None)
        };
        if !self.cmd(line).starts_with("150") {
            return;
        }
        let stream = near
            .or_else(|| Some(listener?.accept().unwrap().0))
            .unwrap();
        let up = ["STOR", "APPE", "STOU"]
            .iter()
            .any(|verb| line.starts_with(verb));
        match self {
            // A session that has said PROT C since has no TLS there, and the server closes.
            Talk::Secure(c) => {
                if let Ok(stream) = tls::handshake(&c.config, stream) {
                    carry(stream, up);
                }
            }
            Talk::Clear(_) => carry(stream, up),
        }
        let end = self.reply();
        assert!(end.starts_with(['2', '4', '5']), "{line}: {end}");
    }

    fn passive(&mut self) -> Option<TcpStream> {
        let reply = self.cmd("EPSV");
        let port = reply.split('|').nth(3)?.parse().ok()?;
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Some(connect_from(Ipv4Addr::LOCALHOST.into(), to))
    }

    fn active(&mut self) -> Option<TcpListener> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let reply = self.cmd(&format!("PORT 127,0,0,1,{},{}", port >> 8, port & 255));
        reply.starts_with("200").then_some(listener)
    }
}

/// A few bytes up, or everything down.
fn carry(mut stream: impl Read + Write + End, up: bool) {
    if up {
        let _ = stream.write_all(b"line one\r\nline two\n");
        stream.end();
    }
    let _ = stream.read_to_end(&mut Vec::new());
}

/// How the end of an upload is said.
trait End {
    fn end(&mut self);
}

impl End for TcpStream {
    fn end(&mut self) {
        self.shutdown(std::net::Shutdown::Write).unwrap();
    }
}

impl End for tls::Stream {
    fn end(&mut self) {
        self.conn.send_close_notify();
        let _ = self.flush();
    }
}

/// Runs all rows in one kind of session.
fn run(kind: &Kind) {
    let host = Host::new();
    utmp::keep(&host);
    host.own("/srv/ftp/pub", crate::support::host::FTP);
    host.write(
        "/etc/pam.d/guests",
        "auth required pam_permit.so\naccount required pam_permit.so\n",
    );
    host.write("/etc/vsftpd.user_list", "alice\n");
    let mut lines = format!(
        "vsftpd_log_file=/var/log/own.log\nuserlist_file=/etc/vsftpd.user_list\n{}",
        kind.lines
    );
    if kind.tls {
        tls::certificate(&host);
        lines = format!("{}{lines}", tls::ON);
    }
    let server = Server::start(&host, &lines);
    let mut talk = Talk::new(kind);
    talk.login(kind.user);
    assert!(
        filtered(&server) >= 2,
        "{}: helper and worker have no filter",
        kind.name
    );
    if kind.user == "ftp" {
        // Where guests may write.
        talk.cmd("CWD incoming");
    }
    for active in [false, true] {
        for (verb, args) in ROWS {
            for arg in *args {
                one(&mut talk, verb, arg, active);
            }
        }
    }
    for (verb, _) in ROWS.iter().filter(|(verb, _)| *verb != "QUIT") {
        for arg in odd() {
            one(&mut talk, verb, &arg, false);
        }
    }
    talk.cmd("ABOR");
    cut(&mut talk);
    assert!(talk.cmd("QUIT").starts_with("221"));
    before_login(kind);
    killed(kind);
    drop((talk, server));
}

fn one(talk: &mut Talk, verb: &str, arg: &str, active: bool) {
    let line = if arg.is_empty() {
        verb.to_owned()
    } else {
        format!("{verb} {arg}")
    };
    if DATA.contains(&verb) {
        talk.transfer(&line, active);
    } else {
        let reply = talk.cmd(&line);
        assert!(reply.starts_with(['2', '3', '4', '5']), "{line}: {reply}");
    }
}

/// ABOR, STAT and NOOP while an upload waits for its client.
fn cut(talk: &mut Talk) {
    let Some(stream) = talk.passive() else {
        return;
    };
    if !talk.cmd("STOR aborted").starts_with("150") {
        return;
    }
    assert!(talk.cmd("NOOP").starts_with("200"));
    assert!(talk.cmd("STAT").contains("Transfer in progress"));
    let end = talk.cmd("ABOR");
    // 425: it was cut before its handshake.
    assert!(end.starts_with("426") || end.starts_with("425"), "{end}");
    assert!(talk.reply().starts_with("226"));
    drop(stream);
}

/// The greeter's side: every command is asked of it too.
fn before_login(kind: &Kind) {
    for verbs in ROWS.chunks(8) {
        let mut talk = Talk::new(kind);
        for (verb, _) in verbs
            .iter()
            .filter(|(verb, _)| !matches!(*verb, "QUIT" | "AUTH"))
        {
            talk.cmd(verb);
        }
    }
    for arg in odd() {
        let mut talk = Talk::new(kind);
        talk.cmd(&format!("USER {arg}"));
    }
}

/// How many processes of the session run under a filter.
fn filtered(server: &Server) -> usize {
    let on = |pid: &i32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        *pid != server.pid() && status.contains("Seccomp:\t2\n")
    };
    crate::support::wait("the filters", || {
        let count = Server::processes().iter().filter(|pid| on(pid)).count();
        (count >= 2).then_some(count)
    })
}

/// No log says that a process was ended by its filter, or by anything else.
fn killed(kind: &Kind) {
    for file in ["/var/log/own.log", "/var/log/vsftpd.log"] {
        let text = std::fs::read(file).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        assert!(
            !text.contains("ended by its filter") && !text.contains("killed by signal"),
            "{}: {text}",
            kind.name
        );
    }
}

macro_rules! kinds {
    ($($name:ident: $number:literal,)*) => {
        $(#[test]
        fn $name() {
            run(&KINDS[$number]);
        })*
    };
}

kinds! {
    a_guest_who_reads: 0,
    a_guest_who_writes: 1,
    a_local_user: 2,
    a_local_user_in_a_jail: 3,
    a_local_user_who_sees_the_host: 4,
    a_local_user_over_tls: 5,
    a_virtual_user_over_tls: 6,
}

/// Whatever the program says it knows has a row here.
#[test]
fn every_verb_has_a_row() {
    let host = Host::new();
    tls::certificate(&host);
    let lines = format!(
        "{}force_local_logins_ssl=NO\nforce_local_data_ssl=NO\nutf8_filesystem=YES\n",
        tls::ON
    );
    let _server = Server::start(&host, &lines);
    let mut c = Client::alice();
    let rows: BTreeSet<&str> = ROWS.iter().map(|(verb, _)| *verb).collect();
    let help = c.cmd("HELP").text();
    let verbs: Vec<&str> = help
        .split("\r\n")
        .filter(|line| line.starts_with(' '))
        .flat_map(str::split_whitespace)
        .collect();
    assert!(verbs.len() > 50, "{help}");
    let features = c.cmd("FEAT").text();
    let named = features
        .split("\r\n")
        .filter_map(|line| line.strip_prefix(' ')?.split(' ').next());
    // What FEAT names that is no command.
    let named = named.filter(|word| !matches!(*word, "UTF8" | "TVFS"));
    for verb in verbs.into_iter().chain(named) {
        assert!(
            rows.contains(verb),
            "{verb} has no row: say how it is tried"
        );
    }
    let words = |of: &str| -> Vec<&str> {
        let rows = ROWS.iter().filter(|(verb, _)| *verb == of);
        rows.flat_map(|(_, args)| args.iter().filter_map(|arg| arg.split(' ').next()))
            .collect()
    };
    let site = c.cmd("SITE HELP").text();
    for word in site.strip_prefix("214 ").unwrap().split(' ') {
        assert!(words("SITE").contains(&word), "SITE {word} has no row");
    }
    for option in ["UTF8", "MLST", "HASH", "MODE"] {
        assert!(words("OPTS").contains(&option));
    }
}

/// Every yes-or-no option is turned by a kind of session, or it is said why none does.
#[test]
fn every_switch_is_turned() {
    let host = Host::new();
    host.write("/etc/empty.conf", "");
    let output = std::process::Command::new(crate::support::host::PROGRAM)
        .args(["--print-config", "/etc/empty.conf"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let base = crate::support::server::BASE;
    let mut missing = Vec::new();
    let switches = text.lines().filter_map(|line| {
        let (name, value) = line.split_once('=')?;
        let other = match value {
            "YES" => "NO",
            "NO" => "YES",
            _ => return None,
        };
        Some((name, format!("{name}={other}\n")))
    });
    let mut count = 0;
    for (name, turned) in switches {
        count += 1;
        let on = KINDS.iter().any(|kind| kind.lines.contains(&turned))
            || base.contains(&turned)
            || tls::ON.contains(&turned);
        let excused = ELSEWHERE.iter().any(|(known, _)| *known == name);
        if on == excused {
            missing.push(turned);
        }
    }
    assert!(count > 80, "{text}");
    assert!(
        missing.is_empty(),
        "neither turned nor excused, or both: {missing:?}"
    );
}
