//! Which lists of system calls the processes of a server with these settings will most likely have; the reader that compiles filters,
//! without rights.

use crate::config::Config;
use crate::sys::seccomp::List;
use crate::worker;

/// Those of the server's own processes, and of the sessions of guests and local users.
pub fn likely_lists(config: &Config) -> Vec<List> {
    let carries = config.ssl_enable;
    let mut lists = vec![
        List::Keyholder,
        List::Reader,
        List::Greeter { carries },
        List::Helper { gives: false },
    ];
    if config.chown_uploads {
        lists.push(List::Helper { gives: true });
    }
    lists.extend(
        [worker::Rules::Local, worker::Rules::Anonymous].map(|rules| {
            let chroot = rules == worker::Rules::Anonymous || config.chroot_local_user;
            List::Worker {
                rights: worker::rights(config, rules),
                names: worker::asks_the_host(config, chroot),
            }
        }),
    );
    lists
}
