//! Tests of the configuration as a whole: grammar against reference §2.3 and Appendix C, all mistakes at once, printing and reading back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::file::DEFAULT_FILES;
use super::loaded::Origin;
use super::options::{Scope, Standing, TABLE};
use super::value::{Kind, Value};
use super::{Config, Loaded, Mistake, Own, Source, check_system, load, print, remarks};

/// What makes the defaults a configuration that can be served.
const BASE: &str = "listen_ipv6=YES\n";

/// A file of its own for each test, gone afterwards.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, text: impl AsRef<[u8]>) -> Self {
        let path =
            std::env::temp_dir().join(format!("vsftpd-config-{}-{name}", std::process::id()));
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        Self(path)
    }

    fn source(&self) -> Source {
        Source::File(self.0.clone())
    }

    fn shown(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn settings(name: &str, text: impl AsRef<[u8]>) -> Result<Loaded, Vec<Mistake>> {
    load(&Own, &[Scratch::new(name, text).source()])
}

fn config(name: &str, text: &str) -> Config {
    settings(name, [BASE, text].concat())
        .unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
        .config
        .as_ref()
        .clone()
}

/// What is wrong with one setting, without its place.
fn fault(setting: &str) -> String {
    let base = Scratch::new(&format!("fault-{}", setting.len()), BASE);
    let mistakes = load(&Own, &[base.source(), Source::Setting(setting.into())]).unwrap_err();
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    mistakes[0].text.clone()
}

fn text(value: &Option<std::ffi::OsString>) -> Option<&str> {
    value.as_deref().map(|value| value.to_str().unwrap())
}

#[test]
fn grammar_of_the_original() {
    let config = config(
        "grammar",
        "# comment\n\n   \t\n  write_enable=YES\nanon_umask=022\nlocal_umask=22\nlisten_port=021\nftpd_banner=  a = b # c \t\n\
         user_sub_token\nmessage_file=\nbanner_file=   \nwrite_enable=true\nno_anon_password=1\nport_enable=No\n",
    );
    assert!(config.write_enable && config.no_anon_password && !config.port_enable);
    assert_eq!(
        (config.anon_umask, config.local_umask, config.listen_port),
        (0o22, 22, 17)
    );
    assert_eq!(text(&config.ftpd_banner), Some("a = b # c"));
    assert_eq!(
        (text(&config.message_file), text(&config.banner_file)),
        (None, None)
    );
}

#[test]
fn more_than_the_original_takes() {
    let config = config(
        "superset",
        "\t# indented\r\nwrite_enable = on \r\n port_enable =off\r\nanon_root = /srv/a b\r\nssl_tlsv1_2=YES\r\nhide_ids=yes",
    );
    assert!(config.write_enable && !config.port_enable && config.ssl_tlsv12 && config.hide_ids);
    assert_eq!(text(&config.anon_root), Some("/srv/a b"));
}

#[test]
fn values_are_bytes() {
    let loaded = settings(
        "bytes",
        b"\xef\xbb\xbflisten_ipv6=YES\nftpd_banner=gr\xfc\xdf\n",
    )
    .unwrap();
    assert_eq!(
        loaded
            .config
            .ftpd_banner
            .as_ref()
            .unwrap()
            .as_encoded_bytes(),
        b"gr\xfc\xdf"
    );
    assert!(settings("zero", b"listen_ipv6=YES\nftpd_banner=a\0b\n").is_err());
    assert_eq!(
        fault("ftpd_banner=a\nb"),
        "a value is one line of text, without zero bytes: ftpd_banner=a\\nb"
    );
}

#[test]
fn faults_have_the_original_texts() {
    assert_eq!(
        fault("pasv_enabel=YES"),
        "unrecognised variable in config file: pasv_enabel (did you mean `pasv_enable`?)"
    );
    assert_eq!(
        fault("LOCAL_ROOT=/x"),
        "unrecognised variable in config file: LOCAL_ROOT (did you mean `local_root`?)"
    );
    assert_eq!(
        fault("colour=red"),
        "unrecognised variable in config file: colour"
    );
    assert_eq!(
        fault("nonsense"),
        "missing value in config file for: nonsense; there is no option of this name"
    );
    assert_eq!(
        fault("write_enable"),
        "missing value in config file for: write_enable"
    );
    assert_eq!(
        fault("write_enable="),
        "missing value in config file for: write_enable"
    );
    assert_eq!(
        fault("listen_port= "),
        "missing value in config file for: listen_port"
    );
    assert!(fault("").starts_with("missing value in config file for: "));
    assert_eq!(
        fault("write_enable=YES # no"),
        "bad bool value in config file for: write_enable=YES # no: expected YES or NO; a comment has a line of its own"
    );
    assert!(fault("listen_port=65536").ends_with("listen_port=65536: out of range 1 to 65535"));
    assert!(fault("local_umask=777").ends_with("octal is written with a leading 0"));
    assert!(fault("max_clients=09").contains("max_clients=09: a leading 0 means octal"));
    assert!(fault("=x").starts_with("unrecognised variable in config file: "));
    assert_eq!(
        fault("a\x1b[2J=x"),
        "unrecognised variable in config file: a\\u{1b}[2J"
    );
}

/// Found by fuzzing: the text of this mistake went to the terminal as it was.
#[test]
fn mistakes_can_be_printed() {
    let line = "pasv_address_by_network=10.0.0.\u{8}\u{1b}[2J/8=1.2.3.4\n";
    let mistakes = settings("printable", line).unwrap_err();
    let shown: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    assert!(shown.iter().any(|text| text.contains("\\u{8}\\u{1b}[2J")));
    assert!(!shown.iter().any(|text| text.contains(char::is_control)));
}

#[test]
fn all_mistakes_in_one_run() {
    let file = Scratch::new(
        "all",
        "listen=YES\nlisten_ipv6=YES\nwrite_enable=maybe\n\nlokal_enable=YES\npasv_min_port=7000\npasv_max_port=6000\nssl_enable=YES\nssl_ciphers=DES-CBC3-SHA\n",
    );
    let lines: Vec<String> = load(
        &Own,
        &[file.source(), Source::Setting(b"max_clients=-1".to_vec())],
    )
    .unwrap_err()
    .iter()
    .map(|mistake| mistake.to_string().replace(&file.shown(), "F"))
    .collect();
    assert_eq!(
        lines[0],
        "F:3: bad bool value in config file for: write_enable=maybe: expected YES or NO"
    );
    assert_eq!(
        lines[1],
        "F:5: unrecognised variable in config file: lokal_enable (did you mean `local_enable`?)"
    );
    assert_eq!(
        lines[2],
        "-o: bad integer value in config file for: max_clients=-1: numbers cannot be negative"
    );
    assert!(lines[3].starts_with("F:1: run two copies of vsftpd for IPv4 and IPv6"));
    assert!(
        lines[4].starts_with(
            "F:9: SSL: could not set cipher list: ssl_ciphers=DES-CBC3-SHA names none"
        )
    );
    assert_eq!(lines.len(), 5);
}

#[test]
fn rules_between_options() {
    let one = |name: &str, text: &str| {
        let mistakes = settings(name, text).unwrap_err();
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        mistakes[0].text.clone()
    };
    assert!(
        one(
            "single",
            "listen=YES\none_process_model=YES\nlocal_enable=YES\n"
        )
        .contains("'one_process_model' is anonymous only")
    );
    assert!(
        one("nobody", "listen=YES\nanonymous_enable=NO\n")
            .contains("both local and anonymous access disabled!")
    );
    assert_eq!(
        one("address", "listen=YES\nlisten_address=1.2.3\n"),
        "bad listen_address: 1.2.3 is no IPv4 address"
    );
    assert_eq!(
        one("address6", "listen_ipv6=YES\nlisten_address6=fe80::1%\n"),
        "bad listen_address6: fe80::1% is no IPv6 address"
    );
    assert_eq!(
        one("link", "listen_ipv6=YES\nlisten_address6=fe80::1\n"),
        "bad listen_address6: fe80::1 is link-local, and every interface has such addresses: write fe80::1%eth0 for that of eth0"
    );
    assert!(
        one("pasv", "listen=YES\npasv_address=ftp.example.org\n")
            .starts_with("bad pasv_address: ftp.example.org")
    );
    assert_eq!(
        one("log", "listen=YES\nxferlog_enable=YES\nvsftpd_log_file=\n"),
        "vsftpd_log_file is empty, but xferlog_enable=YES needs it"
    );
    assert_eq!(
        one("root", "listen=YES\nsecure_chroot_dir=\n"),
        "secure_chroot_dir is empty, but the server needs it"
    );
    let fine = "listen=YES\npasv_addr_resolve=YES\npasv_address=ftp.example.org\nlisten_address=10.0.0.1\nlisten_address6=fe80::1%eth0\n\
                xferlog_enable=YES\nsyslog_enable=YES\nvsftpd_log_file=\npasv_max_port=6000\nisolate=NO\nforce_local_logins_ssl=NO\n";
    assert!(settings("fine", fine).is_ok());
}

#[test]
fn later_settings_win_and_origins_are_kept() {
    let first = Scratch::new(
        "first",
        "listen_ipv6=YES\nlisten_port=2121\nwrite_enable=YES\n",
    );
    let second = Scratch::new("second", "\nwrite_enable=NO\n");
    let sources = [
        first.source(),
        Source::Setting(b" listen_port=2122".to_vec()),
        second.source(),
    ];
    let loaded = load(&Own, &sources).unwrap();
    assert_eq!(
        (loaded.config.listen_port, loaded.config.write_enable),
        (2122, false)
    );
    assert_eq!(loaded.origin("listen_port"), &Origin::Setting);
    assert_eq!(
        loaded.origin("write_enable").to_string(),
        format!("{}:2", second.shown())
    );
    assert_eq!(loaded.origin("anon_root"), &Origin::Default);
    assert_eq!(load(&Own, &sources).unwrap().config, loaded.config);
}

#[test]
fn printed_settings_load_again() {
    let text = "listen=YES\nanon_umask=027\nlocal_umask=0\nftpd_banner=a \\ # b\nmessage_file=\npasv_max_port=6000\ndeny_file={*.exe,*.js}\n";
    let loaded = settings("print", text).unwrap();
    let mut printed = Vec::new();
    print(&loaded, &mut printed).unwrap();
    assert_eq!(settings("printed", &printed).unwrap().config, loaded.config);
    let printed = String::from_utf8(printed).unwrap();
    assert!(
        printed.contains(":2\nanon_umask=0027\n")
            && printed.contains("# default\nmax_clients=2000\n"),
        "{printed}"
    );
    assert_eq!(
        printed
            .lines()
            .filter(|line| !line.starts_with('#'))
            .count(),
        TABLE.len()
    );
}

/// Reference §1.5: what Debian ships.
#[test]
fn debians_file_loads() {
    let text = "# Example config file\n#\nlisten=NO\nlisten_ipv6=YES\nanonymous_enable=NO\nlocal_enable=YES\ndirmessage_enable=YES\n\
                use_localtime=YES\nxferlog_enable=YES\nconnect_from_port_20=YES\nsecure_chroot_dir=/var/run/vsftpd/empty\n\
                pam_service_name=vsftpd\nrsa_cert_file=/etc/ssl/certs/ssl-cert-snakeoil.pem\n\
                rsa_private_key_file=/etc/ssl/private/ssl-cert-snakeoil.key\nssl_enable=NO\n";
    let loaded = settings("debian", text).unwrap();
    assert!(
        loaded.config.local_enable
            && !loaded.config.anonymous_enable
            && loaded.config.connect_from_port_20
    );
}

#[test]
fn unfit_files_are_refused() {
    let fault = |path: &Path| {
        let mistakes = load(&Own, &[Source::File(path.to_owned())]).unwrap_err();
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        mistakes[0].to_string()
    };
    assert!(
        fault(Path::new("/nonexistent/x"))
            .starts_with("/nonexistent/x: cannot read config file: /nonexistent/x: No such file")
    );
    assert!(fault(Path::new("/")).contains("config file not owned by correct user, or not a file"));
    assert!(fault(Path::new("/dev/null")).contains("not a regular file"));
    let open = Scratch::new("open", BASE);
    fs::set_permissions(&open.0, Permissions::from_mode(0o666)).unwrap();
    assert!(fault(&open.0).contains("can be written by everybody"));
    let long = Scratch::new("long", vec![b'#'; 1024 * 1024 + 1]);
    assert!(fault(&long.0).contains("longer than 1048576 bytes"));
    let fifo = Scratch::new("fifo", "");
    fs::remove_file(&fifo.0).unwrap();
    nix::unistd::mkfifo(&fifo.0, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(fault(&fifo.0).contains("not a regular file"));
}

#[test]
fn lacks_of_the_host_are_all_named() {
    let text = "listen=YES\nlocal_enable=YES\npam_service_name=other\nftp_username=nobody-of-this-name\nnopriv_user=root\nsecure_chroot_dir=/nonexistent\n\
                banner_file=/nonexistent/b\nuserlist_enable=YES\nuserlist_file=/dev/zero\nchroot_list_file=/nonexistent/c\n";
    let loaded = settings("host", text).unwrap();
    let texts: Vec<String> = check_system(&Own, &loaded)
        .into_iter()
        .chain(remarks(&Own, &loaded))
        .map(|mistake| mistake.text)
        .collect();
    assert!(
        texts[0].starts_with(
            "vsftpd: cannot locate user specified in 'ftp_username':nobody-of-this-name"
        ),
        "{texts:?}"
    );
    assert!(texts[1].contains("nopriv_user=root has uid 0"));
    assert!(texts[2].contains("not found: directory given in 'secure_chroot_dir':/nonexistent"));
    assert!(texts[3].starts_with("cannot read banner file:/nonexistent/b: No such file"));
    assert!(texts[4].starts_with("cannot read user list file:/dev/zero: not a regular file"));
    assert_eq!(texts.len(), 5);
    assert_eq!(
        loaded.config.nopriv_user.as_deref(),
        Some(OsStr::new("root"))
    );
}

/// A host behind whose address many clients sit is not limited more than it was.
#[test]
fn limits_of_one_address_follow_max_per_ip() {
    for (lines, expected) in [
        ("", (50, 3000)),
        ("max_per_ip=2\n", (50, 3000)),
        ("max_per_ip=51\n", (51, 3060)),
        ("max_per_ip=0\n", (0, 0)),
        ("max_per_ip=4294967295\n", (1_000_000, 1_000_000)),
        ("max_per_ip=0\nlogin_fails_per_ip=5\n", (5, 0)),
        ("ssl_handshakes_per_ip=5\nmax_per_ip=100\n", (100, 5)),
    ] {
        let config = config("follow", lines);
        let found = (config.login_fails_per_ip, config.ssl_handshakes_per_ip);
        assert_eq!(found, expected, "{lines}");
    }
    // A file for one address may let more in.
    let base = settings("follow-base", BASE).unwrap();
    let over = Scratch::new("follow-over", "max_per_ip=500\n");
    let (inner, _) = base.overlay(&Own, &over.0, Scope::Server).unwrap();
    assert_eq!(inner.config.login_fails_per_ip, 500);
}

/// Nothing parses and then does nothing: what is not there refuses, all else is taken.
#[test]
fn standings_hold_for_every_option() {
    let base = Scratch::new("standings", "listen_ipv6=YES\nlocal_enable=YES\n");
    let ruled = [
        "listen",
        "listen_ipv6",
        "listen_address",
        "listen_address6",
        "pasv_address",
        "pasv_addr_resolve",
        "one_process_model",
        // It takes no number that the others take.
        "sandbox_minimum",
        "client_charset",
        "pasv_address_by_network",
        // They need other options.
        "pasv_advertise_min_port",
        "implicit_listen_port",
        "host_config_dir",
    ];
    for row in TABLE.iter().filter(|row| !ruled.contains(&row.name)) {
        let other = match row.value(&Config::default()) {
            Value::Flag(true) => "NO",
            Value::Flag(false) => "YES",
            Value::Number(_) => "5002",
            Value::Octal(_) => "0700",
            Value::Text(_) => "/x",
        };
        let set = Source::Setting(format!("{}={other}", row.name).into_bytes());
        match (row.standing, load(&Own, &[base.source(), set])) {
            (Standing::Refused(reason), Err(mistakes)) => {
                assert_eq!(mistakes.len(), 1, "{mistakes:?}");
                assert!(mistakes[0].text.contains(reason), "{}", row.name);
            }
            (
                Standing::Works
                | Standing::Added
                | Standing::Inert(_)
                | Standing::Foreign(_)
                | Standing::Under(_),
                Ok(loaded),
            ) => {
                assert_eq!(
                    row.value(&loaded.config).printed(),
                    other.as_bytes(),
                    "{}",
                    row.name
                );
            }
            (_, result) => panic!("{}: {result:?}", row.name),
        }
    }
}

#[test]
fn a_file_is_read_over_settings() {
    let base = settings(
        "overlay-base",
        "listen=YES\nlocal_enable=YES\nwrite_enable=YES\n",
    )
    .unwrap();
    let over = Scratch::new(
        "overlay",
        "local_max_rate=5\nlisten_port=99\nwrite_enable=NO\n",
    );
    let (all, remarks) = base.overlay(&Own, &over.0, Scope::Server).unwrap();
    assert!(remarks.is_empty());
    assert_eq!((all.config.local_max_rate, all.config.listen_port), (5, 99));
    let (user, remarks) = base.overlay(&Own, &over.0, Scope::PerUser).unwrap();
    assert_eq!(
        (user.config.local_max_rate, user.config.listen_port),
        (5, 21)
    );
    assert!(!user.config.write_enable && base.config.write_enable);
    assert_eq!(
        remarks.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [format!(
            "{}:2: listen_port has no effect in the file of a single user",
            over.shown()
        )]
    );
    assert_eq!(user.origin("listen_port"), &Origin::Default);
    let bad = Scratch::new("overlay-bad", "no_such=1\nwrite_enable=perhaps\n");
    assert_eq!(
        base.overlay(&Own, &bad.0, Scope::PerUser)
            .unwrap_err()
            .len(),
        2
    );
}

#[test]
fn something_else_is_not_read_to_its_end() {
    let mistakes = settings("junk", "junk=1\n".repeat(100_000)).unwrap_err();
    assert_eq!(mistakes.len(), 101);
    assert!(
        mistakes[100]
            .to_string()
            .contains(":101: too many mistakes")
    );
}

#[test]
fn default_file_is_read_after_settings() {
    let file = Scratch::new("late", "listen_port=2121\n");
    let mut reader = super::file::Reader::new(&Own);
    let path = file.shown();
    let set = Source::Setting(b"listen_port=2122".to_vec());
    reader.sources(
        std::slice::from_ref(&set),
        &["/nonexistent/vsftpd.conf", &path],
    );
    assert_eq!(reader.finish().0.config.listen_port, 2121);
    let mut reader = super::file::Reader::new(&Own);
    reader.sources(&[set], &["/nonexistent/vsftpd.conf"]);
    assert_eq!(reader.finish().0.config.listen_port, 2122);
    assert_eq!(DEFAULT_FILES[1], "/etc/vsftpd.conf");
}

proptest! {
    /// Whatever is read, no setting ends the program, and every accepted one prints to itself.
    #[test]
    fn any_value_is_taken_or_named(at in 0..TABLE.len(), value in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        "[-+0-9xYESNO yesno]{0,8}".prop_map(String::into_bytes),
    ]) {
        let row = &TABLE[at];
        if let Ok(value) = row.kind.parse(&value) {
            if row.kind != Kind::Text {
                prop_assert_eq!(row.kind.parse(&value.printed()), Ok(value));
            }
        } else {
            prop_assert!(row.kind != Kind::Text);
        }
        let setting = [row.name.as_bytes(), b"=", &value].concat();
        let base = Source::Setting(BASE.trim().into());
        let (loaded, mistakes) = super::read(&Own, &[base, Source::File("/dev/null".into()), Source::Setting(setting)]);
        prop_assert!(!mistakes.is_empty());
        let mut printed = Vec::new();
        print(&loaded, &mut printed).unwrap();
        for line in printed.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && line[0] != b'#') {
            let (_, again) = super::read(&Own, &[Source::File("/dev/null".into()), Source::Setting(line.to_vec())]);
            prop_assert_eq!(again.len(), 1);
        }
    }

    #[test]
    fn any_setting_is_survived(setting in prop::collection::vec(any::<u8>(), 0..80)) {
        let (_, mistakes) = super::read(&Own, &[Source::File("/dev/null".into()), Source::Setting(setting)]);
        for mistake in mistakes {
            prop_assert!(!mistake.to_string().contains(char::is_control));
        }
    }
}
