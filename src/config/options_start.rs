//! Option rows: how the server starts, listens and confines itself; read by the master and the helper.

macro_rules! rows_start {
    ([$next:ident $($rest:ident)*] $($done:tt)*) => { $next! { [$($rest)*] $($done)*

    /// Standalone only: leave the terminal. The server forks once it listens, the first process exits, the rest goes on in a
    /// session of its own with `/dev/null` for its standard descriptors.
    background: flag(false), [Master], Server, Works;

    /// Listen for IPv4 connections, without inetd. Cannot be combined with `listen_ipv6`. A configuration sets one of the two; one that sets
    /// neither means `listen=YES`, as in vsftpd's own build, and Debian's alone takes it for one of inetd's.
    listen: flag(false), [Master], Server, Works;

    /// Listen on an IPv6 socket, without inetd. Where the system lets IPv6 sockets take IPv4 connections as well (the Linux
    /// default, `net.ipv6.bindv6only=0`), this one socket serves both families. Cannot be combined with `listen`.
    listen_ipv6: flag(false), [Master], Server, Works;

    /// The numeric IPv4 address to listen on, used with `listen=YES`. Unset: every address of the host.
    listen_address: text(), [Master], Server, Works;

    /// The numeric IPv6 address to listen on, used with `listen_ipv6=YES`. A link-local address may name its interface:
    /// `fe80::1%eth0`. Unset: every address of the host.
    listen_address6: text(), [Master], Server, Works;

    /// The TCP port to listen on.
    listen_port: number(21, 1..=65535), [Master], Server, Works;

    /// How many clients may be connected at once; the next is told 421 and closed before a process is made for it. 0: no limit.
    max_clients: number(2000, 0..=COUNT), [Master Helper Worker], Server, Works;

    /// How many clients may be connected at once from one address, or one IPv6 network of 64 bits; the next is told 421 and closed. 0:
    /// no limit.
    max_per_ip: number(50, 0..=COUNT), [Master Helper], Server, Works;

    /// The account that processes run as while they need no privilege at all: the one that speaks with clients before login,
    /// and the one that answers a session's requests afterwards. Best an account that nothing else on the host uses.
    nopriv_user: text("nobody"), [Master Helper Greeter], Server, Works;

    /// The root directory of processes that need no file system. It must exist, should be empty, and the account in
    /// `nopriv_user` must not be able to write in it.
    secure_chroot_dir: text("/var/run/vsftpd/empty"), [Master Helper Greeter], Server, Works;

    /// Let an ordinary user start the server, on a port above 1023, and change neither account nor root directory afterwards.
    /// Anonymous clients see `anon_root`, else the home of `ftp_username` or of the user, as `/` and can leave it by no name or link.
    /// Of local users only the one who started it can log in, and there are no guests (`guest_enable`). Started by root it serves as
    /// root, without any capability; do not. `connect_from_port_20` and `chown_uploads` do nothing with it.
    run_as_launching_user: flag(false), [Master Helper], Server, Works;

    /// Serve anonymous clients only, each by a single process. Cannot be combined with `local_enable`.
    one_process_model: flag(false), [Master], Server,
        Inert("the process that speaks with a client never holds privilege here, so that a session stays two processes, which cost less \
               than one of the original's");

    /// Give the processes of every session a name space of their own for System V objects, where the kernel grants one. Done only
    /// if a file or the command line says YES: what sessions may do leaves nothing there to reach, and each name space costs time.
    isolate: flag(true), [Master Helper], Server, Works;

    /// Give the processes that speak with a client an empty network of their own, where the kernel grants one. Done only if a file or
    /// the command line says YES: the helper makes all their sockets, and they may make none.
    isolate_network: flag(true), [Master Helper], PerUser, Works;

    /// Confine the processes of a session to the system calls they need. The printed default is the original's, whose filter ended
    /// sessions; here it is on unless a file or the command line says NO, which is noted at start.
    seccomp_sandbox: flag(false), [Helper Greeter Worker], PerUser, Works;

    /// Confine the processes of a session by tracing their system calls. The original builds this for 32-bit PCs only.
    ptrace_sandbox: flag(false), [Helper], Server, Refused("there is no tracing sandbox, nor has the original one on this machine");

    /// Show what each session does in the process list (`ps`).
    setproctitle_enable: flag(false), [Master Helper Greeter Worker], PerUser, Works;

    /// Ask `/etc/hosts.allow` and `/etc/hosts.deny`, under the daemon name `vsftpd`, whether a client may connect. A rule there may
    /// name a file of settings for the clients it is about: `vsftpd: 192.168.24. : setenv VSFTPD_LOAD_CONF /etc/vsftpd/lan.conf`.
    tcp_wrappers: flag(false), [Master Helper], Server, Works;

    /// Speak FTP. The original allows NO together with `http_enable`.
    ftp_enable: flag(true), [Helper Greeter], Server, Refused("this server speaks nothing but FTP");

    /// Answer HTTP GET requests instead of FTP.
    http_enable: flag(false), [Helper Greeter], Server, Refused("this server speaks nothing but FTP");

    /// A directory of files named after users. After a user logs in, the file with the user's name, if there is one, is read over
    /// the settings. Options that work there are marked below.
    user_config_dir: text(), [Helper], PerHost, Works;
    } };
}
