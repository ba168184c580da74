//! Option rows: what is logged and where; read by the helper, which writes every log.

macro_rules! rows_log {
    ([$next:ident $($rest:ident)*] $($done:tt)*) => { $next! { [$($rest)*] $($done)*

    /// Keep a log of uploads and downloads. Which file and which form: `xferlog_std_format`.
    xferlog_enable: flag(false), [Helper], Server, Works;

    /// The form of the log: NO writes the server's own, with logins and more, to `vsftpd_log_file`; YES writes transfers only, in the
    /// form of wu-ftpd that statistics programs read, to `xferlog_file`.
    xferlog_std_format: flag(false), [Helper], Server, Works;

    /// Write both logs, whatever `xferlog_enable` and `xferlog_std_format` say.
    dual_log_enable: flag(false), [Helper], Server, Works;

    /// The log in the server's own form. A link, or a FIFO that somebody reads, is taken if root has made it; `/dev/stdout` is what the server was
    /// started with, as a container shows it. It is opened anew for each session.
    vsftpd_log_file: text("/var/log/vsftpd.log"), [Helper], Server, Works;

    /// The log in the form of wu-ftpd.
    xferlog_file: text("/var/log/xferlog"), [Helper], Server, Works;

    /// Send the lines of the server's own log to the system's log instead of `vsftpd_log_file`, also without `xferlog_enable`.
    syslog_enable: flag(false), [Helper], Server, Works;

    /// Log every command and every answer in the server's own log. Passwords are not shown.
    log_ftp_protocol: flag(false), [Helper Greeter Worker], PerUser, Works;

    /// Do not lock log files while a line is written to them. A lock that somebody else holds is waited for five seconds, once for each
    /// session; after that its lines are written without.
    no_log_lock: flag(false), [Helper], PerUser, Works;
    } };
}
