//! What a distribution's own vsftpd has left works as it did there.

use crate::support::{Client, Host, Server};

/// The settings in the file that Red Hat's packages bring, less those that every test has.
const RED_HAT: &str = "anonymous_enable=NO\nlocal_enable=YES\nwrite_enable=YES\nlocal_umask=022\ndirmessage_enable=YES\n\
    xferlog_enable=YES\nconnect_from_port_20=YES\nxferlog_std_format=YES\nlisten=NO\nlisten_ipv6=YES\npam_service_name=vsftpd\n\
    userlist_enable=YES\n";

/// Red Hat's packages look for lists in /etc/vsftpd, and their file does not say so.
#[test]
fn red_hats_lists_are_found() {
    let host = Host::new();
    std::fs::create_dir("/etc/vsftpd").unwrap();
    host.write("/etc/vsftpd/user_list", "# those not to be let in\nbob\n");
    host.write("/etc/vsftpd/chroot_list", "alice\n");
    let lines = format!("{RED_HAT}chroot_list_enable=YES\nallow_writeable_chroot=YES\n");
    let server = Server::start(&host, &lines);
    let mut c = Client::user("alice");
    c.says("PWD", "257 \"/\" is the current directory");
    Client::connect().says("USER bob", "530 Permission denied.");
    drop(server);
    // The original's place comes first, and one that is set is the only one.
    host.write("/etc/vsftpd.user_list", "alice\n");
    let server = Server::start(&host, &lines);
    Client::connect().script(&[
        ("USER alice", "530 Permission denied."),
        ("USER bob", "331 Please specify the password."),
    ]);
    drop(server);
    host.write("/etc/own", "carol\n");
    let _server = Server::start(&host, &format!("{lines}userlist_file=/etc/own\n"));
    Client::connect().script(&[
        ("USER carol", "530 Permission denied."),
        ("USER alice", "331 Please specify the password."),
    ]);
}
